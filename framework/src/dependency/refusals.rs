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
        let stripe = |name| Stripe { name, counts: std::array::from_fn(|_| AtomicU64::new(0)) };
        apart(name, stripe_count()).into_iter().map(stripe).collect()
    }

    /// How many there have been.
    pub(super) fn total(&self, by: RejectedBy) -> u64 {
        let stripes = self.stripes.get().into_iter().flatten();
        stripes.map(|stripe| stripe.counts[by.index()].load(Ordering::Relaxed)).sum()
    }
}

/// So many copies of a name, not clones: what threads must not share is a reference count. Nor may two of those lie in one line
/// of the cache, where the allocator likes to put them: that cost twice the time of a refusal on two threads.
fn apart(name: &str, count: usize) -> Vec<DependencyName> {
    let line = |name: &DependencyName| Arc::as_ptr(name).cast::<u8>().addr() / LINE;
    let (mut names, mut too_near) = (Vec::<DependencyName>::with_capacity(count), Vec::new());
    while names.len() < count {
        let next = Arc::from(name);
        let is_near = names.iter().any(|other| line(other).abs_diff(line(&next)) <= 1);
        // Kept until the end, so that the next one lies elsewhere.
        if is_near && too_near.len() < count * TRIES {
            too_near.push(next);
        } else {
            names.push(next);
        }
    }
    names
}

/// Two lines of the cache: the processor fetches them in pairs.
const LINE: usize = 128;
/// How often a name is allocated anew at most, for each that is wanted.
const TRIES: usize = 64;

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;

    #[test]
    fn copies_of_a_name_lie_in_lines_of_their_own() {
        for length in [0, 1, 8, 40, 300] {
            let name = "x".repeat(length);
            let names = apart(&name, 16);
            assert_eq!(names.len(), 16);
            assert!(names.iter().all(|copy| **copy == *name));
            let mut lines: Vec<_> =
                names.iter().map(|copy| Arc::as_ptr(copy).cast::<u8>().addr() / LINE).collect();
            lines.sort_unstable();
            assert!(lines.windows(2).all(|pair| pair[1] - pair[0] > 1), "{lines:?}");
        }
    }
}
