//! Attempts of a dependency that no actor looks after, so that each step is the test's own.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::future::{Future, pending, ready};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::lease::Lease;
use super::{Call, OpenAttempt, Rules};
use crate::dependency::{Dependency, MethodSpec, MethodTable};
use crate::entropy::Entropy;
use crate::error::{Fault, RejectedBy, UnavailableCause};
use crate::event::{Event, Observer, Silent, State};
use crate::outcome::{CallOutcome, Class};
use crate::policy::{Builder, Policy};
use crate::sync::Mutex;
use crate::time::{ManualTime, Time};
use crate::{breaker, bulkhead, retry};

type Answer = Result<u8, std::io::Error>;

const GRACE: Duration = Duration::from_millis(300);

/// A dependency with one method, and its time.
pub(super) fn table(policy: Builder) -> (ManualTime, Arc<MethodTable>) {
    heard_by(Arc::new(Silent), policy)
}

/// The same, with somebody who hears what happens to it.
fn heard_by(observer: Arc<dyn Observer>, policy: Builder) -> (ManualTime, Arc<MethodTable>) {
    let time = Time::manual();
    let (name, policy) = ("bank".into(), policy.build().unwrap());
    let seed = Entropy::seeded(0);
    let dependency = Dependency::new(name, policy, Time::from(&time), seed, observer);
    let spec = MethodSpec { name: "balance", ..MethodSpec::NONE };
    let table = MethodTable::new(Arc::new(dependency), vec![spec], Arc::new(()));
    (time, Arc::new(table))
}

fn one_permit(max_wait: Duration) -> Builder {
    let bulkhead = bulkhead::Config::builder().max_concurrent(1).grace(GRACE).max_wait(max_wait);
    Policy::builder().bulkhead(bulkhead)
}

fn active(table: &MethodTable) -> u32 {
    table.dependency().gate().waiting_room().permits().active()
}

/// One attempt, whose service does this.
async fn attempt(table: &MethodTable, service: impl Future<Output = Answer>) -> Option<Answer> {
    let mut call = Call::begin(table, 0);
    match call.goes_ahead() {
        true => call.attempt(|| service, &Rules::USUAL).await,
        false => None,
    }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// An attempt that is dropped after a while, and whose permit is kept for the grace.
fn dropped_late(time: &ManualTime, table: &MethodTable) {
    {
        let mut hangs = pin!(attempt(table, pending()));
        assert!(poll(hangs.as_mut()).is_pending());
        time.advance(Duration::from_millis(10));
    }
    assert_eq!(active(table), 1);
}

#[test]
fn a_call_that_finds_a_grace_over_takes_that_permit_and_gives_it_back() {
    let good: fn() -> Answer = || Ok(7);
    let bad: fn() -> Answer = || Err(std::io::ErrorKind::ConnectionReset.into());
    // One that might wait for it, and one that may not.
    for max_wait in [Duration::from_secs(1), Duration::ZERO] {
        for answer in [good, bad] {
            let (time, table) = table(one_permit(max_wait));
            dropped_late(&time, &table);
            time.advance(GRACE);
            let mut call = pin!(attempt(&table, ready(answer())));
            let Poll::Ready(Some(answered)) = poll(call.as_mut()) else { panic!("{max_wait:?}") };
            assert_eq!(answered.is_ok(), answer().is_ok());
            assert_eq!(active(&table), 0, "{max_wait:?}");
        }
    }
}

#[test]
fn a_permit_that_comes_free_as_a_call_joins_the_line_is_given_back() {
    let breaker = breaker::Config::builder().enforcement(breaker::Enforcement::Disabled);
    let bulkhead = bulkhead::Config::builder().max_concurrent(1).max_wait(GRACE);
    let (_time, table) = table(Policy::builder().breaker(breaker).bulkhead(bulkhead));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let room = table.dependency().gate().waiting_room();
            while !is_over.load(Ordering::Relaxed) {
                if room.try_enter(1) {
                    std::hint::spin_loop();
                    room.leave(1, || table.dependency().now());
                }
            }
        });
        // They end badly: then nothing but the lease says that there is a permit.
        for _ in 0..20_000 {
            let mut call = pin!(attempt(&table, ready(Err(std::io::ErrorKind::TimedOut.into()))));
            let _ = poll(call.as_mut());
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(active(&table), 0);
}

#[test]
fn a_shutdown_hears_of_an_answer_that_nobody_reads_and_of_a_grace_that_is_over() {
    let (time, table) = table(one_permit(Duration::ZERO));
    let open = opened(&table, Duration::from_millis(10), Duration::from_millis(10));
    table.dependency().drain();
    let mut empty = pin!(table.dependency().emptied());
    assert!(poll(empty.as_mut()).is_pending());
    drop(open);
    assert_eq!((active(&table), table.dependency().in_flight()), (1, 0), "kept for the grace");
    assert!(poll(empty.as_mut()).is_ready());
    empty.set(table.dependency().emptied());
    assert!(poll(empty.as_mut()).is_pending());
    assert!(!table.dependency().end_graces(time.now()));
    assert!(poll(empty.as_mut()).is_pending());
    time.advance(GRACE);
    assert!(table.dependency().end_graces(time.now()));
    assert!(poll(empty.as_mut()).is_ready());
}

#[test]
fn a_call_that_has_its_permit_when_all_are_ended_says_that_this_is_why() {
    let (_time, table) = table(one_permit(Duration::from_secs(1)));
    let room = table.dependency().gate().waiting_room();
    assert!(room.try_enter(1));
    let mut call = Call::begin(&table, 0);
    assert!(call.goes_ahead());
    {
        let mut waiting = pin!(call.attempt(|| ready(Answer::Ok(7)), &Rules::USUAL));
        assert!(poll(waiting.as_mut()).is_pending());
        room.leave(1, || table.dependency().now());
        table.dependency().cancel();
        assert!(matches!(poll(waiting.as_mut()), Poll::Ready(None)));
    }
    let fault = call.finish_unanswered();
    assert!(
        matches!(fault, Fault::Unavailable { cause: UnavailableCause::ShutDown, .. }),
        "{fault:?}"
    );
    drop(call);
    assert_eq!(active(&table), 0);
}

#[test]
fn the_first_call_that_has_to_wait_has_the_actor_look() {
    let (_time, table) = table(one_permit(Duration::from_secs(1)));
    let is_told = || {
        let signals = table.dependency().signals();
        signals.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    };
    let mut holder = pin!(attempt(&table, pending()));
    assert!(poll(holder.as_mut()).is_pending() && !is_told());
    let mut first = pin!(attempt(&table, ready(Ok(7))));
    assert!(poll(first.as_mut()).is_pending() && is_told());
    let mut second = pin!(attempt(&table, ready(Ok(7))));
    assert!(poll(second.as_mut()).is_pending() && !is_told());
}

/// What an answer carries along, after an attempt that took as long, in a call that took as long.
fn opened(table: &Arc<MethodTable>, attempt_took: Duration, call_took: Duration) -> OpenAttempt {
    let dependency = table.dependency();
    let now = dependency.now();
    assert!(dependency.gate().waiting_room().try_enter(1));
    let mut lease = Lease::new(dependency, table.method(0));
    lease.hold_permit();
    lease.begin(dependency.gate().admit(now, &mut None).unwrap(), now);
    let open = OpenAttempt::new(table, 0);
    open.begin(lease.hand_over(), attempt_took, call_took);
    open
}

#[test]
fn answers_that_nobody_reads_to_their_end_open_nothing_because_their_heads_were_there() {
    let breaker = breaker::Config::builder().failures(3).unanswered(5);
    let (_time, table) = table(Policy::builder().breaker(breaker));
    let ms = Duration::from_millis(10);
    (0..20).for_each(|_| drop(opened(&table, ms, ms)));
    assert_eq!(table.dependency().gate().breaker().state(), State::Closed);
    assert_eq!(active(&table), 0);
}

#[test]
fn the_wait_before_an_attempt_whose_answer_goes_on_is_no_part_of_what_attempts_take() {
    let (time, table) = table(Policy::builder());
    for _ in 0..20 {
        let mut open = opened(&table, Duration::from_millis(10), Duration::from_secs(5));
        open.end(Class::Success, None);
    }
    time.advance(Duration::from_secs(60));
    let typical = table.method(0).stats.typical_latency(table.dependency().now()).unwrap();
    assert!(typical <= Duration::from_millis(10), "{typical:?}");
}

#[test]
fn a_call_that_its_breaker_refuses_is_refused_before_it_begins_but_where_more_is_to_be_done() {
    let refused = |table: &MethodTable| match Call::refused_at_once(table, 0) {
        Some(Fault::Rejected { by, retry_after, .. }) => Some((by, retry_after)),
        _ => None,
    };
    let opened = |retry: retry::Builder| {
        let open_for = Duration::from_secs(5);
        let breaker =
            breaker::Config::builder().failures(1).first_open_for(open_for).open_for(open_for);
        let (time, table) = table(Policy::builder().breaker(breaker).retry(retry));
        assert_eq!(refused(&table), None, "closed");
        let bad: Answer = Err(std::io::ErrorKind::ConnectionReset.into());
        assert!(poll(pin!(attempt(&table, ready(bad))).as_mut()).is_ready());
        time.advance(Duration::from_secs(1));
        (time, table)
    };
    let ends = |table: &MethodTable| {
        let method = table.dependency().snapshot().methods.remove(0);
        (method.calls(CallOutcome::Rejected), method.rejected(RejectedBy::Breaker))
    };
    let (time, open) = opened(retry::Config::builder());
    assert_eq!(refused(&open), Some((RejectedBy::Breaker, Some(Duration::from_secs(4)))));
    assert_eq!(ends(&open), (1, 1));
    time.advance(Duration::from_secs(4));
    assert_eq!(refused(&open), None, "a probe may begin");
    let (_, retried) = opened(retry::Config::builder().retry_rejections(true));
    let (_, draining) = opened(retry::Config::builder());
    draining.dependency().drain();
    assert_eq!([refused(&retried), refused(&draining)], [None, None]);
    assert_eq!([ends(&retried), ends(&draining)], [(0, 0), (0, 0)]);
}

/// How the breakers of keys have moved.
#[derive(Debug, Default)]
struct KeyMoves(Mutex<Vec<State>>);

impl Observer for KeyMoves {
    fn on_event(&self, event: &Event) {
        if let Event::KeyMoved { transition, .. } = event {
            self.0.lock().push(transition.to);
        }
    }
}

#[test]
fn a_call_that_is_its_keys_probe_tells_that_the_key_is_half_open() {
    let moves = Arc::new(KeyMoves::default());
    let open_for = Duration::from_secs(5);
    let breaker = breaker::Config::builder().failures(1).first_open_for(open_for);
    let (time, table) = heard_by(Arc::clone(&moves) as _, Policy::builder().breaker(breaker));
    let key = table.key("a");
    let call = |answer: Answer| {
        let mut call = Call::begin(&table, 0);
        call.by_key(&key);
        let mut attempt = pin!(call.once(|| ready(answer), &Rules::USUAL));
        assert!(poll(attempt.as_mut()).is_ready());
    };
    call(Err(std::io::ErrorKind::ConnectionReset.into()));
    time.advance(open_for);
    assert_eq!(*moves.0.lock(), [State::Open]);
    call(Ok(7));
    assert_eq!(moves.0.lock()[..2], [State::Open, State::HalfOpen]);
}
