//! Time told in what flows in or out meanwhile: the arithmetic of both buckets.

use std::time::Duration;

use super::algorithm::SET_BACK_NANOS;
use crate::clock::Moment;

/// Fractional bits of [`Refill::units_per_nano`].
const FRACTION: u32 = 63;

/// Bits that the first guess at a wait does without: of what fits 50 bits of nanoseconds, and a rate of
/// 63, the others are a word.
const GUESSED: u32 = 49;

/// A bucket's size and flow, in *units* of `2^-unit_bits` tokens: so costs and capacity are whole
/// numbers of units, and only the reading of the clock is rounded: down, to a unit, which is 2 to 4 ns
/// unless the capacity is so large (above `2^33` tokens at 1 a second) that a coarser unit is needed
/// for it to fit. No rounding adds up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refill {
    /// The capacity, in units.
    pub(super) span: u64,
    /// How far ahead of the clock a word may lie, in units, before the clock must have been set back.
    pub(super) farthest: u64,
    /// Units that flow in each nanosecond, at most 1, times `2^FRACTION`.
    units_per_nano: u64,
    /// Nanoseconds for each of `2^GUESSED` of those, for the first guess at a wait.
    guess: f64,
    pub(super) unit_bits: u32,
}

impl Refill {
    /// Leaves `spare` bits of a word, over those that telling time and capacity takes.
    pub(super) fn new(capacity: u64, per_second: f64, spare: u32) -> Self {
        let tokens_per_nano = per_second / 1e9;
        // As fine as the clock can tell: at most half a unit flows in each nanosecond, so that time
        // stays below 2^63 units; and the capacity stays at or below 2^63 of them.
        let by_rate = (0.5 / tokens_per_nano).log2().floor().max(0.0) as u32;
        let by_capacity = capacity.leading_zeros().saturating_sub(1);
        let unit_bits = by_rate.min(by_capacity).saturating_sub(spare);
        let exact =
            tokens_per_nano * 2.0_f64.powi(unit_bits as i32) * 2.0_f64.powi(FRACTION as i32);
        // Rounded up, so that what should be there after exactly one second is there, and not a
        // unit short of it.
        let units_per_nano = (exact.next_up().ceil() as u64).clamp(1, 1 << FRACTION);
        let span = capacity << unit_bits;
        Self {
            span,
            farthest: span.saturating_add(units(SET_BACK_NANOS, units_per_nano)),
            units_per_nano,
            guess: 2.0_f64.powi(GUESSED as i32) / units_per_nano as f64,
            unit_bits,
        }
    }

    /// So many tokens, in units.
    pub(super) fn units_of(&self, tokens: u64) -> u64 {
        u64::try_from(u128::from(tokens) << self.unit_bits).unwrap_or(u64::MAX)
    }

    /// So many units, in tokens, rounded up.
    pub(super) fn tokens_up(&self, units: u64) -> u64 {
        (units >> self.unit_bits) + u64::from(units & ((1 << self.unit_bits) - 1) != 0)
    }

    #[inline]
    pub(super) fn units(&self, now: Moment) -> u64 {
        units(now.as_nanos(), self.units_per_nano)
    }

    /// The exact wait until the clock says `due` units: guessed by a multiplication, then put right by
    /// the same product that will judge the next attempt. No division: refusing must be cheap.
    #[inline]
    pub(super) fn wait(&self, now: Moment, due: u64) -> Duration {
        let rate = u128::from(self.units_per_nano);
        let missing =
            (u128::from(due) << FRACTION).saturating_sub(u128::from(now.as_nanos()) * rate);
        if missing == 0 {
            return Duration::ZERO;
        }
        // `missing / rate`, rounded up, is the wait. Of its high bits a float is a good guess; a
        // float cast saturates.
        let guess = ((missing >> GUESSED) as u64 as f64 * self.guess) as u64;
        let is_close = self.units_per_nano >> GUESSED > 0;
        if is_close && guess < 1 << 50 && missing >> GUESSED <= u128::from(u64::MAX) {
            let mut wait = guess;
            while u128::from(wait) * rate < missing {
                wait += 1;
            }
            while wait > 1 && u128::from(wait - 1) * rate >= missing {
                wait -= 1;
            }
            return Duration::from_nanos(wait);
        }
        // Weeks: there is time to divide.
        let wait = missing.div_ceil(rate);
        Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
    }
}

/// `nanos` in units, rounded down. Monotonic in `nanos`.
#[inline]
fn units(nanos: u64, units_per_nano: u64) -> u64 {
    // At most 2^64 · 2^63 >> 63, so nothing is cut off.
    ((u128::from(nanos) * u128::from(units_per_nano)) >> FRACTION) as u64
}
