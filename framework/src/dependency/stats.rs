//! What a method's calls came to: counters in stripes, one for each thread at work.
//!
//! A successful call adds to two words, in one line of the cache: a latency bucket, and the sum of its decade. That it succeeded,
//! and with one successful attempt, is read off the buckets: there is no third counter to keep in step.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use once_cell::race::OnceBox;

use crate::clock::{Moment, nanos};
use crate::error::RejectedBy;
use crate::event::Sampler;
use crate::outcome::{AttemptKind, CallOutcome, Outcome};
use crate::striped::{Counter, Owner, Striped};

use super::latency::{BUCKETS, DECADE, DECADES, Latency, SUM, bucket, slot};
use super::observed::Observed;

const CALLS: usize = CallOutcome::ALL.len();
const ATTEMPTS: usize = Outcome::ALL.len();
const GUARDS: usize = RejectedBy::ALL.len();
/// Why a fallback answers.
pub(super) const REASONS: usize = CALLS + GUARDS;
/// Kinds of attempts but the first.
const AGAIN: usize = AttemptKind::ALL.len() - 1;

/// How many calls fell into each bucket, and what they took, in nanoseconds, decade by decade: see [`DECADES`].
#[derive(Debug, Default)]
#[repr(align(64))]
struct Decades([[Counter; DECADE]; DECADES]);

impl Decades {
    #[inline]
    fn add(&self, took_nanos: u64, owner: Owner) {
        let slot = slot(took_nanos);
        let decade = &self.0[slot / DECADE];
        decade[slot % DECADE].add(1, owner);
        decade[SUM].add(took_nanos, owner);
    }

    /// The counts of all buckets, in their order.
    fn buckets(&self) -> impl Iterator<Item = u64> {
        self.0.iter().flat_map(|decade| &decade[..SUM]).map(Counter::get).take(BUCKETS)
    }

    fn sum_nanos(&self) -> u64 {
        self.0.iter().map(|decade| decade[SUM].get()).fold(0, u64::wrapping_add)
    }
}

#[derive(Debug)]
struct Stripe {
    success: Decades,
    /// Made by the first call that ends in any other way.
    other: OnceBox<Decades>,
    calls: [Counter; CALLS],
    attempts: [Counter; ATTEMPTS],
    /// Attempts that a guard refused.
    refused: [Counter; GUARDS],
    /// Calls that ended so.
    rejected: [Counter; GUARDS],
}

impl Default for Stripe {
    fn default() -> Self {
        fn zeros<const N: usize>() -> [Counter; N] {
            std::array::from_fn(|_| Counter::default())
        }
        Self {
            success: Decades::default(),
            other: OnceBox::new(),
            calls: zeros(),
            attempts: zeros(),
            refused: zeros(),
            rejected: zeros(),
        }
    }
}

/// One method's counters. Nothing is allocated before the first call ends.
#[derive(Debug, Default)]
pub(crate) struct MethodStats {
    stripes: Striped<Stripe>,
    /// The latency of a call has its waits in it. For calls that waited before the attempt that succeeded: one less in
    /// the bucket of the call, one more in that of the attempt.
    waited: OnceBox<[AtomicI64; BUCKETS]>,
    observed: OnceBox<Observed>,
    slow: OnceBox<Sampler>,
    /// Attempts that were not the first of their call, by kind.
    again: OnceBox<[[AtomicU64; ATTEMPTS]; AGAIN]>,
    /// Calls that a fallback has answered, by how they would have ended, and then by the guard that had refused them.
    fallbacks: OnceBox<[AtomicU64; REASONS]>,
}

impl MethodStats {
    #[inline]
    fn stripe(&self) -> (&Stripe, Owner) {
        self.stripes.mine()
    }

    /// A call succeeded, with its only or last attempt.
    #[inline]
    pub(crate) fn success(&self, took_nanos: u64) {
        let (stripe, owner) = self.stripe();
        stripe.success.add(took_nanos, owner);
    }

    /// A call succeeds: how much of its time was that of the attempt. Nothing, unless it waited before that.
    pub(crate) fn waited(&self, call_took: Duration, attempt_took: Duration) {
        if attempt_took >= call_took {
            return;
        }
        let waited =
            self.waited.get_or_init(|| Box::new(std::array::from_fn(|_| AtomicI64::new(0))));
        waited[bucket(nanos(call_took))].fetch_sub(1, Ordering::Relaxed);
        waited[bucket(nanos(attempt_took))].fetch_add(1, Ordering::Relaxed);
    }

    /// What 99 of 100 attempts that succeeded of late did not exceed, if there were enough of them.
    pub(crate) fn high_latency(&self, now: Moment) -> Option<Duration> {
        self.observe_now(now).high()
    }

    /// The same for half of them.
    pub(crate) fn typical_latency(&self, now: Moment) -> Option<Duration> {
        self.observe_now(now).typical()
    }

    fn observe_now(&self, now: Moment) -> &Observed {
        let observed = self.observed.get_or_init(Box::default);
        observed.look(now, || self.good_attempts());
        observed
    }

    /// The attempts that succeeded, by bucket.
    fn good_attempts(&self) -> Box<[u64; BUCKETS]> {
        let mut totals = Box::new([0; BUCKETS]);
        for stripe in self.stripes.iter() {
            add(&mut *totals, stripe.success.buckets());
        }
        if let Some(waited) = self.waited.get() {
            for (total, waited) in totals.iter_mut().zip(waited.iter()) {
                // Below zero while a call is between the two counts.
                *total = total.saturating_add_signed(waited.load(Ordering::Relaxed));
            }
        }
        totals
    }

    /// An attempt was refused by this guard.
    #[inline]
    pub(super) fn refused(&self, by: RejectedBy) {
        let (stripe, owner) = self.stripe();
        stripe.refused[by.index()].add(1, owner);
    }

    /// How many were.
    pub(super) fn refused_total(&self, by: RejectedBy) -> u64 {
        self.stripes.iter().map(|stripe| stripe.refused[by.index()].get()).sum()
    }

    /// A call was refused by this guard, and ended so. That is no measure of latency.
    #[inline]
    pub(super) fn rejected(&self, by: RejectedBy) {
        let (stripe, owner) = self.stripe();
        // That the call was rejected is read off this.
        stripe.rejected[by.index()].add(1, owner);
    }

    /// A call ended in any other way.
    pub(crate) fn other(&self, outcome: CallOutcome, took_nanos: u64) {
        let (stripe, owner) = self.stripe();
        stripe.calls[outcome.index()].add(1, owner);
        if outcome != CallOutcome::Unavailable {
            stripe.other.get_or_init(Box::default).add(took_nanos, owner);
        }
    }

    /// An attempt ended, other than by a success that ends its call.
    pub(crate) fn attempt(&self, outcome: Outcome) {
        let (stripe, owner) = self.stripe();
        stripe.attempts[outcome.index()].add(1, owner);
    }

    /// An attempt of this kind ended; counted beside [`MethodStats::attempt`] or [`MethodStats::success`].
    #[cold]
    pub(crate) fn again(&self, kind: AttemptKind, outcome: Outcome) {
        if let Some(kind) = (kind as usize).checked_sub(1) {
            let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
            let again = self.again.get_or_init(|| Box::new([zeros(), zeros()]));
            again[kind][outcome.index()].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A fallback has answered.
    #[cold]
    pub(super) fn fell_back(&self, instead_of: CallOutcome, refused_by: Option<RejectedBy>) {
        let reason = refused_by.map_or(instead_of.index(), |by| CALLS + by.index());
        let zeros = || Box::new(std::array::from_fn(|_| AtomicU64::new(0)));
        self.fallbacks.get_or_init(zeros)[reason].fetch_add(1, Ordering::Relaxed);
    }

    /// Hedging goes by this share of the good answers from now on.
    pub(super) fn observe(&self, hedge_share: Option<f64>) {
        // One that nobody has asked yet goes by none.
        if hedge_share.is_some() || self.observed.get().is_some() {
            self.observed.get_or_init(Box::default).ask(hedge_share);
        }
    }

    /// What that share of the attempts that succeeded of late did not exceed, if there were enough of them.
    pub(crate) fn hedge_latency(&self, now: Moment) -> Option<Duration> {
        self.observe_now(now).hedge()
    }

    /// An attempt was slow. `Some`: it is to be told of, with the number of those that were not.
    pub(crate) fn slow(&self, now: Moment) -> Option<u64> {
        self.slow.get_or_init(Box::default).count(now)
    }

    /// Calls that have ended.
    pub(super) fn ended(&self) -> u64 {
        let of_stripe = |stripe: &Stripe| {
            let others = stripe.calls.iter().chain(&stripe.rejected).map(Counter::get);
            stripe.success.buckets().chain(others).sum::<u64>()
        };
        self.stripes.iter().map(of_stripe).sum()
    }

    /// Adds everything up. Each figure only ever grows from one reading to the next.
    pub(super) fn add_to(&self, counts: &mut MethodCounts) {
        for stripe in self.stripes.iter() {
            let succeeded = counts.add_latency(&stripe.success);
            counts.calls[CallOutcome::Success.index()] += succeeded;
            counts.attempts[Outcome::Success.index()] += succeeded;
            if let Some(other) = stripe.other.get() {
                counts.add_latency(other);
            }
            add(&mut counts.calls, stripe.calls.iter().map(Counter::get));
            add(&mut counts.attempts, stripe.attempts.iter().map(Counter::get));
            add(&mut counts.rejected, stripe.rejected.iter().map(Counter::get));
            // That a call was rejected is read off this.
            let rejected = stripe.rejected.iter().map(Counter::get).sum::<u64>();
            counts.calls[CallOutcome::Rejected.index()] += rejected;
        }
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        if let Some(fallbacks) = self.fallbacks.get() {
            add(&mut counts.fallbacks, fallbacks.iter().map(read));
        }
        if let Some(again) = self.again.get() {
            add(counts.again.as_flattened_mut(), again.as_flattened().iter().map(read));
        }
    }
}

fn add(into: &mut [u64], from: impl Iterator<Item = u64>) {
    into.iter_mut().zip(from).for_each(|(total, count)| *total += count);
}

/// A method's counters, summed.
#[derive(Clone, Debug, Default)]
pub(crate) struct MethodCounts {
    pub(crate) fallbacks: [u64; REASONS],
    pub(crate) calls: [u64; CALLS],
    pub(crate) attempts: [u64; ATTEMPTS],
    pub(crate) rejected: [u64; GUARDS],
    pub(crate) again: [[u64; ATTEMPTS]; AGAIN],
    pub(crate) latency: Latency,
}

impl MethodCounts {
    /// How many calls these were.
    fn add_latency(&mut self, decades: &Decades) -> u64 {
        let mut calls = 0;
        for (total, bucket) in self.latency.buckets.iter_mut().zip(decades.buckets()) {
            *total += bucket;
            calls += bucket;
        }
        self.latency.sum_nanos = self.latency.sum_nanos.wrapping_add(decades.sum_nanos());
        calls
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_attempts_take_has_no_waits_in_it() {
        let stats = MethodStats::default();
        let (call, attempt) = (Duration::from_secs(5), Duration::from_millis(10));
        for _ in 0..20 {
            stats.waited(call, attempt);
            stats.success(nanos(call));
        }
        let now = Moment::ZERO + Duration::from_secs(60);
        let typical = stats.typical_latency(now).map(|it| it.as_millis());
        let mut counts = MethodCounts::default();
        stats.add_to(&mut counts);
        assert_eq!((typical, counts.latency.count()), (Some(8), 20));
        let high = stats.high_latency(now).map(|it| it.as_millis());
        assert_eq!(high, Some(9));
    }
}
