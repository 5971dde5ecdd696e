//! A lease: what one attempt holds. It ends exactly once, whatever becomes of the future it belongs to.
//!
//! It is filled in place and never moved; `fast_path.rs` says why.

use std::time::Duration;

use crate::breaker::Leave;
use crate::bulkhead::Ended;
use crate::clock::Moment;
use crate::dependency::{Dependency, HeldKey, Method};
use crate::outcome::{AttemptEnd, AttemptKind, Class, Outcome};

/// What one attempt holds, given back when dropped: a rate-limit token until it is spent, a permit, the breaker's
/// admission.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    dependency: &'a Dependency,
    method: &'a Method,
    /// [`TOKEN`], [`PERMIT`], [`ADMITTED`], [`IN_USER_CODE`]; and [`RETRY`] or [`HEDGE`], which are nothing to be given back.
    held: u32,
    /// The number of the limiter that gave the token, and the moment that it is for.
    limiter: u32,
    taken_for: Moment,
    /// The breaker's admission.
    admission: Leave,
    /// When the attempt began.
    started: Moment,
    /// The admission by the key's breaker, if it has one. It ends with the lease.
    pub(super) key: Option<(&'a HeldKey, Leave)>,
}

const TOKEN: u32 = 1;
const PERMIT: u32 = 2;
const ADMITTED: u32 = 4;
/// An attempt that ends sooner without an answer says nothing at all: no dependency could have given one.
pub(super) const TOO_SHORT: Duration = Duration::from_millis(1);
/// The user's code runs: a drop meanwhile is an unwind.
const IN_USER_CODE: u32 = 8;
/// It is not the first attempt of its call: which kind it is.
const RETRY: u32 = 16;
const HEDGE: u32 = 32;
const AGAIN: u32 = RETRY | HEDGE;
/// It has ended without an answer, which the dependency may still be busy with.
const UNANSWERED: u32 = 64;

impl<'a> Lease<'a> {
    /// What an open attempt holds: its permit and its admission. It began at `started`.
    pub(super) fn resume(
        dependency: &'a Dependency,
        method: &'a Method,
        admission: Leave,
        started: Moment,
    ) -> Self {
        Self { held: PERMIT | ADMITTED, admission, started, ..Self::new(dependency, method) }
    }

    /// Leaves what it holds to an open attempt, which goes on from here.
    pub(super) fn hand_over(&mut self) -> Leave {
        self.held = 0;
        self.admission
    }

    /// Holds nothing yet.
    #[inline]
    pub(super) fn new(dependency: &'a Dependency, method: &'a Method) -> Self {
        Self {
            dependency,
            method,
            held: 0,
            taken_for: Moment::ZERO,
            limiter: 0,
            admission: Leave::none(),
            started: Moment::ZERO,
            key: None,
        }
    }

    /// Holds a token of the limiter of this number, taken for this moment, in place of any other.
    #[inline]
    pub(super) fn hold_token(&mut self, taken_for: Moment, limiter: u32) {
        self.taken_for = taken_for;
        self.limiter = limiter;
        self.held |= TOKEN;
    }

    /// For when its token was taken.
    pub(super) fn taken_for(&self) -> Moment {
        self.taken_for
    }

    /// The number of the limiter that gave it.
    pub(super) fn limiter(&self) -> u32 {
        self.limiter
    }

    /// Holds no token, from now on.
    #[inline]
    pub(super) fn forget_token(&mut self) {
        self.held &= !TOKEN;
    }

    /// Holds a permit too, from now on.
    #[inline]
    pub(super) fn hold_permit(&mut self) {
        self.held |= PERMIT;
    }

    /// Has been admitted by the breaker too: the attempt begins.
    #[inline]
    pub(super) fn begin(&mut self, admission: Leave, now: Moment) {
        self.admission = admission;
        self.started = now;
        self.held |= ADMITTED;
    }

    /// Whether the user's code runs from now on.
    #[inline]
    pub(super) fn in_user_code(&mut self, runs: bool) {
        let others = self.held & !IN_USER_CODE;
        self.held = if runs { others | IN_USER_CODE } else { others };
    }

    /// It is of this kind.
    pub(super) fn kind(&mut self, kind: AttemptKind) {
        self.held = self.held & !AGAIN
            | match kind {
                AttemptKind::Original => 0,
                AttemptKind::Retry => RETRY,
                AttemptKind::Hedge => HEDGE,
            };
    }

    /// Whether it is the first attempt of its call.
    #[inline]
    pub(super) fn is_original(&self) -> bool {
        self.held & AGAIN == 0
    }

    /// Counts the end of an attempt that was not the first.
    fn count_again(&self, outcome: Outcome) {
        let kind = match self.held & AGAIN {
            0 => return,
            RETRY => AttemptKind::Retry,
            _ => AttemptKind::Hedge,
        };
        self.method.stats.again(kind, outcome);
    }

    /// The admission by the dependency's breaker.
    pub(super) fn admission(&self) -> Leave {
        self.admission
    }

    /// When the attempt began.
    #[inline]
    pub(super) fn started(&self) -> Moment {
        self.started
    }

    /// Ends it well. Nearly always that changes nothing but the permits.
    #[inline(always)]
    pub(super) fn succeed(&mut self, now: Moment) {
        let (took, plan) = (now.nanos_since(self.started), &self.method.plan);
        let is_plain = self.key.is_none() & (took < plan.slow_nanos()) & !plan.tunes();
        if is_plain && self.dependency.gate().breaker().is_as_after_good(self.admission) {
            self.held = 0;
            self.leave();
        } else {
            self.succeed_otherwise(took, now);
        }
    }

    #[inline(never)]
    fn succeed_otherwise(&mut self, took: u64, now: Moment) {
        if self.key.is_some() || took >= self.method.plan.slow_nanos() {
            return self.settle(Outcome::Success, Outcome::Success, None, now);
        }
        self.tune(Ended::Good(took), now);
        self.held = PERMIT;
        if let Some(transition) = self.dependency.gate().record_good(self.admission, now) {
            self.dependency.moved(transition);
        }
        self.held = 0;
        self.leave();
    }

    /// Ends it: `outcome` is what the metrics count, `recorded` what the breaker records.
    pub(super) fn end(&mut self, outcome: Outcome, recorded: Outcome, now: Moment) {
        self.settle(outcome, recorded, None, now);
    }

    /// Ends it, with how long the server asked to be left alone.
    pub(super) fn end_with(
        &mut self,
        outcome: Outcome,
        retry_after: Option<Duration>,
        now: Moment,
    ) {
        self.settle(outcome, outcome, retry_after, now);
    }

    /// Ends it before the dependency has seen anything: another guard has refused the attempt.
    pub(super) fn withdraw(&mut self) {
        self.held &= !ADMITTED;
        self.dependency.gate().take_back(self.admission, None);
    }

    /// Ends it with nothing for the breaker to learn: there was no time for an answer.
    pub(super) fn end_unjudged(&mut self, outcome: Outcome) {
        self.held &= !(ADMITTED | IN_USER_CODE);
        self.method.stats.attempt(outcome);
        self.count_again(outcome);
        self.dependency.gate().take_back(self.admission, self.key);
    }

    #[inline(never)]
    fn settle(
        &mut self,
        outcome: Outcome,
        recorded: Outcome,
        retry_after: Option<Duration>,
        now: Moment,
    ) {
        self.held &= !(ADMITTED | IN_USER_CODE);
        let dependency = self.dependency;
        let slow = now.nanos_since(self.started) >= self.method.plan.slow_nanos();
        let mut attempt_end = AttemptEnd { outcome: recorded, slow, retry_after };
        if outcome != Outcome::Success {
            self.method.stats.attempt(outcome);
        }
        if matches!(outcome, Outcome::TimedOut | Outcome::Cancelled) {
            self.held |= UNANSWERED;
        }
        self.count_again(outcome);
        self.tune(
            match recorded {
                Outcome::Success => Ended::Good(now.nanos_since(self.started)),
                Outcome::TimedOut => Ended::Dropped,
                _ => Ended::Otherwise,
            },
            now,
        );
        if outcome.class() == Class::Failure {
            dependency.attempt_failed(self.method, outcome, now.since(self.started), now);
        }
        if let Some((key, own)) = self.key {
            let gate = dependency.gate();
            let (for_all, moved) = gate.record_by_key(key, (own, self.admission), attempt_end, now);
            attempt_end = for_all;
            moved.into_iter().for_each(|transition| dependency.key_moved(key, transition));
        }
        if let Some(transition) = dependency.gate().record(self.admission, attempt_end, now) {
            dependency.moved(transition);
        }
        if slow {
            dependency.slow_call(self.method, now.since(self.started), outcome, now);
        }
    }

    /// Tells what finds the number of permits, if it is not fixed.
    #[inline]
    fn tune(&self, ended: Ended, now: Moment) {
        if self.method.plan.tunes() {
            self.dependency.gate().tune(ended, || self.method.plan.timeout(), now);
        }
    }

    /// Gives the permit back, after the breaker has recorded the end.
    #[inline]
    fn leave(&self) {
        let dependency = self.dependency;
        dependency.gate().waiting_room().leave(self.method.weight(), || dependency.now());
        dependency.left();
    }

    /// Gives back whatever it holds.
    #[cold]
    fn give_back(&mut self) {
        if self.held & ADMITTED != 0 {
            self.abandoned();
        }
        if self.held & TOKEN != 0 {
            let dependency = self.dependency;
            dependency.gate().refund(self.limiter, dependency.now(), self.taken_for);
        }
        if self.held & PERMIT != 0 && !self.keeps_permit() {
            self.leave();
        }
    }

    /// Whether the permit stays out for a grace. Its actor is told when to look.
    fn keeps_permit(&self) -> bool {
        // A thread that is still busy with it has a permit of its own.
        if self.held & UNANSWERED == 0 || self.method.is_blocking() {
            return false;
        }
        let dependency = self.dependency;
        let is_kept = dependency.gate().keep_permit(self.method.weight(), || {
            let (stats, now) = (&self.method.stats, dependency.now());
            // While nobody knows what answers take, it is the timeout at most.
            (now, stats.high_latency(now).unwrap_or_else(|| self.method.plan.timeout()))
        });
        if is_kept {
            dependency.signals().raise();
            dependency.left();
        }
        is_kept
    }

    /// Whether a healthy dependency would have answered by now: the attempt is slow, or took twice as long as nearly all good
    /// answers of late.
    fn had_time_to_answer(&self, now: Moment) -> bool {
        if now.nanos_since(self.started) >= self.method.plan.slow_nanos() {
            return true;
        }
        let observed = self.method.stats.high_latency(now);
        observed.is_some_and(|observed| now.since(self.started) >= observed.saturating_mul(2))
    }

    fn abandoned(&mut self) {
        let now = self.dependency.now();
        if self.held & IN_USER_CODE != 0 {
            self.settle(Outcome::Panicked, Outcome::Panicked, None, now);
        } else if now.since(self.started) < TOO_SHORT {
            self.end_unjudged(Outcome::Cancelled);
        } else {
            // A dependency that hangs behind impatient callers must still trip the breaker.
            let recorded =
                if self.had_time_to_answer(now) { Outcome::TimedOut } else { Outcome::Cancelled };
            self.settle(Outcome::Cancelled, recorded, None, now);
        }
    }
}

impl Drop for Lease<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.held != 0 {
            self.give_back();
        }
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::breaker::{self, BreakerReport};
    use crate::call::tests::table;
    use crate::dependency::MethodTable;
    use crate::event::State;
    use crate::policy::Policy;
    use crate::time::ManualTime;

    const SLOW: Duration = Duration::from_millis(200);

    /// A dependency whose breaker opens at the first failure, with one method.
    fn touchy() -> (ManualTime, Arc<MethodTable>) {
        let breaker = breaker::Config::builder().failures(1).open_for(SLOW).half_open_calls(1);
        table(Policy::builder().breaker(breaker.slow_call(SLOW)))
    }

    fn report(table: &MethodTable) -> BreakerReport {
        let dependency = table.dependency();
        dependency.gate().breaker().report(dependency.now())
    }

    fn begin(table: &MethodTable) -> Lease<'_> {
        let dependency = table.dependency();
        let now = dependency.now();
        let mut lease = Lease::new(dependency, table.method(0));
        lease.begin(dependency.gate().admit(now, &mut None).unwrap(), now);
        lease
    }

    #[test]
    fn a_probe_that_another_guard_refused_frees_its_place_and_counts_nothing() {
        let (time, table) = touchy();
        let breaker = table.dependency().gate().breaker();
        let first = breaker.let_in(time.now(), &mut None).unwrap();
        breaker.note(first, Outcome::Failure, time.now());
        time.advance(SLOW * 2);
        let mut lease = begin(&table);
        assert_eq!((report(&table).state, report(&table).probes), (State::HalfOpen, 1));
        lease.withdraw();
        assert_eq!((report(&table).state, report(&table).probes), (State::HalfOpen, 0));
        drop(lease);
        let report = report(&table);
        assert_eq!((report.probes, report.stale_results), (0, 0), "it ends once");
    }

    #[test]
    fn a_call_that_is_dropped_counts_against_the_dependency_from_slow_call_on() {
        let (time, table) = touchy();
        let lease = begin(&table);
        time.advance(SLOW - Duration::from_nanos(1));
        drop(lease);
        assert_eq!(report(&table).state, State::Closed, "an impatient caller says nothing");
        let lease = begin(&table);
        time.advance(SLOW);
        drop(lease);
        assert_eq!(report(&table).state, State::Open);
    }
}
