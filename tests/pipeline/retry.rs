//! Retry: what is repeated, how often, after how long, and what is not.

use std::time::Duration;

use seawall::outcome::AttemptKind;
use seawall::prelude::*;
use seawall::retry::{BudgetConfig, BudgetMode, Jitter};
use seawall::{CallOutcome, Outcome};
use seawall_tests::{Answer, Api, Step, Task, Trouble, World, ready, refused};

use super::build::*;

fn broken() -> Step {
    Step::Answer(Err(Trouble::Broken))
}

/// Lets time pass from timer to timer until the call ends; the answer and the time at each wait's end.
fn drive(world: &World, call: &mut Task<'_, Answer>) -> (Answer, Vec<Duration>) {
    let mut waits = Vec::new();
    let start = world.time.now();
    loop {
        if let std::task::Poll::Ready(answer) = call.poll() {
            return (answer, waits);
        }
        let woken = call.wakes();
        while call.wakes() == woken {
            let next = world.time.next_deadline().expect("waits for nothing");
            world.time.advance(next.since(world.time.now()));
        }
        waits.push(world.time.now().since(start));
    }
}

fn world(retry: seawall::retry::Builder, script: Vec<Step>) -> World {
    World::new(base().breaker(trips_after(100)).retry(retry).build().unwrap(), script)
}

#[test]
fn a_method_that_is_not_idempotent_is_never_repeated() {
    let world = world(retries(5), vec![broken()]);
    assert_eq!(ready(world.client.write("")), Err(Trouble::Broken));
    assert_eq!(ready(world.client.cached("ready")), Ok(7));
    assert_eq!(world.service().seen(), 2);
}

#[test]
fn attempts_and_delays_are_as_configured() {
    let world = world(retries(4), vec![broken(); 10]);
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!(answer, Err(Trouble::Broken));
    assert_eq!(waits, [ms(100), ms(300), ms(700)]);
    let now = world.snapshot();
    assert_eq!((world.service().seen(), now.retries), (4, 3));
    assert_eq!(now.attempts(Outcome::Failure), 4);
    assert_eq!(now.calls(CallOutcome::Failure), 1);
}

#[test]
fn it_stops_at_the_first_success_and_counts_one_call() {
    let world = world(retries(4), vec![broken(), broken()]);
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!((answer, waits.len()), (Ok(7), 2));
    let now = world.snapshot();
    assert_eq!((now.attempts(Outcome::Failure), now.attempts(Outcome::Success)), (2, 1));
    assert_eq!(now.calls(CallOutcome::Success), 1);
    world.assert_idle(1, "at the end");
}

#[test]
fn jitter_is_the_seeds_and_differs_from_call_to_call() {
    let waits = |_| {
        let world = world(retries(4).jitter(Jitter::Full), vec![broken(); 20]);
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(drive(&world, &mut Task::new(world.client.read(""))).1);
        }
        all
    };
    let (first, again) = (waits(0), waits(1));
    assert_eq!(first, again, "the same seed, the same run");
    assert_ne!(first[0], first[1]);
    assert_ne!(first[1], first[2]);
    for call in &first {
        assert!(call[0] < ms(100) && call[1] < ms(300) && call[2] < ms(700), "{call:?}");
    }
}

#[test]
fn a_retry_that_would_not_have_a_fair_share_of_its_timeout_is_not_begun() {
    let policy = base().deadline(secs(1)).breaker(trips_after(100)).retry(retries(10));
    let world = World::new(
        policy.bulkhead(permits(2).max_wait(secs(1))).build().unwrap(),
        vec![broken(); 10],
    );
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    // 100, 300 ms; the next would be at 700, with less than half of the call left.
    assert_eq!((answer, waits.len()), (Err(Trouble::Broken), 2));
    assert_eq!(world.time.now().since(seawall::clock::Moment::ZERO), ms(300));
}

#[test]
fn a_backoff_noticed_with_less_than_half_of_that_left_dispatches_nothing() {
    for (late, seen) in [(ms(650), 2), (ms(651), 1)] {
        let policy =
            base().deadline(secs(1)).bulkhead(permits(2).max_wait(secs(1))).build().unwrap();
        let world = World::new(policy, [broken()]);
        let call = Task::pending(world.client.read(""));
        // Its backoff ends at 100 ms. Half of the call is the fair share, and half of that is left at 750 ms.
        world.time.advance(ms(100) + late);
        let answer = call.ready();
        let is_over = matches!(answer, Err(Trouble::Fault(Fault::DeadlineExceeded { .. })));
        assert_eq!((is_over, world.service().seen()), (seen == 1, seen), "{answer:?}");
        world.assert_idle(1, "at the end");
    }
}

#[test]
fn a_backoff_that_is_woken_past_the_deadline_dispatches_nothing() {
    let policy = base().deadline(secs(1)).bulkhead(permits(2).max_wait(secs(1))).build().unwrap();
    let world = World::new(policy, [broken()]);
    let call = Task::pending(world.client.read(""));
    // A busy machine: the task is run only when the deadline is long past.
    world.time.advance(secs(3));
    let answer = call.ready();
    assert!(matches!(answer, Err(Trouble::Fault(Fault::DeadlineExceeded { .. }))), "{answer:?}");
    assert_eq!(world.service().seen(), 1, "dispatched after its deadline");
    world.assert_idle(1, "at the end");
}

#[test]
fn rejections_are_not_retried() {
    let world = World::new(base().rate_limit(tokens(1)).build().unwrap(), [broken()]);
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!((refused(answer).0, waits.len()), (RejectedBy::RateLimit, 1));
    assert_eq!(refused(ready(world.client.read(""))).0, RejectedBy::RateLimit);
}

#[test]
fn rejections_are_retried_when_asked_for_and_not_before_they_say() {
    let limit = seawall::limit::Config::token_bucket(1, 1.0);
    let policy = base().rate_limit(limit).retry(retries(3).retry_rejections(true));
    let world = World::new(policy.build().unwrap(), []);
    assert_eq!(ready(world.client.write("")), Ok(7));
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!((answer, waits), (Ok(7), vec![secs(1)]));
    let now = world.snapshot();
    assert_eq!(now.rejections(RejectedBy::RateLimit), 1);
    assert_eq!(now.rejected_calls(RejectedBy::RateLimit), 0, "the call itself was answered");
    assert_eq!(now.retries, 0, "the service saw one attempt");
    world.assert_idle(2, "at the end");
}

fn busy(after: Duration) -> Step {
    Step::Answer(Err(Trouble::Busy(after)))
}

#[test]
fn a_retry_waits_as_long_as_the_server_asked_and_no_longer_than_its_own_backoff_else() {
    // The second of them asks for less than the backoff, the last does not ask.
    let script = vec![busy(secs(2)), busy(ms(1)), Step::Hang, broken()];
    let world = world(retries(5), script);
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!(answer, Ok(7));
    // 2 s as asked, 200 ms of our own, a timeout of 1 s and 400 ms after it, 800 ms.
    assert_eq!(waits, [ms(2000), ms(2200), ms(3200), ms(3600), ms(4400)]);
    world.assert_idle(1, "at the end");
}

#[test]
fn a_long_retry_after_does_not_make_the_backoffs_after_it_long() {
    for seed in 0..20 {
        let retry = retries(3).jitter(Jitter::Decorrelated).max_delay(secs(60));
        let policy = base().breaker(trips_after(100)).retry(retry).deadline(secs(30));
        let script = [busy(secs(8)), broken()];
        let world = World::with(policy.build().unwrap(), script, |builder| builder.seed(seed));
        let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
        // At most three times a backoff that was itself at most three times the first, 100 ms.
        assert_eq!(answer, Ok(7), "seed {seed}");
        // As asked, and spread by as much as the jitter spreads the first backoff.
        assert!(waits[0] >= secs(8) && waits[0] < ms(8_200), "seed {seed}: {waits:?}");
        assert!(waits[1] - waits[0] <= ms(900), "seed {seed}: {waits:?}");
    }
}

#[test]
fn a_server_that_asks_for_longer_than_max_delay_has_it() {
    let world = world(retries(2).max_delay(ms(150)), vec![busy(secs(8))]);
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!((answer, waits), (Ok(7), vec![secs(8)]));
}

#[test]
fn a_server_that_asks_for_longer_than_there_is_time_is_not_asked_again() {
    for after in [secs(10), secs(3600), Duration::MAX] {
        let world = world(retries(5), vec![busy(after)]);
        assert_eq!(ready(world.client.read("")), Err(Trouble::Busy(after)), "answers at once");
        assert_eq!((world.service().seen(), world.snapshot().retries), (1, 0));
        world.assert_idle(1, "at the end");
    }
}

#[test]
fn an_error_that_says_nothing_is_neither_retried_nor_replaced() {
    let world = world(retries(4), vec![Step::Answer(Err(Trouble::NotFound)); 2]);
    assert_eq!(ready(world.client.read("")), Err(Trouble::NotFound));
    assert_eq!(ready(world.client.both("ready")), Err(Trouble::NotFound));
    let now = world.snapshot();
    assert_eq!(now.attempts(Outcome::Ignored), 2);
    assert_eq!(now.calls(CallOutcome::Ignored), 2);
    assert_eq!(now.breaker.window_failures, 0);
}

#[test]
fn an_error_that_is_classified_as_a_success_counts_as_a_successful_attempt_too() {
    let world = world(retries(4), vec![broken(), Step::Answer(Err(Trouble::Expected))]);
    let (answer, _) = drive(&world, &mut Task::new(world.client.both("ready")));
    assert_eq!(answer, Err(Trouble::Expected));
    let now = world.snapshot();
    assert_eq!(now.calls(CallOutcome::Success), 1);
    assert_eq!((now.attempts(Outcome::Success), now.attempts(Outcome::Failure)), (1, 1));
    assert_eq!((world.service().seen(), now.breaker.window_failures), (2, 0));
}

#[test]
fn an_error_that_the_filter_turns_down_is_not_retried() {
    let world = world(retries(4), vec![Step::Answer(Err(Trouble::Final))]);
    assert_eq!(ready(world.client.read("")), Err(Trouble::Final));
    assert_eq!(world.service().seen(), 1);
}

#[test]
fn a_spent_budget_ends_the_retrying() {
    let budget = BudgetConfig::builder().ratio(0.0).min_per_second(0.3).window(secs(10)).build();
    let world = world(retries(100).factor(1.0).budget(budget.unwrap()), vec![broken(); 200]);
    let (answer, _) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!((answer, world.snapshot().retries), (Err(Trouble::Broken), 3));
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!((answer, waits.len()), (Err(Trouble::Broken), 0));
}

#[test]
fn tokens_pay_for_retries_and_good_answers_give_them_back() {
    let budget = BudgetConfig::builder().mode(BudgetMode::Tokens).tokens(10).retry_cost(5);
    let good = || Step::Answer(Ok(7));
    let script =
        [vec![broken(); 3], vec![good(); 9], vec![Step::Hang, good(), Step::Hang]].concat();
    let world = world(retries(100).factor(1.0).budget(budget.build().unwrap()), script);
    let (answer, _) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!((answer, world.snapshot().retries), (Err(Trouble::Broken), 2), "5 tokens each");
    (0..9).for_each(|_| assert_eq!(ready(world.client.read("")), Ok(7)));
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    assert!(matches!(answer, Err(Trouble::Fault(Fault::TimedOut { .. }))), "{answer:?}");
    assert_eq!(waits.len(), 1, "a retry after a timeout takes 10 tokens, and there are 9");
    assert_eq!(ready(world.client.read("")), Ok(7));
    let (answer, _) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!((answer, world.snapshot().retries), (Ok(7), 3));
}

#[test]
fn a_retry_that_succeeds_gives_back_what_it_had_taken() {
    let budget = BudgetConfig::builder().mode(BudgetMode::Tokens).tokens(10).retry_cost(5);
    let script = vec![[broken(), Step::Answer(Ok(7))]; 9].concat();
    let world = world(retries(2).budget(budget.build().unwrap()), script);
    for _ in 0..9 {
        assert_eq!(drive(&world, &mut Task::new(world.client.read(""))).0, Ok(7));
    }
    assert_eq!(world.snapshot().retries, 9);
}

#[test]
fn a_retry_after_a_refusal_costs_what_one_after_a_failure_does() {
    let budget = BudgetConfig::builder().mode(BudgetMode::Tokens).tokens(10).retry_cost(5);
    let limit = seawall::limit::Config::token_bucket(1, 1.0);
    let retry = retries(2).retry_rejections(true).budget(budget.build().unwrap());
    let policy = base().rate_limit(limit).retry(retry);
    let world = World::new(policy.build().unwrap(), vec![broken(); 3]);
    ready(world.client.write("")).unwrap_err();
    // One after a timeout would cost all ten.
    for _ in 0..2 {
        let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
        assert_eq!((answer, waits.len()), (Err(Trouble::Broken), 1));
    }
}

#[test]
fn a_dependency_that_never_answers_is_sent_less_and_less() {
    let budget = BudgetConfig::builder().mode(BudgetMode::AcceptRatio).build().unwrap();
    let policy = base().breaker(trips_after(10_000)).retry(retries(1).budget(budget));
    let world = World::new(policy.build().unwrap(), vec![Step::Hang; 100]);
    for _ in 0..100 {
        let mut call = Task::new(world.client.write(""));
        if call.poll().is_pending() {
            world.time.advance(secs(1));
            assert!(call.poll().is_ready());
        }
    }
    assert!(world.service().seen() < 30, "{}", world.service().seen());
}

#[test]
fn a_retry_that_is_dropped_at_once_counts_as_one() {
    let world = world(retries(2), vec![broken(), Step::Hang]);
    let mut call = Task::pending(world.client.read(""));
    world.time.advance(ms(100));
    assert!(call.poll().is_pending());
    drop(call);
    let now = world.snapshot();
    assert_eq!(now.attempts_of(AttemptKind::Retry, Outcome::Cancelled), 1);
    assert_eq!(now.attempts_of(AttemptKind::Original, Outcome::Failure), 1);
}

#[test]
fn a_retry_in_the_same_moment_counts_as_one() {
    let world = world(retries(2).base_delay(Duration::ZERO).budget(None), vec![broken()]);
    let (answer, _) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!(answer, Ok(7));
    assert_eq!(world.snapshot().attempts_of(AttemptKind::Retry, Outcome::Success), 1);
}

#[test]
fn a_call_that_is_dropped_before_its_retry_was_cancelled() {
    let world = world(retries(2), vec![broken()]);
    drop(Task::pending(world.client.read("")));
    assert_eq!(world.calls(CallOutcome::Cancelled), 1);
}

#[test]
fn a_call_that_an_open_breaker_refuses_is_tried_again_if_the_policy_says_so() {
    let policy = base().breaker(trips_after(1)).retry(retries(2).retry_rejections(true));
    let world = World::new(policy.build().unwrap(), [broken()]);
    ready(world.client.write("")).unwrap_err();
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!((answer, waits), (Ok(7), vec![secs(5)]));
}

#[test]
fn a_dependency_that_accepts_nothing_is_sent_less_and_less() {
    let budget = BudgetConfig::builder().mode(BudgetMode::AcceptRatio).build().unwrap();
    let retry = retries(2).base_delay(Duration::ZERO).budget(budget);
    let policy = base().breaker(trips_after(10_000)).retry(retry).build().unwrap();
    let world = World::new(policy, vec![broken(); 400]);
    let is_throttled = |end: &&Answer| {
        matches!(end, Err(Trouble::Fault(Fault::Rejected { by: RejectedBy::Throttle, .. })))
    };
    let ends: Vec<Answer> =
        (0..200).map(|_| drive(&world, &mut Task::new(world.client.read(""))).0).collect();
    let now = world.snapshot();
    // With nothing accepted the n-th request is sent with a chance of 1 / n: about ln 200 of them.
    let sent = world.service().seen() as u64;
    assert!((2..=16).contains(&sent), "{sent}");
    let refused = ends.iter().filter(is_throttled).count() as u64;
    assert_eq!(refused, 200 - (sent - now.retries), "first attempts that were not made");
    assert_eq!(now.rejections(RejectedBy::Throttle), refused);
    assert_eq!(now.calls(CallOutcome::Rejected), refused);
    // A retry that is not made leaves the call with its own error.
    assert_eq!(now.calls(CallOutcome::Failure), 200 - refused);
}

#[test]
fn no_retry_begins_later_than_the_policy_says() {
    let world = world(retries(9).max_elapsed(ms(500)), vec![broken(); 9]);
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    // The next would begin after 700 ms.
    assert_eq!((answer, waits), (Err(Trouble::Broken), vec![ms(100), ms(300)]));
    let exactly = world_of_three(ms(300));
    assert_eq!(drive(&exactly, &mut Task::new(exactly.client.read(""))).1, [ms(100), ms(300)]);
    let just_before = world_of_three(ms(299));
    assert_eq!(drive(&just_before, &mut Task::new(just_before.client.read(""))).1, [ms(100)]);
}

fn world_of_three(max_elapsed: Duration) -> World {
    world(retries(3).max_elapsed(max_elapsed), vec![broken(); 3])
}

#[test]
fn each_attempt_has_a_timeout_of_its_own() {
    let world = world(retries(3), vec![Step::Hang, Step::Hang]);
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!((answer, waits), (Ok(7), vec![ms(1000), ms(1100), ms(2100), ms(2300)]));
    let now = world.snapshot();
    assert_eq!(now.attempts(Outcome::TimedOut), 2);
    assert_eq!(now.breaker.window_failures, 0, "the success has begun the count again");
}

#[test]
fn a_call_that_times_out_for_good_says_after_how_long() {
    let world = world(retries(1), vec![Step::Hang]);
    let (answer, _) = drive(&world, &mut Task::new(world.client.read("")));
    let Err(Trouble::Fault(fault)) = answer else { panic!("{answer:?}") };
    assert!(matches!(&fault, Fault::TimedOut { after, .. } if *after == secs(1)));
    assert_eq!(fault.to_string(), "api: no answer within 1s");
    assert_eq!(world.calls(CallOutcome::TimedOut), 1);
}

#[test]
fn the_deadline_ends_an_attempt_in_flight() {
    let policy = base()
        .timeout(secs(1))
        .deadline(ms(1600))
        .breaker(trips_after(100))
        .bulkhead(permits(1).max_wait(secs(1)))
        .retry(retries(10))
        .build()
        .unwrap();
    let world = World::new(policy, [broken(), broken(), broken(), Step::Hang]);
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    assert!(
        matches!(&answer, Err(Trouble::Fault(Fault::DeadlineExceeded { after, .. })) if *after == ms(1600)),
        "{answer:?}"
    );
    assert_eq!(waits, [ms(100), ms(300), ms(700), ms(1600)]);
    let now = world.snapshot();
    assert_eq!(now.calls(CallOutcome::DeadlineExceeded), 1);
    assert_eq!(now.attempts(Outcome::TimedOut), 1);
    assert_eq!(now.breaker.window_failures, 4, "an attempt with half its timeout is a failure");
    world.assert_idle(1, "at the end");
}

#[test]
fn a_timeout_that_leaves_no_fair_share_is_not_retried() {
    let policy = base()
        .timeout(secs(1))
        .deadline(ms(1600))
        .bulkhead(permits(1).max_wait(secs(1)))
        .build()
        .unwrap();
    let world = World::new(policy, vec![Step::Hang; 5]);
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    assert!(
        matches!(&answer, Err(Trouble::Fault(Fault::TimedOut { after, .. })) if *after == secs(1)),
        "{answer:?}"
    );
    assert_eq!(waits, [ms(1000)]);
    world.assert_idle(1, "at the end");
}

#[test]
fn without_a_word_about_it_retries_add_a_fifth_to_the_calls_and_ten_a_second_in_any_case() {
    let breaker = seawall::breaker::Config::builder().failures(1_000_000);
    let policy = base().breaker(breaker).retry(retries(3).base_delay(Duration::ZERO));
    let world = World::new(policy.build().unwrap(), vec![broken(); 3_000]);
    for calls in 1..=1_000_u64 {
        assert!(drive(&world, &mut Task::new(world.client.read(""))).0.is_err());
        let retries = world.snapshot().retries;
        // The default is over a window of ten seconds, and no time passes.
        let allowed = calls.div_ceil(5) + 100;
        assert!(retries <= allowed && (calls > 50 || retries == 2 * calls), "{retries} of {calls}");
    }
    assert_eq!(world.snapshot().retries, 300);
}

#[test]
fn retries_stop_at_an_open_breaker() {
    let world = World::new(base().retry(retries(10)).build().unwrap(), vec![broken(); 10]);
    let (answer, waits) = drive(&world, &mut Task::new(world.client.read("")));
    assert_eq!((refused(answer).0, waits.len()), (RejectedBy::Breaker, 3));
    assert_eq!((world.service().seen(), world.snapshot().retries), (3, 2));
}

#[test]
fn two_hundred_callers_told_to_come_back_after_a_second_come_after_it_and_spread() {
    let retry = retries(2).base_delay(secs(1)).max_delay(secs(4)).jitter(Jitter::Full).budget(None);
    let busy = vec![Step::Answer(Err(Trouble::Busy(secs(1)))); 200];
    let policy = base().breaker(trips_after(10_000)).bulkhead(permits(1_000)).retry(retry);
    let world = World::new(policy.build().unwrap(), busy);
    let mut calls: Vec<_> = (0..200).map(|_| Task::pending(world.client.read(""))).collect();
    let mut back = Vec::new();
    while let Some(next) = world.time.next_deadline() {
        world.time.advance(next.since(world.time.now()));
        let left = calls.len();
        calls.retain_mut(|call| call.poll().is_pending());
        let at = world.time.now().since(seawall::clock::Moment::ZERO);
        back.extend(std::iter::repeat_n(at, left - calls.len()));
    }
    assert_eq!(back.len(), 200);
    assert!(back[0] >= secs(1), "{:?}", back[0]);
    assert!(back[199] < secs(2), "{:?}", back[199]);
    for tenth in 0..10 {
        let from = secs(1) + ms(100) * tenth;
        let here = back.iter().filter(|at| **at >= from && **at < from + ms(100)).count();
        assert!((5..45).contains(&here), "{here} of 200 within 100 ms of {from:?}");
    }
}
