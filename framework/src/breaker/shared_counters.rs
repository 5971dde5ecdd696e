//! What the breakers of all keys count together: when a key is forgotten, what it has counted is not.

use crate::sync::{AtomicU64, Ordering};

use super::state::CircuitBreaker;

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

    pub(super) fn stale(&self) -> u64 {
        self.stale.load(Ordering::Relaxed)
    }

    pub(super) fn withheld(&self) -> u64 {
        self.withheld.load(Ordering::Relaxed)
    }
}

impl CircuitBreaker {
    /// An answer came too late to count.
    #[cold]
    pub(super) fn note_stale(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
        if let Some(all) = &self.shared_counters {
            all.stale.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A refusal was kept back.
    #[cold]
    pub(super) fn note_withheld(&self) {
        self.withheld.fetch_add(1, Ordering::Relaxed);
        if let Some(all) = &self.shared_counters {
            all.withheld.fetch_add(1, Ordering::Relaxed);
        }
    }
}
