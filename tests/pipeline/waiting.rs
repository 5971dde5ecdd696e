//! The mailbox as the waiting room: who waits, who is turned away and in which words, who comes next.

use std::time::Duration;

use seawall::CallOutcome;
use seawall::backpressure::Strategy;
use seawall::prelude::*;
use seawall_tests::{Answer, Api, Step, Task, Trouble, World, ready, refused};

use super::build::*;

/// One permit, taken; a line of 2.
fn crowded(on_full: Strategy) -> World {
    let policy = base().bulkhead(permits(1)).mailbox(line(2, on_full)).build().unwrap();
    World::new(policy, [Step::Later(1, Ok(0)), Step::Later(1, Ok(1)), Step::Later(1, Ok(2))])
}

fn call(world: &World) -> Task<'_, Answer> {
    Task::pending(world.client.write(""))
}

/// Ends the call that holds the permit.
fn end(call: Task<'_, Answer>, with: u64) {
    assert_eq!(call.ready(), Ok(with));
}

#[test]
fn waiters_are_served_in_the_order_they_came() {
    let world = crowded(Strategy::Error);
    let (holder, mut first, mut second) = (call(&world), call(&world), call(&world));
    assert_eq!(world.snapshot().fill_ratio, 1.0);
    end(holder, 0);
    assert!(first.wakes() > 0 && second.wakes() == 0);
    assert!(second.poll().is_pending() && first.poll().is_pending());
    assert_eq!(world.service().seen(), 2, "only the first one is there");
    end(first, 1);
    assert!(second.poll().is_pending());
    end(second, 2);
    world.assert_idle(3, "at the end");
}

#[test]
fn a_newcomer_never_passes_a_waiter() {
    let world = crowded(Strategy::Error);
    let (holder, mut waiter) = (call(&world), call(&world));
    end(holder, 0);
    // The permit is the waiter's, who has not been polled since.
    let mut newcomer = call(&world);
    assert_eq!(world.service().seen(), 1);
    assert!(waiter.poll().is_pending());
    assert!(newcomer.poll().is_pending());
    assert_eq!(world.service().seen(), 2);
    end(waiter, 1);
    assert!(newcomer.poll().is_pending());
    end(newcomer, 2);
}

#[test]
fn a_permit_granted_to_a_call_that_is_then_dropped_goes_to_the_next_in_line() {
    let world = crowded(Strategy::Error);
    let (holder, first, mut second) = (call(&world), call(&world), call(&world));
    end(holder, 0);
    drop(first);
    assert!(second.wakes() > 0, "asleep beside a free permit");
    assert!(second.poll().is_pending());
    end(second, 1);
    world.assert_idle(3, "at the end");
}

#[test]
fn error_refuses_the_newcomer_as_queue_full() {
    let world = crowded(Strategy::Error);
    let _holding = (call(&world), call(&world), call(&world));
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::QueueFull, None));
    assert_eq!(world.snapshot().mailbox.dropped, 1);
}

#[test]
fn drop_newest_drops_the_newcomer() {
    let world = crowded(Strategy::DropNewest);
    let _holding = (call(&world), call(&world), call(&world));
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Dropped, None));
    assert_eq!(world.snapshot().mailbox.waiting, 2);
}

#[test]
fn drop_oldest_drops_the_oldest_waiter_and_wakes_it() {
    let world = crowded(Strategy::DropOldest);
    let (holder, oldest, mut second) = (call(&world), call(&world), call(&world));
    let mut newcomer = call(&world);
    assert!(oldest.wakes() > 0, "dropped, but asleep");
    assert_eq!(refused(oldest.ready()), (RejectedBy::Dropped, None));
    assert!(newcomer.poll().is_pending(), "the newcomer waits in its place");
    end(holder, 0);
    assert!(second.poll().is_pending());
    end(second, 1);
    assert!(newcomer.poll().is_pending());
    end(newcomer, 2);
    world.assert_idle(4, "at the end");
}

#[test]
fn drop_oldest_lets_the_newcomer_wait_for_as_long_as_anybody() {
    let world = crowded(Strategy::DropOldest);
    let _holding = (call(&world), call(&world), call(&world));
    let mut newcomer = call(&world);
    world.time.advance(secs(4) - Duration::from_nanos(1));
    assert!(newcomer.poll().is_pending());
    world.time.advance(Duration::from_nanos(1));
    assert_eq!(refused(newcomer.ready()), (RejectedBy::Bulkhead, Some(secs(4))));
}

#[test]
fn block_waits_for_room_and_moves_up() {
    let world = crowded(Strategy::Block { timeout: secs(2) });
    let (holder, mut first, second, mut blocked) =
        (call(&world), call(&world), call(&world), call(&world));
    assert_eq!(world.snapshot().mailbox.blocked_now, 1);
    end(holder, 0);
    let line = world.snapshot().mailbox;
    assert_eq!((line.waiting, line.blocked_now, line.blocked), (2, 0, 1));
    assert!(first.poll().is_pending());
    drop(second);
    end(first, 1);
    assert!(blocked.poll().is_pending());
    end(blocked, 2);
    world.assert_idle(4, "at the end");
}

#[test]
fn block_gives_up_at_its_timeout_as_queue_full() {
    let world = crowded(Strategy::Block { timeout: secs(2) });
    let _holding = (call(&world), call(&world), call(&world));
    let mut blocked = call(&world);
    world.time.advance(secs(2) - Duration::from_nanos(1));
    assert!(blocked.poll().is_pending());
    world.time.advance(Duration::from_nanos(1));
    assert_eq!(refused(blocked.ready()), (RejectedBy::QueueFull, None));
}

#[test]
fn a_wait_ends_at_max_wait_as_bulkhead() {
    let world = crowded(Strategy::Error);
    let _holder = call(&world);
    let mut waiter = call(&world);
    world.time.advance(secs(4) - Duration::from_nanos(1));
    assert!(waiter.poll().is_pending());
    world.time.advance(Duration::from_nanos(1));
    assert!(waiter.wakes() > 0);
    // No answer has told how long one takes, so it is told to come back after as long as it has waited.
    assert_eq!(refused(waiter.ready()), (RejectedBy::Bulkhead, Some(secs(4))));
    assert_eq!(world.snapshot().rejections(RejectedBy::Bulkhead), 1);
}

/// One permit, taken, and calls that may wait for 3 s and have 3 s for everything, 1 s of them for an attempt.
fn short_of_time(script: impl IntoIterator<Item = Step>) -> World {
    let policy = base()
        .timeout(secs(1))
        .deadline(secs(3))
        .bulkhead(permits(1).max_wait(secs(3)))
        .build()
        .unwrap();
    World::new(policy, script)
}

#[test]
fn a_wait_ends_while_the_attempt_still_has_its_timeout() {
    let world = short_of_time([Step::Hang]);
    let _holder = call(&world);
    let mut waiter = call(&world);
    world.time.advance(secs(2) - Duration::from_nanos(1));
    assert!(waiter.poll().is_pending());
    world.time.advance(Duration::from_nanos(1));
    assert!(waiter.wakes() > 0, "told at that moment, not at its deadline");
    assert_eq!(refused(waiter.ready()), (RejectedBy::Bulkhead, Some(secs(2))));
    assert_eq!(world.calls(CallOutcome::Rejected), 1);
}

#[test]
fn a_permit_that_comes_late_is_used_only_while_half_of_the_timeout_is_left() {
    for (late, is_served) in [(ms(500), true), (ms(501), false)] {
        let world = short_of_time([Step::Later(1, Ok(0)), Step::Later(1, Ok(1))]);
        let (holder, mut waiter) = (call(&world), call(&world));
        // The thread was busy: nobody has looked since the waiter's time was up.
        world.time.advance(secs(2) + late);
        end(holder, 0);
        if is_served {
            assert!(waiter.poll().is_pending());
            end(waiter, 1);
        } else {
            assert_eq!(refused(waiter.ready()).0, RejectedBy::Bulkhead);
        }
        assert_eq!(world.service().seen(), 1 + u32::from(is_served));
        world.assert_idle(2, "at the end");
    }
}

#[test]
fn a_permit_that_came_in_time_and_is_noticed_too_late_is_given_back() {
    let world = short_of_time([Step::Later(1, Ok(0))]);
    let (holder, late) = (call(&world), call(&world));
    world.time.advance(secs(2));
    end(holder, 0);
    world.time.advance(ms(501));
    assert_eq!(refused(late.ready()).0, RejectedBy::Bulkhead);
    assert_eq!(world.service().seen(), 1, "dispatched with too little time left");
    world.assert_idle(2, "at the end");
}

#[test]
fn a_refused_waiter_is_told_about_when_the_queue_will_have_been_served() {
    let answers = (0..20).map(|_| Step::Later(1, Ok(0)));
    let world = short_of_time(answers.chain([Step::Hang]));
    for _ in 0..20 {
        let answered = call(&world);
        world.time.advance(ms(400));
        end(answered, 0);
    }
    let _holder = call(&world);
    let (waiter, _behind) = (call(&world), call(&world));
    world.time.advance(secs(2));
    let (by, after) = refused(waiter.ready());
    // Two are to be served by one permit; half of the answers took at most 350 ms, as far as buckets tell.
    assert_eq!((by, after), (RejectedBy::Bulkhead, Some(ms(700))));
}

#[test]
fn a_wait_that_is_noticed_past_the_deadline_ends_as_that() {
    let world = short_of_time([Step::Hang]);
    let _holder = call(&world);
    let waiter = call(&world);
    world.time.advance(secs(3));
    let answer = waiter.ready();
    assert!(
        matches!(answer, Err(Trouble::Fault(Fault::DeadlineExceeded { after, .. })) if after == secs(3)),
        "{answer:?}"
    );
    assert_eq!(world.calls(CallOutcome::DeadlineExceeded), 1);
}

#[test]
fn expired_work_is_never_dispatched_even_when_its_permit_came_in_time() {
    let policy = base()
        .deadline(secs(3))
        .bulkhead(permits(1).max_wait(secs(3)))
        .rate_limit(tokens(3))
        .build()
        .unwrap();
    let world = World::new(policy, [Step::Later(1, Ok(0))]);
    let (holder, late) = (call(&world), call(&world));
    end(holder, 0);
    // It has its permit, but its task is only run when the deadline has passed.
    world.time.advance(secs(3));
    let answer = late.ready();
    assert!(matches!(answer, Err(Trouble::Fault(Fault::DeadlineExceeded { .. }))), "{answer:?}");
    assert_eq!(world.service().seen(), 1, "dispatched after its deadline");
    world.assert_idle(2, "at the end");
}

#[test]
fn whoever_gives_a_permit_back_sheds_those_whose_time_has_passed() {
    let world = crowded(Strategy::Error);
    let (holder, expired) = (call(&world), call(&world));
    world.time.advance(secs(3));
    let mut fresh = call(&world);
    world.time.advance(secs(2));
    drop(holder);
    assert!(fresh.poll().is_pending());
    assert_eq!(world.service().seen(), 2, "the fresh one is served");
    assert_eq!(refused(expired.ready()).0, RejectedBy::Bulkhead);
    drop(fresh);
    world.assert_idle(3, "at the end");
}

#[test]
fn with_no_wait_allowed_the_mailbox_is_never_touched() {
    let policy = base().bulkhead(permits(1).max_wait(Duration::ZERO)).build().unwrap();
    let world = World::new(policy, [Step::Hang]);
    let _holder = call(&world);
    assert_eq!(refused(ready(world.client.write(""))).0, RejectedBy::Bulkhead);
    assert_eq!(world.snapshot().mailbox.received, 0);
}

#[test]
fn a_waiting_call_dropped_from_the_middle_leaves_the_others_in_order() {
    let world = crowded(Strategy::Block { timeout: secs(2) });
    let (holder, mut first, middle, mut last) =
        (call(&world), call(&world), call(&world), call(&world));
    drop(middle);
    assert_eq!(world.snapshot().mailbox.waiting, 2);
    end(holder, 0);
    assert!(first.poll().is_pending());
    end(first, 1);
    assert!(last.poll().is_pending());
    end(last, 2);
    world.assert_idle(4, "at the end");
}

#[test]
fn a_call_that_moves_up_from_outside_the_full_mailbox_may_wait_for_max_wait() {
    let policy = base()
        .timeout(secs(60))
        .deadline(secs(60))
        .bulkhead(permits(1).max_wait(secs(10)))
        .mailbox(line(1, Strategy::Block { timeout: secs(1) }));
    let script = [Step::Later(1, Ok(0)), Step::Later(1, Ok(1)), Step::Later(1, Ok(2))];
    let world = World::new(policy.build().unwrap(), script);
    let (holder, mut inside, mut outside) = (call(&world), call(&world), call(&world));
    world.time.advance(ms(100));
    end(holder, 0);
    assert!(inside.poll().is_pending(), "it has the permit, and the other its place");
    world.time.advance(ms(900));
    assert!(outside.poll().is_pending(), "the block timeout bounds only the wait for room");
    world.time.advance(ms(8_999));
    assert!(outside.poll().is_pending());
    world.time.advance(ms(1));
    assert_eq!(refused(outside.ready()), (RejectedBy::Bulkhead, Some(secs(10))));
    end(inside, 1);
    world.assert_idle(3, "at the end");
}

#[test]
fn a_call_that_waited_in_vain_is_told_how_long_the_queue_takes() {
    let policy = base().bulkhead(permits(2)).mailbox(line(3, Strategy::Error)).build().unwrap();
    let world = World::new(policy, vec![Step::Later(1, Ok(0)); 25]);
    for _ in 0..25 {
        let one = call(&world);
        world.time.advance(ms(300));
        end(one, 0);
    }
    world.service().then([Step::Hang, Step::Hang]);
    // Nobody's timeout ends them.
    let hour = base().timeout(secs(3_600)).deadline(secs(3_600));
    let hour = hour.bulkhead(permits(2)).mailbox(line(3, Strategy::Error)).build().unwrap();
    assert!(world.handle.set_policy(hour));
    let _holding = (call(&world), call(&world));
    let (first, second, third) = (call(&world), call(&world), call(&world));
    world.time.advance(secs(4));
    // 250 ms, the middle of the bucket, for each of those before it and for itself, of which two are served at a time.
    assert_eq!(refused(third.ready()), (RejectedBy::Bulkhead, Some(ms(375))));
    assert_eq!(refused(second.ready()), (RejectedBy::Bulkhead, Some(ms(250))));
    assert_eq!(refused(first.ready()), (RejectedBy::Bulkhead, Some(ms(125))));
}
