//! Retries as a share of the calls.

use std::collections::VecDeque;

use super::config::BudgetConfig;
use super::usage::BudgetUse;
use super::window::{SLICES, Slices};
use crate::clock::Moment;
use crate::sync::Mutex;

/// A retry is allowed while
/// `retries in window, this one included ≤ ratio × calls in window + min_per_second × window`.
///
/// The window is ten slices that slide as one, so it spans between 90 % and 100 % of its length.
/// Calls are counted elsewhere, in a number that only grows. Where a slice begins, that number is noted; so a call within the slice
/// does nothing here. A retry, about to wait anyway, takes a short lock: no race admits one too many. A call of another thread,
/// that begins while a slice is noted, may count in the slice before.
#[derive(Debug)]
pub(super) struct CallShare {
    ratio: f64,
    /// `min_per_second × window`.
    floor: f64,
    slices: Slices,
    /// Those of the window that began with a look, the oldest first.
    seen: Mutex<VecDeque<Slice>>,
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    number: u64,
    /// Calls before it.
    calls_before: u64,
    /// In it.
    retries: u64,
}

impl CallShare {
    pub(super) fn new(config: &BudgetConfig) -> Self {
        Self {
            ratio: config.ratio(),
            floor: config.min_per_second() * config.window().as_secs_f64(),
            slices: Slices::new(config.window()),
            seen: Mutex::default(),
        }
    }

    /// Takes note of the slice that `now` is in; there were so many calls before. When that slice begins and how long it is,
    /// in nanoseconds: the next look is due when it is over.
    pub(super) fn look(&self, now: Moment, calls: u64) -> (u64, u64) {
        let slice = self.advance(now);
        note(&mut self.seen.lock(), slice, calls);
        self.slices.present()
    }

    /// Whether one more retry is allowed, which is counted then. There have been so many calls.
    pub(super) fn try_retry(&self, now: Moment, calls: u64) -> bool {
        let slice = self.advance(now);
        let mut seen = self.seen.lock();
        note(&mut seen, slice, calls);
        let (_, retries, allowed) = self.counts(&seen, calls);
        // 0.29 × 100 comes out as 28.999999999999996, and the 29th is meant to be let through.
        let is_allowed = (retries + 1) as f64 <= hair_above(allowed);
        if is_allowed && let Some(present) = seen.back_mut() {
            present.retries += 1;
        }
        is_allowed
    }

    pub(super) fn usage(&self, now: Moment, calls: u64) -> BudgetUse {
        let slice = self.advance(now);
        let mut seen = self.seen.lock();
        note(&mut seen, slice, calls);
        let (calls, retries, allowed) = self.counts(&seen, calls);
        BudgetUse::Share { calls, retries, allowed }
    }

    fn advance(&self, now: Moment) -> u64 {
        self.slices.advance(now).unwrap_or_else(|slice| self.restart(slice))
    }

    /// The clock went back by more than a window: what was counted belongs to a future that is not to be.
    #[cold]
    fn restart(&self, slice: u64) -> u64 {
        let mut seen = self.seen.lock();
        if !self.slices.is_far_ahead(slice) {
            return self.slices.latest().max(slice);
        }
        seen.clear();
        self.slices.go_back(slice);
        slice
    }

    /// Calls, retries, and retries that are allowed in all.
    fn counts(&self, seen: &VecDeque<Slice>, calls: u64) -> (u64, u64, f64) {
        let before = seen.front().map_or(calls, |oldest| oldest.calls_before);
        // The sum of several threads' counters may be a few behind.
        let calls = calls.saturating_sub(before);
        let retries = seen.iter().map(|slice| slice.retries).sum();
        (calls, retries, self.ratio * calls as f64 + self.floor)
    }
}

/// Takes note of this slice, if there is none as late, and forgets those that have slid out of the window.
fn note(seen: &mut VecDeque<Slice>, number: u64, calls_before: u64) {
    let present = seen.back().map_or(number, |latest| latest.number.max(number));
    while seen.front().is_some_and(|oldest| oldest.number + SLICES as u64 <= present) {
        seen.pop_front();
    }
    if seen.back().is_none_or(|latest| latest.number < number) {
        // All that there can be, at once: growing step by step would allocate in calls later on.
        seen.reserve(SLICES - seen.len());
        seen.push_back(Slice { number, calls_before, retries: 0 });
    }
}

/// A little more, against what binary fractions lose.
fn hair_above(value: f64) -> f64 {
    value + 1e-9 * value.max(1.0)
}
