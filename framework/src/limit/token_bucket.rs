//! Token bucket: bursts up to its capacity, a sustained rate behind them.

use std::time::Duration;

use super::quota::{Config, Refusal};
use crate::clock::Moment;
use crate::sync::{AtomicU64, Ordering};

/// A clock further back than this, in nanoseconds, has been set back; anything less is a thread
/// that read the clock and was then held up.
const SET_BACK_NANOS: u64 = 10_000_000_000;

/// Fractional bits of [`TokenBucket::units_per_nano`].
const FRACTION: u32 = 63;

/// A token bucket in one atomic word (J. Turner, "New Directions in Communications", 1986; in this
/// form the Generic Cell Rate Algorithm, ITU-T I.371): starts full, refills continuously, never
/// holds more than its capacity.
///
/// Time is told in *units* of `2^-unit_bits` tokens, the time in which that much flows in, so costs
/// and capacity are whole numbers of units, and only the reading of the clock is rounded: down, to a
/// unit, which is 2 to 4 ns unless the capacity is so large (above `2^33` tokens at 1 a second)
/// that a coarser unit is needed for it to fit. No rounding adds up. The word is the moment at which
/// the bucket would be full again.
///
/// A clock that goes back refills nothing: the bucket is as full as it would have been then, or
/// emptier. Set back by more than 10 s beyond that, the bucket is empty and refills from there on,
/// instead of refusing until the old time comes round.
#[derive(Debug)]
pub struct TokenBucket {
    full_at: AtomicU64,
    /// The capacity, in units.
    span: u64,
    /// How far ahead of the clock `full_at` may lie before the clock must have been set back.
    farthest: u64,
    /// Units that flow in each nanosecond, at most 1, times `2^FRACTION`.
    units_per_nano: u64,
    /// The reverse, for the first guess at a wait.
    nanos_per_unit: f64,
    unit_bits: u32,
    capacity: u64,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let capacity = config.capacity();
        let tokens_per_nano = config.refill_per_second() / 1e9;
        // As fine as the clock can tell: at most half a unit flows in each nanosecond, so that time
        // stays below 2^63 units; and the capacity stays at or below 2^63 of them.
        let by_rate = (0.5 / tokens_per_nano).log2().floor().max(0.0) as u32;
        let by_capacity = capacity.leading_zeros().saturating_sub(1);
        let unit_bits = by_rate.min(by_capacity);
        let exact =
            tokens_per_nano * 2.0_f64.powi(unit_bits as i32) * 2.0_f64.powi(FRACTION as i32);
        // Rounded up, so that what should be there after exactly one second is there, and not a
        // unit short of it.
        let units_per_nano = (exact.next_up().ceil() as u64).clamp(1, 1 << FRACTION);
        let span = capacity << unit_bits;
        Self {
            full_at: AtomicU64::new(0),
            span,
            farthest: span.saturating_add(units(SET_BACK_NANOS, units_per_nano)),
            units_per_nano,
            nanos_per_unit: 2.0_f64.powi(FRACTION as i32) / units_per_nano as f64,
            unit_bits,
            capacity,
        }
    }

    /// Takes `cost` tokens, or none. One load and one compare-and-swap when nobody interferes.
    ///
    /// # Errors
    /// There are not enough of them: when there will be. A refusal changes nothing.
    #[inline]
    pub fn try_take(&self, now: Moment, cost: u64) -> Result<(), Refusal> {
        if cost > self.capacity {
            return Err(Refusal { retry_after: None });
        }
        let present = units(now.as_nanos(), self.units_per_nano);
        let cost = cost << self.unit_bits;
        let mut full_at = self.full_at.load(Ordering::Relaxed);
        loop {
            let missing = full_at.saturating_sub(present);
            let Some(after) = missing.checked_add(cost).filter(|after| *after <= self.span) else {
                if missing > self.farthest {
                    full_at = self.set_back(full_at, present);
                    continue;
                }
                return Err(Refusal { retry_after: Some(self.wait(now, full_at, cost)) });
            };
            // The word stands for itself and publishes nothing else, so relaxed will do.
            match self.full_at.compare_exchange_weak(
                full_at,
                // Saturates only for capacities of about 2^63 tokens or after 292 years.
                present.saturating_add(after),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(seen) => full_at = seen,
            }
        }
    }

    /// Gives `cost` tokens back that were taken and not used. Never fills the bucket beyond its capacity.
    pub fn refund(&self, cost: u64) {
        let cost = cost.min(self.capacity) << self.unit_bits;
        // The closure always has a value, so this always succeeds.
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            Some(full_at.saturating_sub(cost))
        });
    }

    /// Whole tokens in the bucket.
    #[must_use]
    pub fn available(&self, now: Moment) -> u64 {
        let present = units(now.as_nanos(), self.units_per_nano);
        let missing = self.full_at.load(Ordering::Relaxed).saturating_sub(present);
        self.span.saturating_sub(missing) >> self.unit_bits
    }

    /// How many tokens the bucket holds when full.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The clock was set back: starts again from an empty bucket. Returns the word as it is now.
    #[cold]
    fn set_back(&self, full_at: u64, present: u64) -> u64 {
        let empty = present.saturating_add(self.span);
        match self.full_at.compare_exchange(full_at, empty, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => empty,
            Err(seen) => seen,
        }
    }

    /// The exact wait until `cost` units are there: guessed by a multiplication, then put right by
    /// the same arithmetic that will judge the next attempt. No division: refusing must be cheap.
    fn wait(&self, now: Moment, full_at: u64, cost: u64) -> Duration {
        let now = now.as_nanos();
        // Ordered so that nothing overflows: cost <= span.
        let due = full_at.saturating_sub(self.span - cost);
        let reached = |wait: u64| units(now.saturating_add(wait), self.units_per_nano) >= due;
        let missing = due.saturating_sub(units(now, self.units_per_nano));
        // A float cast saturates. The guess is off by a unit, and by 2^-52 of itself.
        let mut wait = (missing as f64 * self.nanos_per_unit) as u64;
        let step = 1 + (wait >> 50) + self.nanos_per_unit as u64;
        while !reached(wait) && now.checked_add(wait).is_some() {
            wait = wait.saturating_add(step);
        }
        // The first nanosecond that will do lies in (low, wait]; a few halvings find it.
        let mut low = wait.saturating_sub(step.saturating_mul(2));
        while low > 0 && reached(low) {
            low = low.saturating_sub(step.saturating_mul(2));
        }
        while low + 1 < wait {
            let middle = low + (wait - low) / 2;
            if reached(middle) { wait = middle } else { low = middle }
        }
        Duration::from_nanos(wait)
    }
}

/// `nanos` in units, rounded down. Monotonic in `nanos`.
#[inline]
fn units(nanos: u64, units_per_nano: u64) -> u64 {
    // At most 2^64 · 2^63 >> 63, so nothing is cut off.
    ((u128::from(nanos) * u128::from(units_per_nano)) >> FRACTION) as u64
}
