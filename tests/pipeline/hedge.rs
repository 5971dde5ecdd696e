//! Hedging: an attempt that has no answer in time gets another beside it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use seawall::outcome::AttemptKind;
use seawall::prelude::*;
use seawall::retry::{BudgetConfig, BudgetMode, HedgeBuilder, HedgeConfig};
use seawall::{CallOutcome, Outcome};
use seawall_tests::{Answer, Api, Step, Task, Trouble, World, ready};

use super::build::*;

fn after_50_ms() -> HedgeBuilder {
    HedgeConfig::builder().after(ms(50))
}

fn hedged(hedge: HedgeBuilder, script: Vec<Step>) -> World {
    hedged_with(hedge, retries(1), script)
}

fn hedged_with(hedge: HedgeBuilder, retry: seawall::retry::Builder, script: Vec<Step>) -> World {
    let retry = retry.hedge(hedge.build().unwrap());
    let policy = base().breaker(trips_after(100)).bulkhead(permits(4)).retry(retry);
    World::new(policy.build().unwrap(), script)
}

fn broken() -> Step {
    Step::Answer(Err(Trouble::Broken))
}

/// What the call says after so many milliseconds more.
fn after(world: &World, call: &mut Task<'_, Answer>, millis: u64) -> Poll<Answer> {
    world.time.advance(ms(millis));
    call.poll()
}

#[test]
fn an_attempt_without_an_answer_in_time_gets_another_and_is_dropped_when_that_answers() {
    let world = hedged(after_50_ms(), vec![Step::Hang]);
    let mut call = Task::pending(world.client.read(""));
    assert_eq!(after(&world, &mut call, 49), Poll::Pending);
    assert_eq!(world.service().seen(), 1);
    assert_eq!(after(&world, &mut call, 1), Poll::Ready(Ok(7)));
    let now = world.snapshot();
    assert_eq!((world.service().seen(), world.service().inside()), (2, 0), "the loser is dropped");
    assert_eq!((now.hedges, now.retries), (1, 0));
    assert_eq!(now.attempts_of(AttemptKind::Original, Outcome::Cancelled), 1);
    assert_eq!(now.attempts_of(AttemptKind::Hedge, Outcome::Success), 1);
    assert_eq!(now.attempts_of(AttemptKind::Original, Outcome::Success), 0);
    assert_eq!(now.calls(CallOutcome::Success), 1);
    assert_eq!(now.calls(CallOutcome::Cancelled), 0, "a loser is no call");
    world.assert_idle(1, "at the end");
}

#[test]
fn what_answers_in_time_or_may_not_be_repeated_has_no_hedge() {
    let world = hedged(after_50_ms(), vec![Step::Later(1, Ok(7)), Step::Hang]);
    let mut call = Task::pending(world.client.read(""));
    assert_eq!(after(&world, &mut call, 49), Poll::Ready(Ok(7)));
    let mut call = Task::pending(world.client.write(""));
    assert_eq!(after(&world, &mut call, 999), Poll::Pending);
    assert_eq!((world.service().seen(), world.snapshot().hedges), (2, 0));
}

#[test]
fn each_hedge_comes_as_long_after_the_one_before_up_to_the_most() {
    let world = hedged(after_50_ms().max(2), vec![Step::Hang; 9]);
    let mut call = Task::pending(world.client.read(""));
    let mut seen = Vec::new();
    for _ in 0..4 {
        assert_eq!(after(&world, &mut call, 50), Poll::Pending);
        seen.push(world.service().seen());
    }
    assert_eq!(seen, [2, 3, 3, 3]);
}

#[test]
fn a_failure_waits_for_the_attempt_beside_it() {
    for script in [
        vec![Step::Later(2, Err(Trouble::Broken)), Step::Later(3, Ok(7))],
        vec![Step::Later(3, Ok(7)), broken()],
    ] {
        let world = hedged(after_50_ms(), script);
        let mut call = Task::pending(world.client.read(""));
        let mut answer = after(&world, &mut call, 50);
        while answer.is_pending() {
            answer = call.poll();
        }
        assert_eq!(answer, Poll::Ready(Ok(7)));
        let now = world.snapshot();
        assert_eq!((now.attempts(Outcome::Failure), now.attempts(Outcome::Success)), (1, 1));
        world.assert_idle(1, "at the end");
    }
}

#[test]
fn when_all_have_failed_a_retry_follows_with_hedges_of_its_own() {
    let script = vec![Step::Later(2, Err(Trouble::Broken)), broken(), Step::Hang];
    let world = hedged_with(after_50_ms(), retries(2), script);
    let mut call = Task::pending(world.client.read(""));
    assert_eq!(after(&world, &mut call, 50), Poll::Pending);
    // Polled again, the first has failed too: 100 ms of backoff begin.
    assert_eq!(call.poll(), Poll::Pending);
    assert_eq!(after(&world, &mut call, 100), Poll::Pending);
    assert_eq!(world.service().seen(), 3);
    assert_eq!(after(&world, &mut call, 50), Poll::Ready(Ok(7)));
    let now = world.snapshot();
    assert_eq!((now.hedges, now.retries), (2, 1));
    assert_eq!(now.attempts_of(AttemptKind::Original, Outcome::Failure), 1);
    assert_eq!(now.attempts_of(AttemptKind::Hedge, Outcome::Failure), 1);
    assert_eq!(now.attempts_of(AttemptKind::Retry, Outcome::Cancelled), 1);
    assert_eq!(now.attempts_of(AttemptKind::Hedge, Outcome::Success), 1);
}

#[test]
fn an_error_that_is_not_worth_repeating_ends_the_race() {
    let world = hedged(after_50_ms(), vec![Step::Hang, Step::Answer(Err(Trouble::Final))]);
    let mut call = Task::pending(world.client.read(""));
    assert_eq!(after(&world, &mut call, 50), Poll::Ready(Err(Trouble::Final)));
    world.assert_idle(1, "at the end");
}

#[test]
fn a_hedge_counts_in_the_budget_and_a_spent_one_has_none() {
    let budget = BudgetConfig::builder().ratio(0.0).min_per_second(0.1).window(secs(10)).build();
    let retry = retries(1).budget(budget.unwrap());
    let world =
        hedged_with(after_50_ms(), retry, vec![Step::Hang, Step::Answer(Ok(7)), Step::Hang]);
    let mut call = Task::pending(world.client.read(""));
    assert_eq!(after(&world, &mut call, 50), Poll::Ready(Ok(7)));
    let mut call = Task::pending(world.client.read(""));
    assert_eq!(after(&world, &mut call, 50), Poll::Pending);
    assert_eq!((world.service().seen(), world.snapshot().hedges), (3, 1));
}

#[test]
fn there_is_no_hedge_without_a_free_permit_or_with_a_breaker_that_is_not_closed() {
    let retry = retries(1).hedge(after_50_ms().build().unwrap());
    let one = base().breaker(trips_after(1)).bulkhead(permits(1)).retry(retry.clone());
    let world = World::new(one.build().unwrap(), vec![Step::Hang]);
    let mut call = Task::pending(world.client.read(""));
    assert_eq!(after(&world, &mut call, 50), Poll::Pending);
    assert_eq!(world.snapshot().hedges, 0, "no permit is free");
    drop(call);
    let two = base().breaker(trips_after(1)).bulkhead(permits(4)).retry(retry);
    let world = World::new(two.build().unwrap(), vec![broken(), Step::Hang]);
    assert_eq!(ready(world.client.write("")), Err(Trouble::Broken));
    world.time.advance(secs(5));
    let mut probe = Task::pending(world.client.read(""));
    assert_eq!(after(&world, &mut probe, 50), Poll::Pending);
    assert_eq!((world.service().seen(), world.snapshot().hedges), (2, 0), "half-open");
}

#[test]
fn a_call_that_is_dropped_in_a_race_gives_everything_back() {
    let world = hedged(after_50_ms(), vec![Step::Hang, Step::Hang]);
    let mut call = Task::pending(world.client.read(""));
    assert_eq!(after(&world, &mut call, 50), Poll::Pending);
    assert_eq!(world.service().inside(), 2);
    drop(call);
    let now = world.snapshot();
    assert_eq!((world.service().inside(), now.active, now.pending), (0, 0, 0));
    assert_eq!(now.attempts(Outcome::Cancelled), 2);
    assert_eq!(now.calls(CallOutcome::Cancelled), 1);
    world.assert_idle(1, "at the end");
}

#[test]
fn a_panic_in_a_hedge_is_the_calls() {
    let world = hedged(after_50_ms(), vec![Step::Hang, Step::PanicInBody]);
    let mut call = Task::pending(world.client.read(""));
    world.time.advance(ms(50));
    assert!(catch_unwind(AssertUnwindSafe(|| call.poll())).is_err());
    drop(call);
    let now = world.snapshot();
    assert_eq!((world.service().inside(), now.active, now.pending), (0, 0, 0));
    assert_eq!(now.attempts_of(AttemptKind::Hedge, Outcome::Panicked), 1);
    assert_eq!(now.calls(CallOutcome::Panicked), 1);
    assert_eq!(ready(world.client.read("")), Ok(7), "the next is served");
}

#[test]
fn a_budget_is_asked_once_for_each_call_whether_it_might_be_hedged_or_not() {
    let sent = |is_hedged: bool| {
        let budget = BudgetConfig::builder().mode(BudgetMode::AcceptRatio).build().unwrap();
        let retry = retries(1).budget(budget);
        let hedge = HedgeConfig::builder().after(ms(900)).build().unwrap();
        let retry = if is_hedged { retry.hedge(hedge) } else { retry };
        let policy = base().breaker(trips_after(10_000)).retry(retry);
        let world = World::new(policy.build().unwrap(), vec![broken(); 400]);
        (0..400).for_each(|_| assert!(ready(world.client.read("")).is_err()));
        world.service().seen()
    };
    assert_eq!(sent(true), sent(false));
}

#[test]
fn a_hedge_that_succeeds_gives_back_what_it_had_taken() {
    let budget = BudgetConfig::builder().mode(BudgetMode::Tokens).tokens(10).retry_cost(5);
    let script = vec![[Step::Hang, Step::Answer(Ok(7))]; 9].concat();
    let retry = retries(1).budget(budget.build().unwrap());
    let world = hedged_with(after_50_ms(), retry, script);
    for _ in 0..9 {
        let mut call = Task::pending(world.client.read(""));
        assert_eq!(after(&world, &mut call, 50), Poll::Ready(Ok(7)));
    }
    assert_eq!(world.snapshot().hedges, 9);
}

#[test]
fn a_panic_in_the_destructor_of_a_loser_is_the_calls() {
    let world = hedged(after_50_ms(), vec![Step::PanicWhenDropped]);
    let mut call = Task::pending(world.client.read(""));
    world.time.advance(ms(50));
    catch_unwind(AssertUnwindSafe(|| call.poll())).unwrap_err();
    drop(call);
    assert_eq!(world.calls(CallOutcome::Panicked), 1, "{:?}", world.snapshot().methods);
    world.assert_idle(1, "at the end");
}

#[test]
fn a_percentile_follows_what_good_answers_take() {
    let hedge = HedgeConfig::builder().percentile(0.9);
    let script = [vec![Step::Later(1, Ok(7)); 20], vec![Step::Hang; 2]].concat();
    let world = hedged(hedge, script);
    for _ in 0..20 {
        let mut call = Task::pending(world.client.read(""));
        assert_eq!(after(&world, &mut call, 100), Poll::Ready(Ok(7)), "nothing is known yet");
    }
    assert_eq!(world.snapshot().hedges, 0);
    world.time.advance(secs(1));
    let mut call = Task::pending(world.client.read(""));
    // All were in the bucket from 75 ms to 100 ms.
    assert_eq!(after(&world, &mut call, 75), Poll::Pending);
    assert_eq!(world.service().seen(), 21);
    assert_eq!(after(&world, &mut call, 25), Poll::Pending);
    assert_eq!(world.service().seen(), 22);
}

#[test]
fn all_attempts_end_at_the_deadline() {
    let retry = retries(1).hedge(after_50_ms().build().unwrap());
    let policy = base().bulkhead(permits(4).max_wait(ms(100))).deadline(secs(1)).retry(retry);
    let world = World::new(policy.build().unwrap(), vec![Step::Hang, Step::Hang]);
    let mut call = Task::pending(world.client.read(""));
    assert_eq!(after(&world, &mut call, 50), Poll::Pending);
    let Poll::Ready(Err(Trouble::Fault(fault))) = after(&world, &mut call, 950) else {
        panic!("it is over")
    };
    assert!(matches!(fault, Fault::DeadlineExceeded { .. } | Fault::TimedOut { .. }), "{fault:?}");
    world.assert_idle(1, "at the end");
}

/// A token for the first attempt only: a hedge is refused.
fn with_one_token(script: Vec<Step>) -> World {
    let retry = retries(1).hedge(after_50_ms().build().unwrap());
    let policy = base().breaker(trips_after(100)).bulkhead(permits(4)).retry(retry);
    World::new(policy.rate_limit(tokens(1)).build().unwrap(), script)
}

#[test]
fn an_answer_counts_for_more_than_the_refusal_of_its_hedge() {
    let world = with_one_token(vec![Step::Later(3, Err(Trouble::Broken))]);
    let mut call = Task::pending(world.client.read(""));
    assert_eq!(after(&world, &mut call, 50), Poll::Pending);
    assert_eq!((world.service().seen(), world.snapshot().hedges), (1, 1));
    assert_eq!(call.ready(), Err(Trouble::Broken));
    world.assert_idle(1, "at the end");
}

#[test]
fn a_timeout_counts_for_more_than_the_refusal_of_its_hedge() {
    let world = with_one_token(vec![Step::Hang]);
    let mut call = Task::pending(world.client.read(""));
    assert_eq!(after(&world, &mut call, 50), Poll::Pending);
    assert_eq!(world.snapshot().pending, 1, "a shutdown waits for it");
    assert_eq!(after(&world, &mut call, 949), Poll::Pending);
    world.time.advance(ms(1));
    let answer = call.ready();
    let Err(Trouble::Fault(Fault::TimedOut { after, .. })) = &answer else { panic!("{answer:?}") };
    assert_eq!(*after, secs(1));
    world.assert_idle(1, "at the end");
}
