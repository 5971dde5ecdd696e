//! Callers that go away before there is an answer: what the breaker makes of them.

use std::time::Duration;

use seawall::clock::Moment;
use seawall::prelude::*;
use seawall::{Outcome, State};
use seawall_tests::{Api, Step, Task, World, ready};

use super::build::*;

/// A client without a policy.
fn unconfigured(steps: Vec<Step>) -> World {
    World::new(Policy::default(), steps)
}

/// Calls come every `every`, and their callers give up after `patience`. When the breaker has opened.
fn opens_after(world: &World, every: Duration, patience: Duration) -> Option<Duration> {
    let began = world.time.now();
    let mut out: std::collections::VecDeque<(Moment, Task<'_, _>)> = Default::default();
    while world.time.now().since(began) < secs(60) {
        let now = world.time.now();
        while out.front().is_some_and(|(since, _)| now.since(*since) >= patience) {
            out.pop_front();
        }
        out.retain_mut(|(_, task)| task.poll().is_pending());
        if world.handle.state() == State::Open {
            return Some(now.since(began));
        }
        let mut task = Task::new(world.client.write(""));
        if task.poll().is_pending() {
            out.push_back((now, task));
        }
        world.time.advance(every);
    }
    None
}

#[test]
fn a_dependency_that_hangs_from_the_start_is_found_out_within_a_second_of_its_callers_patience() {
    for per_second in [20, 200] {
        for patience in [ms(300), secs(1), secs(3), secs(30)] {
            let world = unconfigured(vec![Step::Hang; 20_000]);
            let opened = opens_after(&world, secs(1) / per_second, patience).unwrap();
            // A call is ended by its timeout of 10 s at the latest.
            let limit = patience.min(secs(10)) + secs(1);
            assert!(opened <= limit, "{per_second}/s, {patience:?}: {opened:?}");
        }
    }
}

#[test]
fn one_answer_in_between_says_that_the_dependency_is_there() {
    for answer in [Ok(1), Err(seawall_tests::Trouble::NotFound)] {
        let world = unconfigured(Vec::new());
        for _ in 0..20 {
            world.service().then(vec![Step::Hang; 9]);
            for _ in 0..9 {
                let dropped = Task::pending(world.client.write(""));
                world.time.advance(ms(300));
                drop(dropped);
            }
            world.service().then([Step::Answer(answer.clone())]);
            let _ = ready(world.client.write(""));
        }
        assert_eq!(world.handle.state(), State::Closed);
    }
}

#[test]
fn losers_of_a_race_against_a_dead_endpoint_open_its_breaker() {
    let world = unconfigured(vec![Step::Hang; 10]);
    for _ in 0..10 {
        assert_eq!(world.handle.state(), State::Closed);
        let loser = Task::pending(world.client.write(""));
        // The other endpoint has answered.
        world.time.advance(ms(5));
        drop(loser);
    }
    assert_eq!(world.handle.state(), State::Open);
}

#[test]
fn calls_dropped_at_once_say_nothing() {
    let world = unconfigured(vec![Step::Hang; 100]);
    for _ in 0..100 {
        let dropped = Task::pending(world.client.write(""));
        world.time.advance(Duration::from_micros(999));
        drop(dropped);
    }
    assert_eq!(world.handle.state(), State::Closed);
    assert_eq!(world.snapshot().attempts(Outcome::Cancelled), 100);
}

#[test]
fn a_call_dropped_after_twice_the_usual_latency_is_a_failure() {
    let world = World::new(
        Policy::builder().breaker(trips_after(1)).build().unwrap(),
        vec![Step::Later(1, Ok(7)); 40],
    );
    for _ in 0..40 {
        let call = Task::pending(world.client.write(""));
        world.time.advance(ms(10));
        assert_eq!(call.ready(), Ok(7));
    }
    world.time.advance(secs(2));
    for (wait, state) in [(15, State::Closed), (20, State::Open)] {
        world.service().then([Step::Hang]);
        let dropped = Task::pending(world.client.write(""));
        world.time.advance(ms(wait));
        drop(dropped);
        assert_eq!(world.handle.state(), state, "{wait} ms");
    }
}

/// Many calls are out before the first one is answered, and some of their callers give up.
#[test]
fn while_many_attempts_are_out_a_few_that_are_dropped_say_nothing() {
    let policy = Policy::builder().bulkhead(permits(400)).build().unwrap();
    let world = World::new(policy, vec![Step::Hang; 400]);
    let mut out: Vec<_> = (0..400).map(|_| Task::pending(world.client.write(""))).collect();
    world.time.advance(ms(300));
    out.truncate(321);
    assert_eq!(world.handle.state(), State::Closed, "79 dropped, 321 are out");
    out.truncate(320);
    assert_eq!(world.handle.state(), State::Open, "a quarter as many as are out");
}

#[test]
fn it_can_be_switched_off() {
    let breaker = seawall::breaker::Config::builder().without_unanswered();
    let world =
        World::new(Policy::builder().breaker(breaker).build().unwrap(), vec![Step::Hang; 100]);
    for _ in 0..100 {
        let dropped = Task::pending(world.client.write(""));
        world.time.advance(ms(300));
        drop(dropped);
    }
    assert_eq!(world.handle.state(), State::Closed);
}

#[test]
fn failures_in_a_row_switched_off_leave_a_rate_that_old_successes_do_not_vouch_against() {
    let text = r#"
        [api]
        timeout = "800ms"
        deadline = "2s"
        breaker = { failures = false, failure_rate = 0.5, window = "30s" }
        bulkhead = { max_concurrent = 20 }
    "#;
    let policy = seawall::policy::PolicyFile::parse(text, "test.toml").unwrap().policy("api");
    let world = World::new(policy, vec![Step::Answer(Ok(1)); 6_000]);
    for _ in 0..6_000 {
        ready(world.client.write("")).unwrap();
        world.time.advance(ms(5));
    }
    world.service().then(vec![Step::Hang; 10_000]);
    let opened = opens_after(&world, ms(5), secs(30)).unwrap();
    assert!(opened < secs(2) + ms(800), "{opened:?}");
}
