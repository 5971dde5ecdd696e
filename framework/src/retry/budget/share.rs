//! Retries as a share of the calls.

use super::config::BudgetConfig;
use super::usage::BudgetUse;
use super::window::{PLACES, SLICES, Slices, WindowedCount, index};
use crate::clock::Moment;
use crate::sync::Mutex;

/// A retry is allowed while
/// `retries in window, this one included ≤ ratio × calls in window + min_per_second × window`.
///
/// The window is ten slices that slide as one, so it spans between 90 % and 100 % of its length.
/// Each thread counts its calls for itself, without a lock; a retry, about to wait anyway, takes a short lock and adds them
/// up: no race admits one too many.
#[derive(Debug)]
pub(super) struct CallShare {
    ratio: f64,
    /// `min_per_second × window`.
    floor: f64,
    slices: Slices,
    calls: WindowedCount,
    retries: Mutex<[Slice; PLACES]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    number: u64,
    retries: u64,
}

impl CallShare {
    pub(super) fn new(config: &BudgetConfig) -> Self {
        Self {
            ratio: config.ratio(),
            floor: config.min_per_second() * config.window().as_secs_f64(),
            slices: Slices::new(config.window()),
            calls: WindowedCount::default(),
            retries: Mutex::default(),
        }
    }

    #[inline]
    pub(super) fn call(&self, now: Moment) {
        self.calls.add(self.advance(now), &self.slices);
    }

    pub(super) fn try_retry(&self, now: Moment) -> bool {
        self.advance(now);
        let mut slices = self.retries.lock();
        let present = self.slices.latest();
        let (_, retries, allowed) = self.counts(&slices, present);
        // 0.29 × 100 comes out as 28.999999999999996, and the 29th is meant to be let through.
        let is_allowed = (retries + 1) as f64 <= hair_above(allowed);
        if is_allowed {
            let slice = &mut slices[index(present)];
            if slice.number != present {
                *slice = Slice { number: present, retries: 0 };
            }
            slice.retries += 1;
        }
        is_allowed
    }

    pub(super) fn usage(&self, now: Moment) -> BudgetUse {
        self.advance(now);
        let slices = self.retries.lock();
        let (calls, retries, allowed) = self.counts(&slices, self.slices.latest());
        BudgetUse::Share { calls, retries, allowed }
    }

    #[inline]
    fn advance(&self, now: Moment) -> u64 {
        self.slices.advance(now).unwrap_or_else(|slice| self.restart(slice))
    }

    /// The clock went back by more than a window: what was counted belongs to a future that is not to be.
    #[cold]
    fn restart(&self, slice: u64) -> u64 {
        let mut slices = self.retries.lock();
        if !self.slices.is_far_ahead(slice) {
            return self.slices.latest().max(slice);
        }
        *slices = Default::default();
        self.calls.clear();
        self.slices.go_back(slice);
        slice
    }

    /// Calls, retries, and retries that are allowed in all.
    fn counts(&self, slices: &[Slice; PLACES], present: u64) -> (u64, u64, f64) {
        let calls = self.calls.sum(present);
        let retries = slices
            .iter()
            .filter(|slice| present.saturating_sub(slice.number) < SLICES as u64)
            .map(|slice| slice.retries)
            .sum();
        (calls, retries, self.ratio * calls as f64 + self.floor)
    }
}

/// A little more, against what binary fractions lose.
fn hair_above(value: f64) -> f64 {
    value + 1e-9 * value.max(1.0)
}
