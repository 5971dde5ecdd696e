//! A policy that changes while its dependency is in use: what holds for the next call.

use std::time::Duration;

use seawall::backpressure::Strategy;
use seawall::breaker::Enforcement;
use seawall::bulkhead::Limit;
use seawall::event::{Command, State};
use seawall::prelude::*;
use seawall::{Snapshot, retry};
use seawall_tests::{
    Answer, Api, Step, Task, Trouble, World, block_on, eventually, ready, refused,
};

use super::build::*;

/// Every permit is taken by a call that never ends, of one that may take an hour.
fn world(policy: seawall::policy::Builder) -> World {
    World::new(patient(policy), vec![Step::Hang; 10])
}

fn patient(policy: seawall::policy::Builder) -> Policy {
    policy.timeout(secs(3_600)).deadline(secs(3_600)).build().unwrap()
}

fn call(world: &World) -> Task<'_, Answer> {
    Task::pending(world.client.write(""))
}

/// After how long a call is refused, and by whom.
fn refused_after(world: &World, after: Duration) -> RejectedBy {
    let mut waiter = call(world);
    world.time.advance(after - Duration::from_nanos(1));
    assert!(waiter.poll().is_pending(), "before {after:?}");
    world.time.advance(Duration::from_nanos(1));
    refused(waiter.ready()).0
}

#[test]
fn calls_wait_for_a_permit_as_long_as_the_new_policy_says() {
    let world = world(base().bulkhead(permits(1)));
    let _holder = call(&world);
    assert_eq!(refused_after(&world, secs(4)), RejectedBy::Bulkhead);
    assert!(world.handle.set_policy(patient(base().bulkhead(permits(1).max_wait(secs(1))))));
    assert_eq!(refused_after(&world, secs(1)), RejectedBy::Bulkhead);
}

#[test]
fn calls_wait_for_room_as_long_as_the_new_policy_says() {
    let blocks = |timeout| {
        let line = line(1, Strategy::Block { timeout });
        base().bulkhead(permits(1).max_wait(secs(60))).mailbox(line)
    };
    let world = world(blocks(secs(2)));
    let _holding = (call(&world), call(&world));
    assert_eq!(refused_after(&world, secs(2)), RejectedBy::QueueFull);
    assert!(world.handle.set_policy(patient(blocks(secs(1)))));
    assert_eq!(refused_after(&world, secs(1)), RejectedBy::QueueFull);
}

#[test]
fn a_longer_queue_has_room_at_once() {
    let of = |capacity| base().bulkhead(permits(1)).mailbox(line(capacity, Strategy::Error));
    let world = world(of(1));
    let _holding = (call(&world), call(&world));
    let by = || refused(ready(world.client.write(""))).0;
    assert_eq!(by(), RejectedBy::QueueFull);
    assert!(world.handle.set_policy(patient(of(2))));
    let _waits = call(&world);
    assert_eq!((world.snapshot().mailbox.waiting, by()), (2, RejectedBy::QueueFull));
}

#[test]
fn a_call_waits_for_its_token_if_the_new_policy_lets_it() {
    let with = |wait| {
        base().rate_limit(seawall::limit::Config::token_bucket(1, 1.0)).rate_limit_max_wait(wait)
    };
    let world = World::new(with(Duration::ZERO).build().unwrap(), []);
    assert!(ready(world.client.write("")).is_ok());
    assert_eq!(refused(ready(world.client.write(""))).0, RejectedBy::RateLimit);
    assert!(world.handle.set_policy(with(secs(2)).build().unwrap()));
    let waits = call(&world);
    world.time.advance(secs(1));
    assert_eq!(waits.ready(), Ok(7));
}

#[test]
fn a_permit_is_kept_for_the_grace_of_the_new_policy() {
    let with = |grace| base().bulkhead(permits(1).grace(grace)).build().unwrap();
    let world = World::new(with(Duration::ZERO), [Step::Hang, Step::Hang]);
    let times_out = || {
        let hangs = call(&world);
        world.time.advance(secs(1));
        assert!(hangs.ready().is_err());
    };
    times_out();
    assert_eq!(world.snapshot().active, 0);
    assert!(world.handle.set_policy(with(ms(300))));
    times_out();
    assert_eq!(world.snapshot().active, 1, "it may still be busy");
    world.time.advance(ms(300));
    eventually("its actor gives it back", || world.snapshot().active == 0);
}

#[test]
fn a_number_of_permits_that_finds_itself_is_looked_for_from_the_reload_on() {
    let by = |limit| base().bulkhead(permits(50).limit(limit)).build().unwrap();
    let world = World::new(by(Limit::Fixed), vec![Step::Later(1, Ok(1)); 60]);
    assert_eq!(world.snapshot().limit, 50);
    assert!(world.handle.set_policy(by(Limit::Aimd)));
    assert_eq!(world.snapshot().limit, 20, "what it begins with");
    // Twenty at once, and twenty more: one window, in which all were in use.
    for _ in 0..2 {
        let calls: Vec<_> = (0..20).map(|_| call(&world)).collect();
        world.time.advance(ms(60));
        calls.into_iter().for_each(|call| assert!(call.ready().is_ok()));
    }
    assert_eq!(world.snapshot().limit, 21);
    assert!(world.handle.set_policy(by(Limit::Fixed)));
    assert_eq!(world.snapshot().limit, 50);
}

#[test]
fn retries_go_by_the_budget_of_the_new_policy() {
    let with = |least| {
        let budget = retry::BudgetConfig::builder().ratio(0.01).min_per_second(least);
        base().retry(retries(2).budget(budget.build().unwrap())).build().unwrap()
    };
    let broken = || Step::Answer(Err(Trouble::Broken));
    let world = World::new(with(0.0), [broken(), broken(), broken()]);
    assert!(ready(world.client.read("")).is_err());
    assert_eq!(world.service().seen(), 1, "none is in the budget");
    assert!(world.handle.set_policy(with(10.0)));
    let retried = Task::pending(world.client.read(""));
    world.time.advance(ms(100));
    assert!(retried.ready().is_err());
    assert_eq!(world.service().seen(), 3);
}

#[test]
fn a_breaker_that_a_reload_closes_tells_of_it() {
    let world = World::new(base().build().unwrap(), vec![Step::Answer(Err(Trouble::Broken)); 3]);
    (0..3).for_each(|_| assert!(ready(world.client.write("")).is_err()));
    world.moves_to(State::Open);
    let off = seawall::breaker::Config::builder().enforcement(Enforcement::Disabled);
    assert!(world.handle.set_policy(base().breaker(off).build().unwrap()));
    world.moves_to(State::Closed);
}

#[test]
fn an_order_by_hand_is_told_and_shown_until_it_is_taken_back() {
    let world = World::new(base().build().unwrap(), []);
    let given = |snapshot: Snapshot| snapshot.by_hand.map(|order| order.command);
    assert_eq!(given(world.snapshot()), None);
    assert_eq!(given(ready(world.handle.force_open()).unwrap()), Some(Command::ForceOpen));
    world.moves_to(State::Open);
    assert_eq!(given(ready(world.handle.disable()).unwrap()), Some(Command::Disable));
    world.moves_to(State::Closed);
    assert_eq!(given(ready(world.handle.reset()).unwrap()), None);
}

#[test]
fn a_call_that_finds_a_grace_over_takes_the_permit_and_gives_it_back() {
    let world =
        World::new(base().bulkhead(permits(1).grace(ms(300))).build().unwrap(), [Step::Hang]);
    let hangs = call(&world);
    world.time.advance(secs(1));
    assert!(hangs.ready().is_err());
    world.time.advance(ms(300));
    // Before its actor, after it, or while that is at it: then the call waits for a moment.
    assert_eq!(block_on(world.client.write("")), Ok(7));
    world.assert_idle(2, "at the end");
}

#[test]
fn a_call_that_waits_for_its_token_while_the_limit_changes_is_refused_by_the_new_one() {
    let with = |limit| base().rate_limit(limit).rate_limit_max_wait(secs(9)).build().unwrap();
    let limit = |per_second| seawall::limit::Config::token_bucket(1, per_second);
    let world = World::new(with(limit(1.0)), []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    let waits = call(&world);
    // What was spent stays spent, and there would be another one in 1,000 s only.
    assert!(world.handle.set_policy(with(limit(0.001))));
    assert!(waits.wakes() > 0);
    assert_eq!(refused(waits.ready()).0, RejectedBy::RateLimit);
    world.assert_idle(2, "at the end");
}
