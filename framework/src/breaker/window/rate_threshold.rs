//! Which shares of bad calls are too much, in whole numbers.

use crate::breaker::config::Rates;
use crate::event::Cause;

use super::tally::Tally;

const BILLION: f64 = 1e9;

/// A share that is too much, in billionths, so that comparing is exact: 3 of 30 reaches 10 %.
#[derive(Clone, Copy, Debug)]
pub(in crate::breaker) struct RateThreshold(u64);

impl RateThreshold {
    /// No number of calls reaches it.
    const NEVER: Self = Self(u64::MAX);

    /// None of it: never.
    pub(in crate::breaker) fn new(rate: Option<f64>) -> Self {
        // In (0, 1], so the product is in (0, 1e9]. Rounded down: 2 of 3 must reach two thirds.
        rate.map_or(Self::NEVER, |rate| Self(((rate * BILLION) as u64).max(1)))
    }

    /// The fewest of `calls` that reach it.
    pub(in crate::breaker) fn fewest(self, calls: u32) -> u32 {
        let fewest = (u128::from(self.0) * u128::from(calls)).div_ceil(1_000_000_000);
        u32::try_from(fewest).unwrap_or(u32::MAX)
    }

    /// The share, in `(0, 1]`.
    pub(super) fn share(self) -> f64 {
        self.0 as f64 / BILLION
    }

    pub(super) fn is_reached(self, bad: u64, calls: u64) -> bool {
        u128::from(bad) * 1_000_000_000 >= u128::from(self.0) * u128::from(calls)
    }
}

/// At or above which shares of at least how many calls a breaker opens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thresholds {
    min_calls: u64,
    failures: RateThreshold,
    slow: RateThreshold,
    /// So many failures are too many of any number of calls.
    max_failures: u64,
}

impl Thresholds {
    pub(super) fn new(rates: &Rates) -> Self {
        Self {
            min_calls: u64::from(rates.min_calls),
            failures: RateThreshold::new(rates.failure_rate),
            slow: RateThreshold::new(rates.slow_call_rate),
            max_failures: rates.max_failures.map_or(u64::MAX, u64::from),
        }
    }

    #[inline]
    pub(super) fn are_reached(self, tally: Tally) -> bool {
        tally.failures >= self.max_failures
            || tally.calls >= self.min_calls
                && (self.failures.is_reached(tally.failures, tally.calls)
                    || self.slow.is_reached(tally.slow, tally.calls))
    }

    /// Which of them is reached.
    pub(super) fn cause(self, tally: Tally) -> Option<Cause> {
        let Tally { calls, failures, slow } = tally;
        if !self.are_reached(tally) {
            return None;
        }
        let has_enough = calls >= self.min_calls;
        Some(if has_enough && self.failures.is_reached(failures, calls) {
            Cause::FailureRate { failures, calls, threshold: self.failures.share() }
        } else if has_enough && self.slow.is_reached(slow, calls) {
            Cause::SlowCallRate { slow, calls, threshold: self.slow.share() }
        } else {
            Cause::MaxFailures { failures, calls, needed: self.max_failures }
        })
    }
}
