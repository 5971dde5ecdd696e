//! What a method's calls came to: counters in stripes, one line of memory per thread at work.
//!
//! A successful call adds to two words: a latency bucket and the sum. That it succeeded, and with one
//! successful attempt, is read off the buckets: there is no third counter to keep in step.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::clock::{Moment, nanos};
use crate::error::RejectedBy;
use crate::event::Sampler;
use crate::outcome::{CallOutcome, Outcome};

use super::latency::{BUCKETS, Latency, bucket};
use super::observed::Observed;

const CALLS: usize = CallOutcome::ALL.len();
const ATTEMPTS: usize = Outcome::ALL.len();
const GUARDS: usize = RejectedBy::ALL.len();

/// More stripes than this buy nothing that their memory is worth.
const MAX_STRIPES: usize = 16;

#[derive(Debug)]
#[repr(align(128))]
struct Stripe {
    success_latency: [AtomicU64; BUCKETS],
    latency_sum_nanos: AtomicU64,
    other_latency: [AtomicU64; BUCKETS],
    calls: [AtomicU64; CALLS],
    attempts: [AtomicU64; ATTEMPTS],
    rejected: [AtomicU64; GUARDS],
}

impl Stripe {
    fn new() -> Self {
        fn zeros<const N: usize>() -> [AtomicU64; N] {
            std::array::from_fn(|_| AtomicU64::new(0))
        }
        Self {
            success_latency: zeros(),
            latency_sum_nanos: AtomicU64::new(0),
            other_latency: zeros(),
            calls: zeros(),
            attempts: zeros(),
            rejected: zeros(),
        }
    }
}

/// One method's counters. Nothing is allocated before the first call ends.
#[derive(Debug, Default)]
pub(crate) struct MethodStats {
    stripes: OnceLock<Box<[Stripe]>>,
    /// The latency of a call has its waits in it. For calls that waited before the attempt that succeeded: one less in
    /// the bucket of the call, one more in that of the attempt.
    waited: OnceLock<Box<[AtomicI64; BUCKETS]>>,
    observed: Observed,
    slow: Sampler,
}

pub(super) fn stripe_count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        threads.next_power_of_two().min(MAX_STRIPES)
    })
}

/// A number of this thread's own, the same for its whole life.
#[inline]
pub(super) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

#[inline]
fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl MethodStats {
    #[inline]
    fn stripe(&self) -> &Stripe {
        let stripes =
            self.stripes.get_or_init(|| (0..stripe_count()).map(|_| Stripe::new()).collect());
        // In bounds: the count is a power of two.
        &stripes[thread_number() & (stripes.len() - 1)]
    }

    /// A call succeeded, with its only or last attempt.
    #[inline]
    pub(crate) fn success(&self, took_nanos: u64) {
        let stripe = self.stripe();
        add(&stripe.success_latency[bucket(took_nanos)], 1);
        add(&stripe.latency_sum_nanos, took_nanos);
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
        self.observed.look(now, || self.good_attempts());
        self.observed.high()
    }

    /// The same for half of them.
    pub(crate) fn typical_latency(&self, now: Moment) -> Option<Duration> {
        self.observed.look(now, || self.good_attempts());
        self.observed.typical()
    }

    /// The attempts that succeeded, by bucket.
    fn good_attempts(&self) -> Box<[u64; BUCKETS]> {
        let mut buckets = Box::new([0; BUCKETS]);
        for stripe in self.stripes.get().into_iter().flatten() {
            sum(&mut buckets, &stripe.success_latency);
        }
        if let Some(waited) = self.waited.get() {
            for (total, waited) in buckets.iter_mut().zip(waited.iter()) {
                // Below zero while a call is between the two counts.
                *total = total.saturating_add_signed(waited.load(Ordering::Relaxed));
            }
        }
        buckets
    }

    /// A call ended in any other way. Refusals are counted, but are no measure of latency.
    pub(crate) fn other(&self, outcome: CallOutcome, by: Option<RejectedBy>, took_nanos: u64) {
        let stripe = self.stripe();
        if let Some(by) = by {
            // That the call was rejected is read off this.
            add(&stripe.rejected[by.index()], 1);
            return;
        }
        add(&stripe.calls[outcome.index()], 1);
        if outcome != CallOutcome::Unavailable {
            add(&stripe.other_latency[bucket(took_nanos)], 1);
            add(&stripe.latency_sum_nanos, took_nanos);
        }
    }

    /// An attempt ended, other than by a success that ends its call.
    pub(crate) fn attempt(&self, outcome: Outcome) {
        add(&self.stripe().attempts[outcome.index()], 1);
    }

    /// An attempt was slow. `Some`: it is to be told of, with the number of those that were not.
    pub(crate) fn slow(&self, now: Moment) -> Option<u64> {
        self.slow.count(now)
    }

    /// Everything summed up. Each figure only ever grows from one reading to the next.
    pub(crate) fn read(&self) -> MethodCounts {
        let mut counts = MethodCounts::default();
        for stripe in self.stripes.get().into_iter().flatten() {
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            for (at, (ok, other)) in
                stripe.success_latency.iter().zip(&stripe.other_latency).enumerate()
            {
                let ok = read(ok);
                counts.calls[CallOutcome::Success.index()] += ok;
                counts.attempts[Outcome::Success.index()] += ok;
                counts.latency.buckets[at] += ok + read(other);
            }
            counts.latency.sum_nanos += read(&stripe.latency_sum_nanos);
            sum(&mut counts.calls, &stripe.calls);
            sum(&mut counts.attempts, &stripe.attempts);
            sum(&mut counts.rejected, &stripe.rejected);
        }
        counts.calls[CallOutcome::Rejected.index()] = counts.rejected.iter().sum();
        counts
    }
}

fn sum<const N: usize>(into: &mut [u64; N], from: &[AtomicU64; N]) {
    for (total, counter) in into.iter_mut().zip(from) {
        *total += counter.load(Ordering::Relaxed);
    }
}

/// A method's counters, summed.
#[derive(Clone, Debug, Default)]
pub(crate) struct MethodCounts {
    pub(crate) calls: [u64; CALLS],
    pub(crate) attempts: [u64; ATTEMPTS],
    pub(crate) rejected: [u64; GUARDS],
    pub(crate) latency: Latency,
}
