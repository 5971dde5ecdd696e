//! What a call that has no answer teaches the breaker.

use std::time::Duration;

use seawall::breaker;
use seawall::prelude::*;
use seawall::{CallOutcome, Outcome, State};
use seawall_tests::{Answer, Api, Step, Task, Trouble, World, ready, refused};

use super::build::*;

fn hanging(policy: seawall::policy::Builder) -> World {
    World::new(policy.build().unwrap(), vec![Step::Hang; 10])
}

fn call(world: &World) -> Task<'_, Answer> {
    Task::pending(world.client.write(""))
}

#[test]
fn a_call_dropped_before_its_slow_threshold_teaches_nothing() {
    let world = hanging(base().breaker(trips_after(1).slow_call(ms(200))));
    let dropped = call(&world);
    world.time.advance(ms(200) - Duration::from_nanos(1));
    drop(dropped);
    assert_eq!(world.handle.state(), State::Closed);
    assert_eq!(world.snapshot().attempts(Outcome::Cancelled), 1);
}

#[test]
fn a_call_dropped_after_its_slow_threshold_counts_as_a_failure() {
    let world = hanging(base().breaker(trips_after(2).slow_call(ms(200))));
    for _ in 0..2 {
        let dropped = call(&world);
        world.time.advance(ms(200));
        drop(dropped);
    }
    assert_eq!(world.handle.state(), State::Open, "a black hole behind impatient callers");
    assert_eq!(world.calls(CallOutcome::Cancelled), 2, "for the caller it was still cancelled");
    world.assert_idle(2, "at the end");
}

#[test]
fn without_a_slow_threshold_the_timeout_is_one() {
    let world = hanging(base().breaker(trips_after(1)));
    let dropped = call(&world);
    // Past its timeout, but its task was never run again.
    world.time.advance(secs(1));
    drop(dropped);
    assert_eq!(world.handle.state(), State::Open);
}

/// A holder keeps the only permit until one attempt of another call has `left` of its timeout of 1 s left. Nobody has
/// looked before, so it is let in all the same.
fn ends_with_the_deadline(left: Duration) -> State {
    let policy = base()
        .deadline(secs(1))
        .timeout(secs(1))
        .breaker(trips_after(1))
        .bulkhead(permits(1).max_wait(secs(1)));
    let world = World::new(policy.build().unwrap(), [Step::Later(1, Ok(0)), Step::Hang]);
    let mut holder = call(&world);
    let mut waiter = call(&world);
    // The holder's timer is passed over: its task is run when its service has the answer.
    world.time.advance(secs(1) - left);
    assert!(holder.poll().is_ready());
    assert!(waiter.poll().is_pending(), "dispatched with {left:?} left");
    assert_eq!(world.service().seen(), 2);
    world.time.advance(left);
    let answer = waiter.ready();
    assert!(matches!(answer, Err(Trouble::Fault(Fault::DeadlineExceeded { .. }))), "{answer:?}");
    world.handle.state()
}

#[test]
fn an_attempt_that_began_with_less_than_half_of_its_timeout_is_not_a_failure() {
    assert_eq!(ends_with_the_deadline(ms(499)), State::Closed);
    assert_eq!(ends_with_the_deadline(ms(250)), State::Closed);
}

#[test]
fn an_attempt_that_began_with_half_of_its_timeout_is_a_failure() {
    assert_eq!(ends_with_the_deadline(ms(500)), State::Open);
}

#[test]
fn a_hung_probe_gives_its_place_to_another_but_never_its_permit() {
    let policy = base()
        .timeout(secs(9))
        .breaker(trips_after(1).probe_life(secs(2)))
        .bulkhead(permits(2))
        .build()
        .unwrap();
    let world = World::new(policy, [Step::Answer(Err(Trouble::Broken)), Step::Hang]);
    ready(world.client.write("")).unwrap_err();
    world.time.advance(secs(5));
    let hung = call(&world);
    assert!(ready(world.client.write("")).is_err(), "its place is taken");
    world.time.advance(secs(2));
    assert_eq!(ready(world.client.write("")), Ok(7), "the place is another's");
    assert_eq!(world.handle.state(), State::Closed);
    assert_eq!(world.snapshot().active, 1, "the permit is still its own");
    drop(hung);
    world.assert_idle(4, "at the end");
}

#[test]
fn a_rate_over_a_window_opens_at_its_threshold_and_not_before_min_calls() {
    let breaker = seawall::breaker::Config::builder()
        .failure_rate(0.5)
        .min_calls(4)
        .first_open_for(secs(5))
        .open_for(secs(5));
    let world = World::new(
        base().breaker(breaker).build().unwrap(),
        [
            Step::Answer(Err(Trouble::Broken)),
            Step::Answer(Err(Trouble::Broken)),
            Step::Answer(Err(Trouble::NotFound)),
            Step::Answer(Ok(1)),
        ],
    );
    for _ in 0..4 {
        let _ = ready(world.client.write(""));
        assert_eq!(world.handle.state(), State::Closed, "three calls count, not four");
    }
    // Evaluated on every outcome: two of four have failed.
    assert_eq!(ready(world.client.write("")), Ok(7));
    assert_eq!(world.handle.state(), State::Open);
}

/// How long the first of some failures, which asks for a time, keeps the breaker open.
#[track_caller]
fn stays_open(breaker: breaker::Builder, asked: Duration) -> Duration {
    let policy = base().breaker(breaker).build().unwrap();
    let world = World::new(policy, [Step::Answer(Err(Trouble::Busy(asked)))]);
    ready(world.client.write("")).unwrap_err();
    assert_eq!(world.handle.state(), State::Open);
    let (by, after) = refused(ready(world.client.write("")));
    assert_eq!(by, RejectedBy::Breaker);
    let after = after.unwrap();
    world.time.advance(after - ms(1));
    assert_eq!(refused(ready(world.client.write(""))).1, Some(ms(1)), "of {after:?}");
    world.time.advance(ms(1));
    assert_eq!(ready(world.client.write("")), Ok(7));
    assert_eq!(world.handle.state(), State::Closed);
    after
}

#[test]
fn a_breaker_stays_open_as_long_as_the_server_asked_but_only_longer_and_to_a_limit() {
    assert_eq!(stays_open(trips_after(1), secs(7)), secs(7));
    assert_eq!(stays_open(trips_after(1), secs(1)), secs(5), "a server cannot switch it off");
    assert_eq!(stays_open(trips_after(1).max_open_for(secs(6)), secs(7)), secs(6));
    assert_eq!(stays_open(trips_after(1), Duration::MAX), secs(600), "max_open_for");
    assert_eq!(stays_open(trips_after(1).use_retry_after(false), secs(7)), secs(5));
}

#[test]
fn a_probe_that_is_told_when_to_come_back_keeps_it_open_for_so_long() {
    let busy = |after| Step::Answer(Err(Trouble::Busy(after)));
    let policy = base().breaker(trips_after(1)).build().unwrap();
    let world = World::new(policy, [Step::Answer(Err(Trouble::Broken)), busy(secs(9))]);
    ready(world.client.write("")).unwrap_err();
    world.time.advance(secs(5));
    ready(world.client.write("")).unwrap_err();
    assert_eq!(refused(ready(world.client.write(""))).1, Some(secs(9)));
}

#[test]
fn an_observing_breaker_opens_and_nobody_notices_but_the_reports() {
    let observing = trips_after(1).enforcement(breaker::Enforcement::Observe);
    let policy = base().breaker(observing).bulkhead(permits(1)).build().unwrap();
    let world = World::new(policy, [Step::Later(1, Err(Trouble::Broken))]);
    let mut holder = call(&world);
    let waiting = call(&world);
    assert_eq!(holder.poll(), std::task::Poll::Ready(Err(Trouble::Broken)));
    assert_eq!(world.handle.state(), State::Open);
    assert_eq!(waiting.ready(), Ok(7), "nobody who waits is sent away");
    assert_eq!(ready(world.client.write("")), Ok(7), "nor who comes");
    let snapshot = world.snapshot();
    assert_eq!(snapshot.calls(CallOutcome::Rejected), 0);
    assert_eq!(snapshot.breaker.refusals_withheld, 2);
}

#[test]
fn after_closing_a_ramp_refuses_some_and_gives_back_what_they_had_taken() {
    let ramping = trips_after(1).ramp(0.5, secs(100));
    let policy = base().breaker(ramping).rate_limit(tokens(12)).bulkhead(permits(1));
    let world = World::new(policy.build().unwrap(), [Step::Answer(Err(Trouble::Broken))]);
    ready(world.client.write("")).unwrap_err();
    world.time.advance(secs(5));
    assert_eq!(ready(world.client.write("")), Ok(7));
    assert_eq!(world.handle.state(), State::Closed);
    let served = (0..20).filter(|_| ready(world.client.write("")).is_ok()).count();
    assert_eq!(served, 10, "every other one, and a refused one burns no token");
    assert_eq!(world.snapshot().calls(CallOutcome::Rejected), 10);
    assert_eq!(world.snapshot().rejections(RejectedBy::Breaker), 10);
    world.assert_idle(22, "at the end");
}

#[test]
fn answers_that_take_too_long_open_it_well_as_they_are() {
    let breaker = breaker::Config::builder().slow_call(ms(200)).slow_call_rate(0.5).min_calls(2);
    let world = World::new(
        base().breaker(breaker).build().unwrap(),
        vec![Step::Later(1, Ok(1)), Step::Later(1, Ok(2))],
    );
    for (takes, state) in [(ms(199), State::Closed), (ms(200), State::Open)] {
        let slow = call(&world);
        world.time.advance(takes);
        slow.ready().unwrap();
        assert_eq!(world.handle.state(), state, "after {takes:?}");
    }
    let report = world.snapshot().breaker;
    assert_eq!((report.window_failures, report.failures_in_a_row), (0, 0));
}
