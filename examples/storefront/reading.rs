//! What is measured of each dependency, with and without Seawall.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The dependencies, in the order in which everything lists them.
pub(crate) const NAMES: [&str; 3] = ["payment", "inventory", "notification"];
/// Position of payment in [`NAMES`].
pub(crate) const PAYMENT: usize = 0;
/// Position of inventory in [`NAMES`].
pub(crate) const INVENTORY: usize = 1;
/// Position of notification in [`NAMES`].
pub(crate) const NOTIFICATION: usize = 2;

/// Reads all three dependencies at one moment.
pub(crate) type Read = Arc<dyn Fn() -> Readings + Send + Sync>;

/// How many calls ended how. The fields do not overlap: together they are all calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) success: u64,
    pub(crate) failure: u64,
    pub(crate) fallback: u64,
    pub(crate) cancelled: u64,
    /// Calls that ended refused, by who refused them.
    pub(crate) rejected: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(crate) fn refused(&self) -> u64 {
        self.rejected.values().sum()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.success + self.failure + self.fallback + self.cancelled + self.refused()
    }

    /// The share of calls that the dependency itself answered well; 1 if there were none.
    pub(crate) fn success_ratio(&self) -> f64 {
        if self.calls() == 0 { 1.0 } else { self.success as f64 / self.calls() as f64 }
    }

    /// What came on top of `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut rejected = self.rejected.clone();
        for (by, count) in &mut rejected {
            *count = count.saturating_sub(earlier.rejected.get(by).copied().unwrap_or(0));
        }
        rejected.retain(|_, count| *count > 0);
        Self {
            success: self.success.saturating_sub(earlier.success),
            failure: self.failure.saturating_sub(earlier.failure),
            fallback: self.fallback.saturating_sub(earlier.fallback),
            cancelled: self.cancelled.saturating_sub(earlier.cancelled),
            rejected,
        }
    }
}

/// A breaker's move.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Since the start of the run.
    pub(crate) at: Duration,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
}

/// How full a bulkhead and its mailbox are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guards {
    /// `closed`, `open` or `half_open`.
    pub(crate) state: &'static str,
    pub(crate) limit: u32,
    pub(crate) waiting: u32,
    pub(crate) capacity: u32,
}

/// One dependency at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) counts: Counts,
    /// Calls that timed out; they are among the failures.
    pub(crate) timeouts: u64,
    pub(crate) retries: u64,
    /// Calls with the dependency now.
    pub(crate) active: u32,
    /// `None` in a bare run.
    pub(crate) guards: Option<Guards>,
    pub(crate) transitions: Vec<Step>,
    /// What the guards refused, also where a fallback then answered.
    pub(crate) refusals: BTreeMap<&'static str, u64>,
    /// Attempts that ran into their timeout, also where a fallback then answered.
    pub(crate) attempts_timed_out: u64,
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
}

/// All three, in the order of [`NAMES`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Readings(pub(crate) [Reading; 3]);

impl Readings {
    /// Counts the calls of customers who found no worker: each would have made one to every dependency.
    pub(crate) fn with_no_worker(mut self, left: u64) -> Self {
        if left > 0 {
            for reading in &mut self.0 {
                reading.counts.rejected.insert("no_worker", left);
            }
        }
        self
    }

    /// The counts that came on top of `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> [Counts; 3] {
        std::array::from_fn(|i| self.0[i].counts.since(&earlier.0[i].counts))
    }
}

/// What was counted while payment was down.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) counts: [Counts; 3],
}
