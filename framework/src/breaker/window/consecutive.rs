//! Failures in a row: one word, generation (24 bits) and count (40).

use crate::sync::{AtomicU64, Ordering};

const COUNT_MASK: u64 = (1 << 40) - 1;

#[derive(Debug)]
pub(in crate::breaker) struct Consecutive(AtomicU64);

impl Consecutive {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The length of the run that this outcome leaves, zero for another generation's.
    #[inline]
    pub(super) fn record(&self, generation: u32, failed: bool) -> u32 {
        let tag = u64::from(generation) << 40;
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            // On the healthy path this returns without a write: the line stays shared.
            if word & !COUNT_MASK != tag || (!failed && word == tag) {
                return 0;
            }
            let count =
                if failed { (word & COUNT_MASK).saturating_add(1).min(COUNT_MASK) } else { 0 };
            match self.0.compare_exchange_weak(
                word,
                tag | count,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return u32::try_from(count).unwrap_or(u32::MAX),
                Err(seen) => word = seen,
            }
        }
    }

    /// Whether there is no run, in this generation.
    #[inline]
    pub(in crate::breaker) fn is_none(&self, generation: u32) -> bool {
        self.0.load(Ordering::Acquire) == u64::from(generation) << 40
    }

    pub(super) fn start(&self, generation: u32) {
        // A swap, not a store, though the old value is of no use: it stands after every count that
        // was added before it, which the model checker does not know of a store.
        self.0.swap(u64::from(generation) << 40, Ordering::AcqRel);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire) & COUNT_MASK
    }
}
