//! A rate limit that shapes: calls wait for their turn instead of being refused.

use std::time::Duration;

use seawall::State;
use seawall::limit::Config;
use seawall::prelude::*;
use seawall::{Fault, policy};
use seawall_tests::{Answer, Api, Step, Task, Trouble, World, block_on, ready, refused};

use super::build::*;

/// One a second, and the one that comes too early may wait.
fn one_a_second(max_wait: Duration) -> policy::Builder {
    base().rate_limit(Config::fixed_window(1, secs(1))).rate_limit_max_wait(max_wait)
}

fn call(world: &World) -> Task<'_, Answer> {
    Task::pending(world.client.write(""))
}

#[test]
fn calls_go_out_evenly_and_in_the_order_they_came() {
    let limit = Config::leaky_bucket(10, 4.0);
    let policy = base().rate_limit(limit).rate_limit_max_wait(secs(5)).build().unwrap();
    let world = World::new(policy, []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    let mut waiting = [call(&world), call(&world), call(&world)];
    assert_eq!(world.snapshot().pending, 3);
    for turn in 0..3 {
        world.time.advance(ms(200));
        assert!(
            waiting[turn..].iter_mut().all(|call| call.poll().is_pending()),
            "before turn {turn}"
        );
        world.time.advance(ms(50));
        assert!(waiting[turn].wakes() > 0);
        assert!(waiting[turn].poll().is_ready());
        assert!(waiting[turn + 1..].iter_mut().all(|call| call.poll().is_pending()));
    }
    assert_eq!(world.service().seen(), 4);
    world.assert_idle(4, "at the end");
}

#[test]
fn a_wait_longer_than_allowed_is_refused_at_once_and_says_when_it_would_be_granted() {
    let world = World::new(one_a_second(secs(1)).build().unwrap(), []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    let waiting = call(&world);
    // Its turn is in two seconds, and it may wait for one.
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::RateLimit, Some(secs(1))));
    world.time.advance(secs(1));
    let next = call(&world);
    assert_eq!(waiting.ready(), Ok(7));
    world.time.advance(secs(1));
    assert_eq!(next.ready(), Ok(7));
    world.assert_idle(4, "at the end");
}

#[test]
fn a_turn_that_leaves_less_than_the_timeout_is_none() {
    let limit = Config::fixed_window(1, secs(10));
    let policy = base().rate_limit(limit).rate_limit_max_wait(secs(10)).build().unwrap();
    let world = World::new(policy, []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::RateLimit, Some(secs(10))));
    world.time.advance(ms(1_099));
    assert_eq!(refused(ready(world.client.write(""))).0, RejectedBy::RateLimit);
    // It must begin by nine seconds, and a tenth of its timeout is kept for the wait for a permit.
    world.time.advance(ms(1));
    let waiting = call(&world);
    world.time.advance(ms(8_900));
    assert_eq!(waiting.ready(), Ok(7));
    world.assert_idle(4, "at the end");
}

#[test]
fn whoever_wakes_past_the_deadline_gives_the_turn_back() {
    let world = World::new(one_a_second(secs(5)).build().unwrap(), []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    let waiting = call(&world);
    world.time.advance(secs(10));
    let answer = waiting.ready();
    assert!(matches!(answer, Err(Trouble::Fault(Fault::DeadlineExceeded { .. }))), "{answer:?}");
    assert_eq!(world.service().seen(), 1);
    world.assert_idle(2, "at the end");
}

#[test]
fn a_turn_noticed_with_less_than_half_of_the_timeout_left_is_given_back() {
    let world = World::new(one_a_second(secs(5)).build().unwrap(), []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    let waiting = call(&world);
    world.time.advance(ms(9_501));
    assert_eq!(refused(waiting.ready()), (RejectedBy::RateLimit, None));
    assert_eq!(world.service().seen(), 1);
    world.assert_idle(2, "at the end");
}

#[test]
fn a_call_dropped_while_it_waits_gives_its_turn_back() {
    let world = World::new(one_a_second(secs(5)).build().unwrap(), []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    for _ in 0..10 {
        drop(call(&world));
    }
    let waiting = call(&world);
    world.time.advance(secs(1));
    assert_eq!(waiting.ready(), Ok(7), "the same turn, again and again");
    world.assert_idle(12, "at the end");
}

#[test]
fn when_the_breaker_opens_whoever_waits_is_told_at_once_and_gives_the_turn_back() {
    let world = World::new(one_a_second(secs(5)).build().unwrap(), []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    let waiting = call(&world);
    block_on(world.handle.force_open()).unwrap();
    world.moves_to(State::Open);
    assert!(waiting.wakes() > 0, "not only when its turn has come");
    assert_eq!(refused(waiting.ready()).0, RejectedBy::Breaker);
    block_on(world.handle.reset()).unwrap();
    world.moves_to(State::Closed);
    let waiting = call(&world);
    world.time.advance(secs(1));
    assert_eq!(waiting.ready(), Ok(7));
    world.assert_idle(3, "at the end");
}

#[test]
fn so_it_is_when_others_calls_open_it() {
    let policy = one_a_second(secs(5)).breaker(trips_after(1)).build().unwrap();
    let world = World::new(policy, [Step::Later(1, Err(Trouble::Broken))]);
    let failing = call(&world);
    let waiting = call(&world);
    assert_eq!(failing.ready(), Err(Trouble::Broken));
    assert!(waiting.wakes() > 0);
    assert_eq!(refused(waiting.ready()), (RejectedBy::Breaker, Some(secs(5))));
    world.assert_idle(2, "at the end");
}

#[test]
fn a_shutdown_ends_the_wait() {
    let world = World::new(one_a_second(secs(5)).build().unwrap(), []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    let waiting = call(&world);
    let mut shutdown = Task::pending(world.seawall.shutdown(ms(500)));
    world.time.advance(ms(500));
    assert!(shutdown.poll().is_pending() || waiting.wakes() > 0);
    let answer = waiting.ready();
    assert!(matches!(answer, Err(Trouble::Fault(Fault::Unavailable { .. }))), "{answer:?}");
    assert_eq!(world.service().seen(), 1);
}

#[test]
fn a_turn_that_comes_finds_a_full_bulkhead_and_waits_on() {
    let policy = one_a_second(secs(5)).bulkhead(permits(1)).build().unwrap();
    let world = World::new(policy, [Step::Later(1, Ok(1)), Step::Later(0, Ok(2))]);
    let holding = call(&world);
    let mut waiting = call(&world);
    world.time.advance(secs(1));
    assert!(waiting.poll().is_pending());
    assert_eq!(world.snapshot().mailbox.waiting, 1);
    assert_eq!(holding.ready(), Ok(1));
    assert_eq!(waiting.ready(), Ok(2));
    world.assert_idle(2, "at the end");
}

#[test]
fn when_the_limit_changes_whoever_waits_asks_the_new_one() {
    let slow = || {
        let limit = Config::fixed_window(1, secs(8));
        base().rate_limit(limit).rate_limit_max_wait(secs(9)).build().unwrap()
    };
    let world = World::new(slow(), []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    let mut waiting = call(&world);
    assert!(world.handle.set_policy(one_a_second(secs(9)).build().unwrap()));
    assert!(waiting.wakes() > 0 && waiting.poll().is_pending(), "what was spent is spent");
    let mut next = call(&world);
    world.time.advance(secs(1));
    assert_eq!(waiting.ready(), Ok(7));
    assert!(next.poll().is_pending());
    assert!(world.handle.set_policy(base().build().unwrap()));
    assert_eq!(next.ready(), Ok(7), "without a limit there is nothing to wait for");
    world.assert_idle(3, "at the end");
}

#[test]
fn a_limit_that_takes_over_turns_nobody_away_who_waits() {
    let leaky = |rate| {
        let limit = Config::leaky_bucket(3, rate);
        base().rate_limit(limit).rate_limit_max_wait(secs(9)).build().unwrap()
    };
    let world = World::new(leaky(1.0), []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    let mut waiting = [call(&world), call(&world)];
    assert!(world.handle.set_policy(leaky(4.0)));
    for task in &mut waiting {
        assert!(task.poll().is_pending());
    }
    for task in waiting {
        world.time.advance(ms(251));
        assert_eq!(task.ready(), Ok(7));
    }
    world.assert_idle(3, "at the end");
}

#[test]
fn a_turn_by_a_limit_that_was_replaced_is_not_given_back_to_the_next_one() {
    let per_second = |rate| {
        let limit = Config::token_bucket(5, rate).unwrap();
        base().rate_limit(limit).rate_limit_max_wait(secs(8)).build().unwrap()
    };
    let world = World::new(per_second(1.0), []);
    for _ in 0..5 {
        assert_eq!(ready(world.client.write("")), Ok(7));
    }
    let waiting: Vec<_> = (0..5).map(|_| call(&world)).collect();
    assert!(world.handle.set_policy(per_second(0.9)));
    drop(waiting);
    assert!(call(&world).poll().is_pending(), "nobody has put a token into the new one");
    assert_eq!(world.service().seen(), 5);
    world.assert_idle(11, "at the end");
}
