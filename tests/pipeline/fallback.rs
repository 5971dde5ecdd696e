//! The fallback: when it is asked, how long it may take, and how its answer counts.

use seawall::prelude::*;
use seawall::{CallOutcome, Outcome, degraded};
use seawall_tests::{Answer, Api, SPARE, Step, Task, Trouble, World, ready, refused};

use super::build::*;

fn broken() -> Step {
    Step::Answer(Err(Trouble::Broken))
}

/// Deadline 2 s, of which 500 ms are kept for the fallback.
fn policy() -> seawall::policy::Builder {
    base()
        .deadline(secs(2))
        .timeout(secs(2))
        .fallback_timeout(ms(500))
        .bulkhead(permits(1).max_wait(secs(2)))
}

fn world(script: impl IntoIterator<Item = Step>) -> World {
    World::new(policy().build().unwrap(), script)
}

#[test]
fn it_answers_for_a_failure_and_the_call_counts_as_fallback() {
    let world = world([broken()]);
    assert_eq!(ready(world.client.cached("ready")), Ok(SPARE));
    let now = world.snapshot();
    assert_eq!((now.calls(CallOutcome::Fallback), now.attempts(Outcome::Failure)), (1, 1));
    assert_eq!(
        now.breaker.window_failures, 1,
        "the breaker hears of the failure, not of the fallback"
    );
    world.assert_idle(1, "at the end");
}

#[test]
fn it_answers_for_every_refusal() {
    let world = World::new(policy().rate_limit(tokens(1)).build().unwrap(), []);
    assert_eq!(ready(world.client.cached("ready")), Ok(7));
    assert_eq!(ready(world.client.cached("ready")), Ok(SPARE));
    let now = world.snapshot();
    assert_eq!(now.calls(CallOutcome::Fallback), 1);
    assert_eq!(now.rejections(RejectedBy::RateLimit), 1);
    assert_eq!(now.rejected_calls(RejectedBy::RateLimit), 0);
}

#[test]
fn it_is_asked_after_the_last_attempt_only() {
    let world = world([broken(), broken(), broken()]);
    let mut call = Task::pending(world.client.both("ready"));
    world.time.advance(ms(100));
    assert!(call.poll().is_pending());
    world.time.advance(ms(200));
    assert_eq!(call.ready(), Ok(SPARE));
    assert_eq!(world.service().seen(), 3);
}

#[test]
fn attempts_leave_it_the_time_that_is_kept_for_it() {
    let world = world([Step::Hang]);
    let mut call = Task::pending(world.client.cached("later"));
    world.time.advance(ms(1500));
    assert!(call.wakes() > 0, "the attempts end 500 ms before the deadline");
    assert!(call.poll().is_pending(), "the fallback waits");
    assert_eq!(world.time.now().as_nanos(), 1_500_000_000);
    assert_eq!(call.ready(), Ok(SPARE));
    assert_eq!(world.calls(CallOutcome::Fallback), 1);
}

#[test]
fn a_waiting_one_ends_with_the_deadline_and_the_call_with_its_own_error() {
    let world = world([broken()]);
    let mut call = Task::pending(world.client.cached("never"));
    world.time.advance(ms(1999));
    assert!(call.poll().is_pending());
    world.time.advance(ms(1));
    assert_eq!(call.ready(), Err(Trouble::Broken));
    assert_eq!(world.calls(CallOutcome::Failure), 1);
    world.assert_idle(1, "at the end");
}

/// Past the whole deadline before the fallback is first polled.
fn after_the_deadline(key: &'static str) -> (CallOutcome, Answer) {
    let world = world([Step::Hang]);
    let call = Task::pending(world.client.cached(key));
    world.time.advance(secs(3));
    let answer = call.ready();
    let how = CallOutcome::ALL.iter().copied().find(|&outcome| world.calls(outcome) > 0);
    (how.unwrap(), answer)
}

#[test]
fn after_the_deadline_one_that_is_ready_is_heard() {
    let (how, answer) = after_the_deadline("ready");
    assert_eq!((how, answer), (CallOutcome::Fallback, Ok(SPARE)));
}

#[test]
fn after_the_deadline_one_that_waits_is_not() {
    let (how, answer) = after_the_deadline("later");
    assert!(matches!(answer, Err(Trouble::Fault(Fault::DeadlineExceeded { .. }))), "{answer:?}");
    assert_eq!(how, CallOutcome::DeadlineExceeded);
}

#[test]
fn of_a_callers_budget_it_has_half_at_most() {
    let world = world([Step::Hang]);
    let time = seawall::Time::from(world.time.clone());
    let budget = seawall::deadline::Deadline::on(&time, ms(600));
    let call = Task::pending(seawall::deadline::scope(budget, world.client.cached("ready")));
    world.time.advance(ms(299));
    assert_eq!(call.wakes(), 0, "the attempt has as much");
    world.time.advance(ms(1));
    assert!(call.wakes() > 0);
    assert_eq!(call.ready(), Ok(SPARE));
}

#[test]
fn its_own_error_is_the_calls_failure() {
    let world = world([broken()]);
    assert_eq!(ready(world.client.cached("error")), Err(Trouble::Final));
    assert_eq!(world.calls(CallOutcome::Failure), 1);
}

#[test]
fn it_holds_no_permit() {
    let world = world([broken()]);
    let fallback = Task::pending(world.client.cached("never"));
    assert_eq!(world.snapshot().active, 0);
    assert_eq!(ready(world.client.write("")), Ok(7), "the only permit is free");
    drop(fallback);
    world.assert_idle(2, "at the end");
    assert_eq!(world.calls(CallOutcome::Cancelled), 1);
}

#[test]
fn methods_without_one_hear_the_refusal() {
    let world = World::new(policy().rate_limit(tokens(1)).build().unwrap(), []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    assert_eq!(refused(ready(world.client.write(""))).0, RejectedBy::RateLimit);
}

#[test]
fn who_asks_is_told_of_the_fallback_and_why_it_answered() {
    let limited = World::new(policy().rate_limit(tokens(1)).build().unwrap(), [broken()]);
    let failed = ready(degraded(limited.client.cached("ready")));
    assert_eq!(failed.answer, Ok(SPARE));
    let why = failed.fallback.unwrap();
    assert_eq!((why.instead_of, why.refused_by, why.age), (CallOutcome::Failure, None, None));
    assert_eq!(why.reason(), "failure");
    let refused = ready(degraded(limited.client.cached("ready"))).fallback.unwrap();
    assert_eq!(refused.refused_by, Some(RejectedBy::RateLimit));
    assert_eq!((refused.instead_of, refused.reason()), (CallOutcome::Rejected, "rate_limit"));
    let now = limited.snapshot();
    let cached = now.methods.iter().find(|method| method.name == "cached").unwrap();
    let counted: Vec<_> = cached.fallbacks().collect();
    assert_eq!(counted, [("failure", 1), ("rate_limit", 1)]);
    assert_eq!(serde_json::to_value(cached).unwrap()["fallbacks"]["rate_limit"], 1);
}

#[test]
fn the_dependencys_own_answer_is_not_degraded_and_nor_is_the_next_task() {
    let world = world([broken(), Step::Answer(Ok(7))]);
    // Nobody asks about this one.
    assert_eq!(ready(world.client.cached("ready")), Ok(SPARE));
    let own = ready(degraded(world.client.cached("ready")));
    assert_eq!((own.answer, own.fallback), (Ok(7), None));
}

#[test]
fn what_a_fallback_takes_is_part_of_what_the_call_took() {
    let world = world([broken()]);
    let call = Task::pending(world.client.cached("later"));
    world.time.advance(ms(300));
    assert_eq!(call.ready(), Ok(SPARE));
    let now = world.snapshot();
    let cached = now.methods.iter().find(|method| method.name == "cached").unwrap();
    assert_eq!(cached.latency.sum_nanos, 300_000_000);
}
