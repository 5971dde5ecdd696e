//! What a dependency was sent beyond one attempt a call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use once_cell::race::OnceBox;

use super::latency::{AtomicLatency, Latency};

/// Its counters. Nothing is allocated before the first retry or hedge.
#[derive(Debug, Default)]
pub(crate) struct Retried(OnceBox<Counters>);

#[derive(Debug, Default)]
struct Counters {
    retries: AtomicU64,
    hedges: AtomicU64,
    delays: AtomicLatency,
}

impl Retried {
    fn counters(&self) -> &Counters {
        self.0.get_or_init(Box::default)
    }

    /// An attempt after one that failed.
    pub(crate) fn note_retry(&self) {
        self.counters().retries.fetch_add(1, Ordering::Relaxed);
    }

    /// An attempt beside one without an answer.
    pub(crate) fn note_hedge(&self) {
        self.counters().hedges.fetch_add(1, Ordering::Relaxed);
    }

    /// A call is to wait so long before a retry.
    pub(crate) fn note_delay(&self, delay: Duration) {
        self.counters().delays.add(delay);
    }

    pub(super) fn retries(&self) -> u64 {
        self.0.get().map_or(0, |counters| counters.retries.load(Ordering::Relaxed))
    }

    pub(super) fn hedges(&self) -> u64 {
        self.0.get().map_or(0, |counters| counters.hedges.load(Ordering::Relaxed))
    }

    pub(super) fn delays(&self) -> Latency {
        self.0.get().map(|counters| counters.delays.read()).unwrap_or_default()
    }
}
