//! What the breakers of all keys count together: when a key is forgotten, what it has counted is not.

use crate::sync::{AtomicU64, Ordering};

/// Sums over breakers, those that are gone too.
#[derive(Debug)]
pub(super) struct SharedCounters {
    stale: AtomicU64,
    withheld: AtomicU64,
}

impl SharedCounters {
    pub(super) fn new() -> Self {
        Self { stale: AtomicU64::new(0), withheld: AtomicU64::new(0) }
    }

    pub(super) fn note_stale(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_withheld(&self) {
        self.withheld.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stale(&self) -> u64 {
        self.stale.load(Ordering::Relaxed)
    }

    pub(super) fn withheld(&self) -> u64 {
        self.withheld.load(Ordering::Relaxed)
    }
}
