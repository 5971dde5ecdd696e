//! What a dependency was sent beyond one attempt a call.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::latency::{AtomicLatency, Latency};

/// Its counters. Nothing is allocated before the first retry.
#[derive(Debug, Default)]
pub(crate) struct Retried {
    retries: AtomicU64,
    hedges: AtomicU64,
    delays: OnceLock<Box<AtomicLatency>>,
}

impl Retried {
    /// An attempt after one that failed.
    pub(crate) fn note_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// An attempt beside one without an answer.
    pub(crate) fn note_hedge(&self) {
        self.hedges.fetch_add(1, Ordering::Relaxed);
    }

    /// A call is to wait so long before a retry.
    pub(crate) fn note_delay(&self, delay: Duration) {
        self.delays.get_or_init(Box::default).add(delay);
    }

    pub(super) fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    pub(super) fn hedges(&self) -> u64 {
        self.hedges.load(Ordering::Relaxed)
    }

    pub(super) fn delays(&self) -> Latency {
        self.delays.get().map(|delays| delays.read()).unwrap_or_default()
    }
}
