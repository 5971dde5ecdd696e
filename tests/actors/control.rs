//! What a dependency's actor does by itself, what it does when told, and what a crash of it changes.

use std::time::Duration;

use seawall::Snapshot;
use seawall::actor::{Control, ControlError, RestartPolicy};
use seawall::breaker;
use seawall::prelude::*;
use seawall::{CallOutcome, Event, State};
use seawall_tests::{Api, Step, Task, Trouble, World, block_on, eventually, ready, refused};

use crate::build::*;

fn broken() -> Step {
    Step::Answer(Err(Trouble::Broken))
}

/// Rebuilds at once, as often as need be.
fn restless() -> RestartPolicy {
    let policy = RestartPolicy::builder().backoff(Duration::ZERO, Duration::ZERO);
    policy.intensity(10_000, Duration::from_secs(1)).build().unwrap()
}

fn world() -> World {
    World::with(base().build().unwrap(), [], |builder| builder.restart(restless()))
}

fn trip(world: &World) {
    world.service().then(vec![broken(); 3]);
    for _ in 0..3 {
        ready(world.client.write("")).unwrap_err();
    }
    world.moves_to(State::Open);
}

/// Twice, because the second answer is certain to come after what the first one found in its way.
fn hear_from_the_actor(world: &World) -> Snapshot {
    block_on(world.handle.tell(Control::Snapshot)).unwrap();
    block_on(world.handle.tell(Control::Snapshot)).unwrap()
}

fn crash(world: &World) {
    let answer = block_on(world.handle.tell(Control::Crash));
    assert_eq!(answer.unwrap_err(), ControlError::NoAnswer);
}

#[test]
fn an_open_breaker_moves_on_with_nobody_calling() {
    let world = world();
    trip(&world);
    world.time.advance(secs(5));
    world.moves_to(State::HalfOpen);
    assert_eq!(world.handle.state(), State::HalfOpen);
}

#[test]
fn and_does_so_again_after_a_probe_has_failed() {
    let world = world();
    trip(&world);
    for _ in 0..3 {
        world.time.advance(secs(5));
        world.moves_to(State::HalfOpen);
        world.service().then([broken()]);
        ready(world.client.write("")).unwrap_err();
        world.moves_to(State::Open);
    }
}

#[test]
fn an_open_breaker_moves_on_with_nobody_calling_even_if_its_actor_died_meanwhile() {
    let world = world();
    trip(&world);
    hear_from_the_actor(&world);
    crash(&world);
    assert!(matches!(world.event(), Event::ActorRestarted { restarts: 1, .. }));
    hear_from_the_actor(&world);
    world.time.advance(secs(5));
    world.moves_to(State::HalfOpen);
}

#[test]
fn forced_open_it_refuses_until_reset_however_long_that_takes() {
    let world = world();
    let snapshot = block_on(world.handle.force_open()).unwrap();
    assert_eq!(snapshot.state(), State::Open);
    world.moves_to(State::Open);
    for _ in 0..3 {
        world.time.advance(secs(3600));
        assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Breaker, None));
    }
    assert_eq!(block_on(world.handle.reset()).unwrap().state(), State::Closed);
    world.moves_to(State::Closed);
    assert_eq!(ready(world.client.write("")), Ok(7));
}

#[test]
fn forcing_it_open_turns_away_whoever_waits() {
    let world = world();
    world.service().then(vec![Step::Hang; 2]);
    let holding = [Task::pending(world.client.write("")), Task::pending(world.client.write(""))];
    let waiting = Task::pending(world.client.write(""));
    block_on(world.handle.force_open()).unwrap();
    assert!(waiting.wakes() > 0);
    assert_eq!(refused(waiting.ready()), (RejectedBy::Breaker, None));
    drop(holding);
    world.assert_idle(3, "after it");
}

#[test]
fn forced_closed_it_admits_and_counts_nothing_until_reset() {
    let world = world();
    trip(&world);
    block_on(world.handle.force_closed()).unwrap();
    world.moves_to(State::Closed);
    world.service().then(vec![broken(); 20]);
    for _ in 0..20 {
        assert_eq!(ready(world.client.write("")), Err(Trouble::Broken));
    }
    assert_eq!(world.handle.state(), State::Closed);
    block_on(world.handle.reset()).unwrap();
    trip(&world);
}

#[test]
fn disabled_by_hand_it_says_so_and_admits_until_reset() {
    let world = world();
    trip(&world);
    let told = block_on(world.handle.disable()).unwrap();
    assert_eq!((told.state(), told.breaker.mode), (State::Closed, breaker::Mode::Disabled));
    world.moves_to(State::Closed);
    world.service().then(vec![broken(); 20]);
    for _ in 0..20 {
        assert_eq!(ready(world.client.write("")), Err(Trouble::Broken));
    }
    block_on(world.handle.reset()).unwrap();
    trip(&world);
}

#[test]
fn told_to_observe_it_refuses_nothing_and_counts_what_it_would_have() {
    let world = world();
    let told = block_on(world.handle.observe()).unwrap();
    assert_eq!(told.breaker.mode, breaker::Mode::Observing);
    trip(&world);
    crash(&world);
    assert!(matches!(world.event(), Event::ActorRestarted { .. }));
    for _ in 0..3 {
        assert_eq!(ready(world.client.write("")), Ok(7));
    }
    assert_eq!(world.snapshot().breaker.refusals_withheld, 3);
    block_on(world.handle.reset()).unwrap();
    world.moves_to(State::Closed);
    trip(&world);
    assert_eq!(refused(ready(world.client.write(""))).0, RejectedBy::Breaker);
}

#[test]
fn a_snapshot_through_the_actor_is_the_one_read_directly() {
    let world = world();
    assert_eq!(ready(world.client.write("")), Ok(7));
    let (told, read) = (hear_from_the_actor(&world), world.snapshot());
    assert_eq!(told.dependency, "api");
    assert_eq!(told.calls(CallOutcome::Success), 1);
    assert_eq!(read.calls(CallOutcome::Success), 1);
    assert_eq!((told.limit, told.capacity, told.restarts), (2, 2, 0));
}

#[test]
fn a_crash_loses_neither_breaker_state_nor_permits_nor_waiters() {
    let world = world();
    world.service().then([broken(), broken()]);
    for _ in 0..2 {
        ready(world.client.write("")).unwrap_err();
    }
    world.service().then([Step::Later(2, Ok(1)), Step::Hang, Step::Later(1, Ok(2))]);
    let mut holding = Task::pending(world.client.write(""));
    let _other = Task::pending(world.client.write(""));
    let mut waiting = Task::pending(world.client.write(""));
    for restarts in 1..=3 {
        crash(&world);
        let (at, dependency) = (world.seawall.now(), "api".into());
        assert_eq!(world.event(), Event::ActorRestarted { at, dependency, restarts });
        let now = hear_from_the_actor(&world);
        assert_eq!((now.active, now.mailbox.waiting, now.restarts), (2, 1, restarts));
        assert_eq!(now.breaker.window_failures, 2);
    }
    assert!(holding.poll().is_pending() && waiting.poll().is_pending());
    assert_eq!(holding.ready(), Ok(1));
    assert!(waiting.poll().is_pending());
    assert_eq!(waiting.ready(), Ok(2));
}

#[test]
fn calls_go_on_while_the_actor_is_being_rebuilt() {
    // Nobody moves time, so the backoff never ends: there is no actor at all.
    let slow = RestartPolicy::builder().backoff(secs(1), secs(1)).build().unwrap();
    let world = World::with(base().build().unwrap(), [], |builder| builder.restart(slow));
    crash(&world);
    for _ in 0..100 {
        assert_eq!(ready(world.client.write("")), Ok(7));
    }
    trip(&world);
    assert_eq!(refused(ready(world.client.write(""))).0, RejectedBy::Breaker);
    world.time.advance(secs(5));
    assert_eq!(ready(world.client.write("")), Ok(7), "callers move it on by themselves");
    assert_eq!(world.handle.state(), State::Closed);
    assert_eq!(world.snapshot().calls(CallOutcome::Success), 101);
}

#[test]
fn a_request_while_the_actor_is_being_rebuilt_is_answered_by_the_next_one() {
    let slow = RestartPolicy::builder().backoff(secs(1), secs(1)).build().unwrap();
    let world = World::with(base().build().unwrap(), [], |builder| builder.restart(slow));
    crash(&world);
    assert_eq!(ready(world.handle.force_open()).unwrap().state(), State::Open, "needs no actor");
    let mut told = Task::pending(world.handle.tell(Control::Snapshot));
    let mut answer = std::task::Poll::Pending;
    eventually("the next actor answers", || {
        world.time.advance(ms(1));
        answer = told.poll();
        answer.is_ready()
    });
    assert!(
        matches!(answer, std::task::Poll::Ready(Ok(snapshot)) if snapshot.state() == State::Open)
    );
}

#[test]
fn an_actor_that_keeps_failing_is_left_alone_for_a_while_and_then_tried_again() {
    let policy = RestartPolicy::builder()
        .backoff(Duration::ZERO, Duration::ZERO)
        .intensity(3, secs(60))
        .unattended_for(secs(30))
        .build()
        .unwrap();
    let world = World::with(base().build().unwrap(), [], |builder| builder.restart(policy));
    for restarts in 1..=3 {
        crash(&world);
        let (at, dependency) = (world.seawall.now(), "api".into());
        assert_eq!(world.event(), Event::ActorRestarted { at, dependency, restarts });
    }
    assert!(!world.snapshot().unattended);
    crash(&world);
    let (at, dependency) = (world.seawall.now(), "api".into());
    assert_eq!(world.event(), Event::ActorUnattended { at, dependency });
    assert!(world.snapshot().unattended);
    // The kill switch works with no actor at all.
    assert_eq!(ready(world.handle.force_open()).unwrap().state(), State::Open);
    world.moves_to(State::Open);
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Breaker, None));
    ready(world.handle.reset()).unwrap();
    world.moves_to(State::Closed);
    assert_eq!(ready(world.client.write("")), Ok(7), "calls go on under the last policy");
    eventually("it is tried again", || {
        world.time.advance(secs(1));
        !world.snapshot().unattended
    });
    assert!(matches!(world.event(), Event::ActorRestarted { restarts: 4, .. }));
    assert!(block_on(world.handle.tell(Control::Snapshot)).is_ok());
}

#[test]
fn nobody_answers_for_a_dependency_that_is_gone() {
    let World { client, handle, .. } = world();
    drop(client);
    assert_eq!(block_on(handle.reset()).unwrap_err(), ControlError::Dismissed);
    assert_eq!(handle.snapshot().dependency, "api", "but it can still be read");
}
