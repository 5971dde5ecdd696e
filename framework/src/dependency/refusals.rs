//! Refused attempts, counted: refusing is what a process does most when a dependency is in trouble.
//!
//! Each thread counts in a stripe of its own, and takes the dependency's name from there for the answer: a counter, or a
//! reference count, that all threads share would cost more than the rest of a refusal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::breaker;
use crate::clock::Moment;
use crate::error::{DependencyName, RejectedBy};
use crate::event::Sampler;
use crate::limit;

use super::stats::{stripe_count, thread_number};

const GUARDS: usize = RejectedBy::ALL.len();

/// A guard's refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) by: RejectedBy,
    pub(crate) retry_after: Option<Duration>,
}

impl From<breaker::NotAdmitted> for Refused {
    fn from(refusal: breaker::NotAdmitted) -> Self {
        Self { by: RejectedBy::Breaker, retry_after: refusal.retry_after }
    }
}

impl From<limit::Refusal> for Refused {
    fn from(refusal: limit::Refusal) -> Self {
        Self { by: RejectedBy::RateLimit, retry_after: refusal.retry_after }
    }
}

#[derive(Debug)]
#[repr(align(128))]
struct Stripe {
    name: DependencyName,
    counts: [AtomicU64; GUARDS],
}

/// A dependency's refused attempts, by guard. Nothing is allocated before the first.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    stripes: OnceLock<Box<[Stripe]>>,
    samplers: [Sampler; GUARDS],
}

impl Refusals {
    /// Counts a refusal by this guard. If it is to be told of, how many have gone untold since the last one.
    #[inline]
    pub(super) fn count(&self, name: &DependencyName, by: RejectedBy, now: Moment) -> Option<u64> {
        self.stripe(name).counts[by.index()].fetch_add(1, Ordering::Relaxed);
        self.samplers[by.index()].tell_of(|| self.total(by), now)
    }

    /// The dependency's name, to answer a refused call with.
    #[inline]
    pub(super) fn name(&self, name: &DependencyName) -> &DependencyName {
        &self.stripe(name).name
    }

    #[inline]
    fn stripe(&self, name: &DependencyName) -> &Stripe {
        let stripes = self.stripes.get_or_init(|| Self::stripes(name));
        // In bounds: the count is a power of two.
        &stripes[thread_number() & (stripes.len() - 1)]
    }

    #[cold]
    fn stripes(name: &DependencyName) -> Box<[Stripe]> {
        let stripe = || Stripe {
            // A copy of its own, not a clone: what threads must not share is its reference count.
            name: Arc::from(&**name),
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
        };
        (0..stripe_count()).map(|_| stripe()).collect()
    }

    /// How many there have been.
    pub(super) fn total(&self, by: RejectedBy) -> u64 {
        let stripes = self.stripes.get().into_iter().flatten();
        stripes.map(|stripe| stripe.counts[by.index()].load(Ordering::Relaxed)).sum()
    }
}
