//! The order of the guards, and what each refusal gives back.

use std::time::Duration;

use seawall::State;
use seawall::backpressure::Strategy;
use seawall::prelude::*;
use seawall_tests::{Api, Step, Task, Trouble, World, ready, refused};

use super::build::*;

fn broken() -> Step {
    Step::Answer(Err(Trouble::Broken))
}

/// Fails until the breaker opens.
fn trip(world: &World) {
    world.service().then(vec![broken(); 3]);
    for _ in 0..3 {
        ready(world.client.write("")).unwrap_err();
    }
    assert_eq!(world.handle.state(), State::Open);
}

/// Tokens left, found out by spending them.
fn tokens_left(world: &World) -> u32 {
    let mut left = 0;
    loop {
        match ready(world.client.write("")) {
            Ok(_) => left += 1,
            refusal => {
                assert_eq!(refused(refusal).0, RejectedBy::RateLimit);
                return left;
            }
        }
    }
}

#[test]
fn an_open_breaker_burns_no_token_and_says_when_to_come_back() {
    let world = World::new(base().rate_limit(tokens(5)).build().unwrap(), []);
    trip(&world);
    world.time.advance(ms(1500));
    for _ in 0..10 {
        let refusal = refused(ready(world.client.write("")));
        assert_eq!(refusal, (RejectedBy::Breaker, Some(ms(3500))));
    }
    assert_eq!(world.service().seen(), 3, "an open breaker lets nobody through");
    world.time.advance(ms(3500));
    assert_eq!(tokens_left(&world), 2);
}

#[test]
fn a_call_refused_before_it_begins_looks_like_one_that_is_refused_later() {
    // Where refusals may be retried, a call begins first.
    let seen = |begins: bool| {
        let world =
            World::new(base().retry(retries(2).retry_rejections(begins)).build().unwrap(), []);
        trip(&world);
        let refusal = || {
            world.time.advance(ms(100));
            refused(ready(world.client.write("")))
        };
        let refusals: Vec<_> = (0..40).map(|_| refusal()).collect();
        let events: Vec<_> = world.events.try_iter().map(|event| format!("{event:?}")).collect();
        let now = world.snapshot();
        (refusals, events, format!("{:?} {:?}", now.methods, now.breaker))
    };
    assert_eq!(seen(false), seen(true));
}

#[test]
fn the_limiter_says_exactly_when_the_next_token_comes() {
    let limit = seawall::limit::Config::token_bucket(2, 4.0);
    let world = World::new(base().rate_limit(limit).build().unwrap(), []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    assert_eq!(ready(world.client.write("")), Ok(7));
    let (by, after) = refused(ready(world.client.write("")));
    assert_eq!((by, after), (RejectedBy::RateLimit, Some(ms(250))));
    world.time.advance(ms(250) - Duration::from_nanos(1));
    assert_eq!(refused(ready(world.client.write(""))).0, RejectedBy::RateLimit);
    world.time.advance(Duration::from_nanos(1));
    assert_eq!(ready(world.client.write("")), Ok(7));
    world.assert_idle(5, "at the end");
}

#[test]
fn where_token_and_permit_are_both_missing_the_rate_limit_says_when_to_come_back() {
    let limit = seawall::limit::Config::token_bucket(1, 1.0);
    let policy =
        base().rate_limit(limit).bulkhead(permits(1).max_wait(Duration::ZERO)).build().unwrap();
    let world = World::new(policy, [Step::Hang]);
    let _held = Task::pending(world.client.write(""));
    let refused = || refused(ready(world.client.write("")));
    assert_eq!(refused(), (RejectedBy::RateLimit, Some(secs(1))));
    world.time.advance(secs(1) - Duration::from_nanos(1));
    assert_eq!(refused().0, RejectedBy::RateLimit);
    world.time.advance(Duration::from_nanos(1));
    assert_eq!(refused(), (RejectedBy::Bulkhead, None), "a token is there, and stays there");
    assert_eq!(refused(), (RejectedBy::Bulkhead, None));
}

#[test]
fn a_token_is_given_back_when_the_bulkhead_refuses() {
    let policy =
        base().rate_limit(tokens(3)).bulkhead(permits(1).max_wait(Duration::ZERO)).build().unwrap();
    let world = World::new(policy, [Step::Hang]);
    let held = Task::pending(world.client.write(""));
    for _ in 0..10 {
        assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Bulkhead, None));
    }
    drop(held);
    assert_eq!(tokens_left(&world), 2);
}

#[test]
fn a_token_is_given_back_when_the_mailbox_refuses_or_the_wait_is_dropped_or_in_vain() {
    let policy = base()
        .rate_limit(tokens(4))
        .bulkhead(permits(1).max_wait(ms(100)))
        .mailbox(line(1, Strategy::Error))
        .build()
        .unwrap();
    let world = World::new(policy, [Step::Hang]);
    let held = Task::pending(world.client.write(""));
    let waiting = Task::pending(world.client.write(""));
    assert_eq!(refused(ready(world.client.write(""))).0, RejectedBy::QueueFull);
    drop(waiting);
    let waiting = Task::pending(world.client.write(""));
    world.time.advance(ms(100));
    assert_eq!(refused(waiting.ready()).0, RejectedBy::Bulkhead);
    drop(held);
    assert_eq!(tokens_left(&world), 3);
}

#[test]
fn a_token_is_given_back_when_the_breaker_opens_during_the_wait() {
    let policy = base().rate_limit(tokens(6)).bulkhead(permits(1)).build().unwrap();
    let world = World::new(policy, [broken(), broken(), Step::Later(1, Err(Trouble::Broken))]);
    ready(world.client.write("")).unwrap_err();
    ready(world.client.write("")).unwrap_err();
    let last_straw = Task::pending(world.client.write(""));
    let waiting = Task::pending(world.client.write(""));
    last_straw.ready().unwrap_err();
    assert_eq!(refused(waiting.ready()), (RejectedBy::Breaker, Some(secs(5))));
    world.time.advance(secs(5));
    assert_eq!(tokens_left(&world), 3);
}

#[test]
fn everybody_waiting_is_turned_away_at_once_when_the_breaker_opens() {
    let policy = base()
        .bulkhead(permits(1))
        .mailbox(line(3, Strategy::Block { timeout: secs(4) }))
        .build()
        .unwrap();
    let world = World::new(policy, [broken(), broken(), Step::Later(1, Err(Trouble::Broken))]);
    ready(world.client.write("")).unwrap_err();
    ready(world.client.write("")).unwrap_err();
    let last_straw = Task::pending(world.client.write(""));
    let waiting: Vec<_> = (0..8).map(|_| Task::pending(world.client.write(""))).collect();
    let line = world.snapshot().mailbox;
    assert_eq!((line.waiting, line.blocked_now), (3, 5));
    last_straw.ready().unwrap_err();
    for call in waiting {
        assert!(call.wakes() > 0, "asleep behind an open breaker");
        assert_eq!(refused(call.ready()), (RejectedBy::Breaker, Some(secs(5))));
    }
    world.assert_idle(11, "after the flush");
    assert_eq!(world.snapshot().rejected_calls(RejectedBy::Breaker), 8);
}

#[test]
fn everybody_waiting_is_turned_away_when_a_good_answer_opens_the_breaker() {
    let breaker = seawall::breaker::Config::builder()
        .without_failures()
        .failure_rate(0.5)
        .min_calls(3)
        .first_open_for(secs(5));
    let policy = base().breaker(breaker).bulkhead(permits(1)).build().unwrap();
    let world = World::new(policy, [broken(), broken(), Step::Later(1, Ok(7))]);
    (0..2).for_each(|_| _ = ready(world.client.write("")).unwrap_err());
    let holder = Task::pending(world.client.write(""));
    let waiting = [(); 2].map(|()| Task::pending(world.client.write("")));
    assert_eq!(holder.ready(), Ok(7), "the third, and two of three have failed");
    assert_eq!(world.handle.state(), State::Open);
    for call in waiting {
        assert!(call.wakes() > 0, "it sleeps on");
        assert_eq!(refused(call.ready()).0, RejectedBy::Breaker);
    }
}

#[test]
fn a_token_that_had_to_be_taken_is_given_back_where_there_is_no_permit() {
    let bulkhead = permits(1).max_wait(std::time::Duration::ZERO);
    let policy = base().bulkhead(bulkhead).rate_limit(tokens(3)).rate_limit_max_wait(secs(1));
    let world = World::new(policy.build().unwrap(), [Step::Later(1, Ok(7))]);
    let holder = Task::pending(world.client.write(""));
    for _ in 0..5 {
        assert_eq!(refused(ready(world.client.write(""))).0, RejectedBy::Bulkhead);
    }
    assert_eq!(holder.ready(), Ok(7));
    (0..2).for_each(|_| assert_eq!(ready(world.client.write("")), Ok(7), "two are left"));
}

#[test]
fn a_token_of_a_limit_that_took_over_is_given_back_where_there_is_no_permit() {
    let policy = |limit| {
        let bulkhead = permits(1).max_wait(Duration::ZERO);
        base().bulkhead(bulkhead).rate_limit(limit).rate_limit_max_wait(secs(9)).build().unwrap()
    };
    let world =
        World::new(policy(seawall::limit::Config::token_bucket(1, 0.2)), [Step::Later(1, Ok(7))]);
    let holder = Task::pending(world.client.write(""));
    let waiting = Task::pending(world.client.write(""));
    assert!(world.handle.set_policy(policy(tokens(5))));
    assert_eq!(refused(waiting.ready()).0, RejectedBy::Bulkhead);
    assert_eq!(holder.ready(), Ok(7));
    let served = (0..9).filter(|_| ready(world.client.write("")).is_ok()).count();
    assert_eq!(served, 3, "five, less what the one before had given to these two");
}

#[test]
fn half_open_admits_no_more_probes_than_places_and_the_rest_are_refused() {
    let breaker = trips_after(3).half_open_calls(2).success_threshold(2);
    let world = World::new(base().bulkhead(permits(10)).breaker(breaker).build().unwrap(), []);
    trip(&world);
    world.time.advance(secs(5));
    world.service().then([Step::Later(1, Ok(1)), Step::Later(1, Ok(2))]);
    let (one, two) = (Task::pending(world.client.write("")), Task::pending(world.client.write("")));
    assert_eq!(world.handle.state(), State::HalfOpen);
    for _ in 0..5 {
        assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Breaker, None));
    }
    drop(one);
    let three = Task::new(world.client.write("")).ready();
    assert_eq!(three, Ok(7), "a dropped probe's place is another's");
    assert_eq!(two.ready(), Ok(2));
    assert_eq!(world.handle.state(), State::Closed);
}

#[test]
fn a_wait_that_ends_in_half_open_is_counted_as_the_breakers_refusal_not_dispatched() {
    let world = World::new(base().bulkhead(permits(2)).build().unwrap(), []);
    trip(&world);
    world.time.advance(secs(5));
    // The stale call still holds a permit; the probe holds the other.
    world.service().then([Step::Later(1, Err(Trouble::Broken))]);
    let probe = Task::pending(world.client.write(""));
    let seen = world.service().seen();
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Breaker, None));
    probe.ready().unwrap_err();
    assert_eq!(world.handle.state(), State::Open);
    assert_eq!(world.service().seen(), seen);
    world.assert_idle(5, "at the end");
}

#[test]
fn an_answer_from_before_the_breaker_opened_changes_nothing_after_it_closed() {
    let world = World::new(base().bulkhead(permits(5)).build().unwrap(), [Step::Later(1, Ok(1))]);
    let slow = Task::pending(world.client.write(""));
    trip(&world);
    world.time.advance(ms(900));
    assert_eq!(slow.ready(), Ok(1));
    assert_eq!(world.handle.state(), State::Open);
    assert_eq!(world.snapshot().breaker.stale_results, 1);
}
