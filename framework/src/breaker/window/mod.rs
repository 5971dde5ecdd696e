//! What a closed breaker remembers, and when that is too much.
//!
//! Every window is tagged with the generation it belongs to. A record of another generation changes
//! nothing, however late its writer wakes up.

mod calls;
mod consecutive;
mod timed;

use crate::clock::Moment;

use super::config::{Trip, Window as Over};
use calls::Calls;
use consecutive::Consecutive;
use timed::Timed;

/// Failures out of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) calls: u64,
    pub(super) failures: u64,
}

#[derive(Debug)]
pub(super) enum Window {
    Consecutive { window: Consecutive, failures: u32 },
    // Boxed: padded against false sharing, they are ten times the size of a run of failures.
    Calls { window: Box<Calls>, threshold: Threshold },
    Timed { window: Box<Timed>, threshold: Threshold },
}

/// At or above which share of at least how many calls a breaker opens.
#[derive(Clone, Copy, Debug)]
pub(in crate::breaker) struct Threshold {
    min_calls: u64,
    /// In billionths, so that comparing is exact: 3 of 30 reaches 10 %.
    rate_e9: u64,
}

const BILLION: f64 = 1e9;

impl Threshold {
    pub(in crate::breaker) fn new(failure_rate: f64, min_calls: u32) -> Self {
        // In (0, 1], so the product is in (0, 1e9]. Rounded down: 2 of 3 must reach two thirds.
        let rate_e9 = ((failure_rate * BILLION) as u64).max(1);
        Self { min_calls: u64::from(min_calls), rate_e9 }
    }

    /// The fewest failures of `calls` that reach the rate.
    pub(in crate::breaker) fn fewest_failures(self, calls: u32) -> u32 {
        // At most `calls`, for the rate is at most one.
        (self.rate_e9 * u64::from(calls)).div_ceil(1_000_000_000) as u32
    }

    fn is_reached(self, tally: Tally) -> bool {
        tally.calls >= self.min_calls
            && u128::from(tally.failures) * 1_000_000_000
                >= u128::from(self.rate_e9) * u128::from(tally.calls)
    }
}

impl Window {
    pub(super) fn new(trip: Trip, now: Moment) -> Self {
        match trip {
            Trip::Consecutive { failures } => {
                Self::Consecutive { window: Consecutive::new(), failures }
            }
            Trip::Rate { failure_rate, min_calls, window } => {
                let threshold = Threshold::new(failure_rate, min_calls);
                match window {
                    Over::Calls(size) => {
                        Self::Calls { window: Box::new(Calls::new(size)), threshold }
                    }
                    Over::Time(length) => {
                        Self::Timed { window: Box::new(Timed::new(length, now)), threshold }
                    }
                }
            }
        }
    }

    /// Counts an outcome. True if the breaker of that generation may have to open: the caller then
    /// asks [`Window::confirms`] with every other transition locked out.
    #[inline]
    pub(super) fn record(&self, generation: u32, failed: bool, now: Moment) -> bool {
        match self {
            Self::Consecutive { window, failures } => {
                window.record(generation, failed) >= *failures
            }
            Self::Calls { window, threshold } => {
                window.record(generation, failed).is_some_and(|tally| threshold.is_reached(tally))
            }
            Self::Timed { window, threshold } => window
                .record(generation, failed, now)
                .is_some_and(|tally| threshold.is_reached(tally)),
        }
    }

    /// Counts again, slowly and exactly: a count that other writers are changing can be off by those
    /// in flight. A run of failures needs no second count, its one word was right when it was written.
    pub(super) fn confirms(&self) -> bool {
        match self {
            Self::Consecutive { .. } => true,
            Self::Calls { window, threshold } => threshold.is_reached(window.recount()),
            Self::Timed { window, threshold } => threshold.is_reached(window.recount()),
        }
    }

    /// Forgets everything and belongs to `generation` from now on. Transitions are locked out.
    pub(super) fn start(&self, generation: u32, now: Moment) {
        match self {
            Self::Consecutive { window, .. } => window.start(generation),
            Self::Calls { window, .. } => window.start(generation),
            Self::Timed { window, .. } => window.start(generation, now),
        }
    }

    /// What is in the window; for the consecutive mode, the run of failures.
    pub(super) fn tally(&self) -> Tally {
        match self {
            Self::Consecutive { window, .. } => window.tally(),
            Self::Calls { window, .. } => window.recount(),
            Self::Timed { window, .. } => window.recount(),
        }
    }
}
