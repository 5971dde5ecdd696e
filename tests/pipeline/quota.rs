//! A dependency that tells of its quota is slowed down before it has to refuse.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use seawall::limit::headers::Report;
use seawall::limit::{Config, PacerConfig};
use seawall::prelude::*;
use seawall::{DependencyHandle, State, Time};
use seawall::{Fault, ManualTime, policy, resilient};
use seawall_tests::{Task, block_on, ready, yield_times};

use super::build::*;

/// What the server said: a report with a success or with a failure.
type Answer = Result<Report, Report>;

#[expect(clippy::unnecessary_wraps, reason = "it is what `quota` asks for")]
fn told(answer: &Answer) -> Option<Report> {
    Some(match answer {
        Ok(report) | Err(report) => *report,
    })
}

fn class(answer: &Answer) -> Class {
    match answer {
        Ok(_) => Class::Success,
        Err(report) if report.limit == Some(404) => Class::Ignored,
        Err(_) => Class::Failure,
    }
}

#[resilient(errors = "wrapped", classify = class)]
trait Partner {
    #[call(quota = told)]
    async fn ask(&self) -> Answer;
    #[call(quota = told, idempotent)]
    async fn look(&self) -> Answer;
    /// Its answers say nothing.
    async fn mute(&self) -> Answer;
}

/// Answers by its script, and of nothing in particular after that.
#[derive(Default)]
struct Server {
    script: Mutex<VecDeque<Answer>>,
    seen: AtomicU32,
    /// How often each answer pends first.
    pends: AtomicU32,
}

impl Server {
    async fn answer(&self) -> Answer {
        self.seen.fetch_add(1, Ordering::SeqCst);
        yield_times(self.pends.load(Ordering::SeqCst)).await;
        self.script.lock().unwrap().pop_front().unwrap_or(Ok(Report::default()))
    }
}

impl Partner for Server {
    async fn ask(&self) -> Answer {
        self.answer().await
    }
    async fn look(&self) -> Answer {
        self.answer().await
    }
    async fn mute(&self) -> Answer {
        self.answer().await
    }
}

struct World {
    time: ManualTime,
    seawall: Seawall,
    client: PartnerClient<Server>,
    handle: DependencyHandle,
}

impl World {
    fn new(policy: policy::Builder, script: impl IntoIterator<Item = Answer>) -> Self {
        let time = Time::manual();
        let policy = policy.build().unwrap();
        let builder = Seawall::builder().time(&time).seed(1).policy("partner", policy);
        let seawall = builder.start().unwrap();
        let server =
            Server { script: Mutex::new(script.into_iter().collect()), ..Server::default() };
        let client = ready(seawall.spawn("partner", server)).unwrap();
        let handle = seawall.dependency("partner").unwrap();
        Self { time, seawall, client, handle }
    }

    fn seen(&self) -> u32 {
        self.client.service().seen.load(Ordering::SeqCst)
    }

    /// Every answer pends so often from now on.
    fn pend(&self, times: u32) {
        self.client.service().pends.store(times, Ordering::SeqCst);
    }

    fn ask(&self) -> Result<Report, CallError<Report>> {
        ready(self.client.ask())
    }

    fn waiting(&self) -> Task<'_, Result<Report, CallError<Report>>> {
        Task::pending(self.client.ask())
    }

    #[track_caller]
    fn assert_idle(&self) {
        let now = self.handle.snapshot();
        assert_eq!((now.active, now.pending, now.breaker.probes), (0, 0, 0), "{now:#?}");
        assert_eq!(now.mailbox.waiting, 0);
    }
}

/// So many are left of 100, and will be for so long.
fn left(remaining: u64, reset_after: u64) -> Report {
    Report {
        limit: Some(100),
        remaining: Some(remaining),
        reset_after: Some(secs(reset_after)),
        ..Report::default()
    }
}

/// Waits for up to so long.
fn paced(max_wait: Duration) -> policy::Builder {
    base().quota(PacerConfig::builder().max_wait(max_wait))
}

#[track_caller]
fn refused(answer: Result<Report, CallError<Report>>) -> Duration {
    match answer {
        Err(CallError::Fault(Fault::Rejected {
            by: RejectedBy::RateLimit,
            retry_after: Some(after),
            ..
        })) => after,
        other => unreachable!("should be refused by the rate limit, but {other:?}"),
    }
}

#[test]
fn while_there_is_plenty_nobody_waits_and_then_calls_go_out_evenly() {
    let left = |remaining, reset| Report { limit: Some(20), ..left(remaining, reset) };
    let script = [Ok(left(11, 20)), Ok(left(10, 20)), Ok(left(9, 20)), Ok(left(8, 18))];
    let world = World::new(paced(secs(5)), script);
    assert!(world.ask().is_ok() && world.ask().is_ok(), "nothing is known, then there is plenty");
    assert_eq!(world.ask(), Ok(left(9, 20)), "the first of the ten that are spread");
    let mut next = world.waiting();
    assert_eq!(world.handle.snapshot().pending, 1);
    world.time.advance(ms(1_999));
    assert!(next.poll().is_pending());
    world.time.advance(ms(1));
    assert!(next.wakes() > 0);
    assert_eq!(next.ready(), Ok(left(8, 18)), "twenty seconds for ten");
    assert_eq!(world.seen(), 4);
    world.assert_idle();
}

#[test]
fn a_wait_that_would_be_too_long_is_refused_with_an_honest_retry_after_and_no_fault_of_theirs() {
    let world = World::new(base().quota(PacerConfig::default()), [Ok(left(10, 20))]);
    assert!(world.ask().is_ok() && world.ask().is_ok());
    for _ in 0..10 {
        assert_eq!(refused(world.ask()), ms(1_750), "two seconds less the wait that is allowed");
    }
    world.time.advance(ms(1_749));
    assert_eq!(refused(world.ask()), ms(1));
    world.time.advance(ms(1));
    let waiting = world.waiting();
    world.time.advance(ms(250));
    assert!(waiting.ready().is_ok());
    assert_eq!((world.seen(), world.handle.state()), (3, State::Closed));
    assert_eq!(world.handle.snapshot().rejections(RejectedBy::RateLimit), 11);
    world.assert_idle();
}

#[test]
fn with_nothing_left_they_are_refused_until_the_reset() {
    let world = World::new(paced(secs(1)), [Ok(left(0, 7)), Ok(left(99, 60))]);
    assert!(world.ask().is_ok());
    assert_eq!(refused(world.ask()), secs(7));
    world.time.advance(secs(7) - Duration::from_nanos(1));
    assert_eq!(refused(world.ask()), Duration::from_nanos(1));
    world.time.advance(Duration::from_nanos(1));
    assert_eq!(world.ask(), Ok(left(99, 60)));
    world.assert_idle();
}

#[test]
fn what_a_failure_and_an_ignored_answer_say_is_learned_too() {
    let gone = Report { retry_after: Some(secs(3)), ..left(0, 3) };
    let world = World::new(paced(secs(1)), [Err(gone)]);
    assert_eq!(world.ask(), Err(CallError::Inner(gone)));
    assert_eq!(refused(world.ask()), secs(3));
    let ignored = Report { limit: Some(404), ..left(0, 4) };
    let world = World::new(paced(secs(1)), [Err(ignored)]);
    assert_eq!(world.ask(), Err(CallError::Inner(ignored)));
    assert_eq!(refused(world.ask()), secs(4));
}

#[test]
fn a_retry_is_paced_as_well() {
    let world = World::new(paced(secs(5)), [Ok(left(10, 20)), Err(left(9, 20)), Ok(left(8, 18))]);
    assert!(world.ask().is_ok());
    let mut call = Task::pending(world.client.look());
    world.time.advance(ms(100));
    assert!(call.poll().is_pending() && world.seen() == 2, "the backoff is over, not the turn");
    world.time.advance(ms(1_899));
    assert!(call.poll().is_pending());
    world.time.advance(ms(1));
    assert_eq!(call.ready(), Ok(left(8, 18)));
    assert_eq!((world.seen(), world.handle.snapshot().retries), (3, 1));
    world.assert_idle();
}

#[test]
fn methods_whose_answers_say_nothing_are_paced_with_the_others() {
    let world = World::new(paced(secs(5)), [Ok(left(10, 20)), Ok(left(0, 900))]);
    assert!(world.ask().is_ok());
    assert!(ready(world.client.mute()).is_ok(), "which is not heard of");
    let waiting = world.waiting();
    world.time.advance(secs(2));
    assert!(waiting.ready().is_ok());
}

#[test]
fn calls_dropped_while_they_wait_give_their_turns_back() {
    let world = World::new(paced(secs(5)), [Ok(left(10, 20))]);
    assert!(world.ask().is_ok() && world.ask().is_ok());
    for _ in 0..100 {
        drop(world.waiting());
    }
    let crowd = [world.waiting(), world.waiting()];
    drop(crowd);
    let next = world.waiting();
    world.time.advance(secs(2));
    assert!(next.ready().is_ok(), "no later than if it had been alone");
    world.assert_idle();
}

#[test]
fn calls_that_others_guards_refuse_have_used_nothing_of_the_quota() {
    let all_at_once = || PacerConfig::builder().slow_below(0.0);
    let policy =
        base().bulkhead(permits(1)).mailbox(line(1, seawall::backpressure::Strategy::Error));
    let world = World::new(policy.quota(all_at_once()), [Ok(left(3, 9)), Ok(left(2, 9))]);
    assert!(world.ask().is_ok());
    world.pend(1);
    let holding = world.waiting();
    let in_line = world.waiting();
    for _ in 0..10 {
        assert!(world.ask().is_err());
    }
    drop(in_line);
    assert_eq!(holding.ready(), Ok(left(2, 9)));
    world.pend(0);
    assert!(world.ask().is_ok() && world.ask().is_ok(), "the last two");
    assert_eq!(refused(world.ask()), secs(9));
    world.assert_idle();
}

#[test]
fn calls_that_a_closing_breaker_does_not_let_back_in_yet_have_used_nothing_of_the_quota() {
    let all_at_once = PacerConfig::builder().slow_below(0.0);
    let policy = base().breaker(trips_after(1).ramp(0.5, secs(100))).quota(all_at_once);
    let script = [Err(Report::default()), Ok(left(10, 90))];
    let world = World::new(policy, script);
    assert!(world.ask().is_err());
    world.time.advance(secs(5));
    assert!(world.ask().is_ok());
    // Every other call is let through by the breaker; ten by the quota.
    let answers: Vec<bool> = (0..20).map(|_| world.ask().is_ok()).collect();
    assert_eq!(answers.iter().filter(|good| **good).count(), 10, "{answers:?}");
    world.assert_idle();
}

#[test]
fn its_refusal_costs_nothing_of_our_own_limit_and_the_other_way_round() {
    let both = base().rate_limit(Config::token_bucket(2, 1e-6)).quota(PacerConfig::default());
    let world = World::new(both, [Ok(left(0, 5)), Ok(left(1, 5))]);
    assert!(world.ask().is_ok());
    for _ in 0..10 {
        assert_eq!(refused(world.ask()), secs(5));
    }
    world.time.advance(secs(5));
    assert!(world.ask().is_ok(), "the second token is still there");
    assert!(refused(world.ask()) > secs(3_600), "by our own limit");
    assert_eq!(world.seen(), 2);
    world.assert_idle();
}

#[test]
fn beside_a_limit_that_shapes_the_later_turn_counts() {
    let limit = Config::fixed_window(1, secs(1));
    let world = World::new(
        paced(secs(5)).rate_limit(limit).rate_limit_max_wait(secs(5)),
        [Ok(left(10, 20)), Ok(left(9, 19))],
    );
    assert!(world.ask().is_ok());
    let second = world.waiting();
    world.time.advance(secs(1));
    assert_eq!(second.ready(), Ok(left(9, 19)), "by our limit; theirs would have had it sooner");
    let mut third = world.waiting();
    world.time.advance(secs(1));
    assert!(third.poll().is_pending(), "ours would have had it now");
    world.time.advance(secs(1));
    assert!(third.ready().is_ok());
    world.assert_idle();
}

#[test]
fn a_turn_that_leaves_less_than_the_timeout_is_none() {
    let world = World::new(paced(secs(10)), [Ok(left(2, 20))]);
    assert!(world.ask().is_ok() && world.ask().is_ok());
    // At ten seconds; but it must begin by nine, and a tenth of its timeout is kept for the wait for a permit.
    assert_eq!(refused(world.ask()), ms(1_100));
    world.time.advance(ms(1_100));
    let waiting = world.waiting();
    world.time.advance(ms(8_900));
    assert!(waiting.ready().is_ok());
    world.assert_idle();
}

#[test]
fn when_the_breaker_opens_or_seawall_shuts_down_whoever_waits_is_told_at_once() {
    let world = World::new(paced(secs(5)), [Ok(left(10, 20))]);
    assert!(world.ask().is_ok() && world.ask().is_ok());
    let waiting = world.waiting();
    block_on(world.handle.force_open()).unwrap();
    assert!(waiting.wakes() > 0);
    let answer = waiting.ready();
    let by_breaker =
        |fault: &Fault| matches!(fault, Fault::Rejected { by: RejectedBy::Breaker, .. });
    assert!(matches!(&answer, Err(CallError::Fault(fault)) if by_breaker(fault)), "{answer:?}");
    block_on(world.handle.reset()).unwrap();
    let waiting = world.waiting();
    let mut shutdown = Task::pending(world.seawall.shutdown(ms(500)));
    world.time.advance(ms(500));
    assert!(shutdown.poll().is_pending() || waiting.wakes() > 0);
    let answer = waiting.ready();
    assert!(matches!(answer, Err(CallError::Fault(Fault::Unavailable { .. }))), "{answer:?}");
}

#[test]
fn a_reload_keeps_what_was_learned_and_lets_those_go_who_need_not_wait_any_more() {
    let world = World::new(paced(secs(5)), [Ok(left(10, 20))]);
    assert!(world.ask().is_ok() && world.ask().is_ok());
    assert!(world.handle.set_policy(base().quota(PacerConfig::default()).build().unwrap()));
    assert_eq!(refused(world.ask()), ms(1_750), "the new wait, by the old news");
    assert!(world.handle.set_policy(paced(secs(5)).build().unwrap()));
    let waiting = world.waiting();
    assert!(world.handle.set_policy(base().build().unwrap()));
    assert!(waiting.wakes() > 0);
    assert!(waiting.ready().is_ok() && world.ask().is_ok());
    assert!(world.handle.set_policy(paced(secs(5)).build().unwrap()));
    let waiting = world.waiting();
    world.time.advance(secs(4));
    assert!(waiting.ready().is_ok(), "two turns were taken of what was known");
    world.assert_idle();
}

#[test]
fn without_a_quota_in_the_policy_nobody_asks_what_answers_say() {
    let world = World::new(base(), vec![Ok(left(0, 9)); 50]);
    for _ in 0..50 {
        assert!(world.ask().is_ok());
    }
    assert!(world.handle.set_policy(paced(secs(1)).build().unwrap()));
    assert!(world.ask().is_ok(), "it begins with what comes now");
}
