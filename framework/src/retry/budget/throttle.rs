//! Requests as a multiple of those that were accepted.

use super::config::BudgetConfig;
use super::usage::BudgetUse;
use super::window::{Slices, WindowedCount};
use crate::clock::Moment;
use crate::sync::{AtomicU64, Ordering};

/// Adaptive throttling ("Handling Overload", chapter 21 of Site Reliability Engineering, O'Reilly 2016). A request is refused
/// here, with the chance `max(0, (requests − K × accepts) / (requests + 1))`, over a window: a dependency that accepts less and
/// less is sent less and less, and finds out about its recovery by those that are still sent.
///
/// A request is counted when it has ended, or was refused here; one under way says nothing yet. An answer that is no failure
/// counts as accepted.
#[derive(Debug)]
pub(super) struct Throttle {
    multiple: f64,
    slices: Slices,
    requests: WindowedCount,
    accepts: WindowedCount,
    /// The chance of the next to be refused, as the bits of an `f64`. It is reckoned anew by what may raise it, which is a failure
    /// or that the window slides, and by everything while it is above 0: good answers of a healthy dependency need not add up a
    /// window.
    chance: AtomicU64,
    /// The slice that it was reckoned in.
    reckoned_in: AtomicU64,
}

impl Throttle {
    pub(super) fn new(config: &BudgetConfig) -> Self {
        Self {
            multiple: config.accepts_multiple(),
            slices: Slices::new(config.window()),
            requests: WindowedCount::default(),
            accepts: WindowedCount::default(),
            chance: AtomicU64::new(0),
            reckoned_in: AtomicU64::new(0),
        }
    }

    /// Whether a request may be sent. `unit` is chance, in `[0, 1)`.
    pub(super) fn admits(&self, now: Moment, unit: f64) -> bool {
        let slice = self.advance(now);
        if !self.is_stale(slice) || unit >= self.reckon(slice) {
            return true;
        }
        self.requests.add(slice, &self.slices);
        self.reckon(slice);
        false
    }

    /// A request has ended.
    pub(super) fn ended(&self, now: Moment, is_accepted: bool) {
        let slice = self.advance(now);
        self.requests.add(slice, &self.slices);
        if is_accepted {
            self.accepts.add(slice, &self.slices);
        }
        if !is_accepted || self.is_stale(slice) {
            self.reckon(slice);
        }
    }

    /// Whether the chance may be above 0 in this slice.
    fn is_stale(&self, slice: u64) -> bool {
        self.chance.load(Ordering::Relaxed) != 0
            || self.reckoned_in.load(Ordering::Relaxed) != slice
    }

    fn reckon(&self, slice: u64) -> f64 {
        let (requests, accepts) = (self.requests.sum(slice) as f64, self.accepts.sum(slice) as f64);
        let chance = ((requests - self.multiple * accepts) / (requests + 1.0)).max(0.0);
        self.chance.store(chance.to_bits(), Ordering::Relaxed);
        self.reckoned_in.store(slice, Ordering::Relaxed);
        chance
    }

    pub(super) fn usage(&self, now: Moment) -> BudgetUse {
        let slice = self.advance(now);
        BudgetUse::AcceptRatio {
            requests: self.requests.sum(slice),
            accepts: self.accepts.sum(slice),
            refusing: self.reckon(slice),
        }
    }

    fn advance(&self, now: Moment) -> u64 {
        self.slices.advance(now).unwrap_or_else(|slice| {
            // The clock went back by more than a window. A request that is counted meanwhile may be lost.
            self.requests.clear();
            self.accepts.clear();
            self.slices.go_back(slice);
            slice
        })
    }
}
