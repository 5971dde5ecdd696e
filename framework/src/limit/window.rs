//! A window and what was taken in it, in one word.

use std::time::Duration;

use super::algorithm::SET_BACK_NANOS;
use super::quota::Quota;
use crate::clock::{Moment, nanos};

/// How windows are numbered and counted. Window `n` begins `n` window lengths after the clock's origin:
/// so all keys' windows end together.
///
/// A word has as many bits for the window's number as it takes for it never to come round, and two
/// flags; the rest is for the count. That is enough for `2^27` a second of the window, or more than
/// anybody can ask for one by one. A larger limit is counted in coarser units, and every cost rounded
/// up to whole ones: that errs towards refusing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// A window's length.
    pub(super) nanos: u64,
    pub(super) limit: u64,
    /// The limit in units, rounded down.
    pub(super) units: u64,
    /// A unit is `2^unit_bits`.
    unit_bits: u32,
    count_bits: u32,
    /// The most units that a word can count: its bits for the count.
    most_units: u64,
}

/// One window, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WindowState {
    pub(super) index: u64,
    /// Nothing is taken in it any more: somebody has counted on it.
    pub(super) frozen: bool,
    /// Somebody waits for it to begin: nobody passes it.
    pub(super) reserved: bool,
    /// What was taken, in units.
    pub(super) count: u64,
}

impl WindowState {
    pub(super) fn empty(index: u64) -> Self {
        Self { index, frozen: false, reserved: false, count: 0 }
    }

    /// Says nothing, not even which window it is. So does a word of zero.
    #[inline]
    pub(super) fn is_vacant(&self) -> bool {
        self.count == 0 && !self.frozen && !self.reserved
    }
}

impl Windows {
    pub(super) fn new(quota: &Quota) -> Self {
        let (limit, nanos) = (quota.limit(), nanos(quota.window()));
        // Two more than any clock can say: there is always a next window, and one after that.
        let index_bits = u64::BITS - (u64::MAX / nanos + 2).leading_zeros();
        let count_bits = u64::BITS - 2 - index_bits;
        let unit_bits = (u64::BITS - limit.leading_zeros()).saturating_sub(count_bits);
        let most_units = (1 << count_bits) - 1;
        Self { nanos, limit, units: limit >> unit_bits, unit_bits, count_bits, most_units }
    }

    #[inline]
    pub(super) fn index(&self, now: Moment) -> u64 {
        now.as_nanos() / self.nanos
    }

    /// When the window of this number begins.
    #[inline]
    pub(super) fn start(&self, index: u64) -> Moment {
        Moment::from_nanos(index.saturating_mul(self.nanos))
    }

    /// A cost, at most the limit, in units. One that is above the limit in whole units has it to itself.
    #[inline]
    pub(super) fn cost(&self, cost: u64) -> u64 {
        if self.unit_bits == 0 {
            return cost;
        }
        let rounded =
            (cost >> self.unit_bits) + u64::from(cost & ((1_u64 << self.unit_bits) - 1) != 0);
        rounded.min(self.units)
    }

    /// As much as a word can count of what is spent, which may be above the limit.
    pub(super) fn spent_units(&self, spent: u64) -> u64 {
        let up = u64::from(spent & ((1_u64 << self.unit_bits) - 1) != 0);
        ((spent >> self.unit_bits) + up).min(self.most_units)
    }

    /// So many units as what they stand for.
    pub(super) fn amount(&self, units: u64) -> u64 {
        u64::try_from(u128::from(units) << self.unit_bits).unwrap_or(u64::MAX)
    }

    /// What is left when so many units are taken.
    pub(super) fn rest(&self, taken: u64) -> u64 {
        if taken == 0 { self.limit } else { self.units.saturating_sub(taken) << self.unit_bits }
    }

    #[inline]
    pub(super) fn pack(&self, slot: WindowState) -> u64 {
        (slot.index << (self.count_bits + 2))
            | (u64::from(slot.frozen) << (self.count_bits + 1))
            | (u64::from(slot.reserved) << self.count_bits)
            | slot.count
    }

    #[inline]
    pub(super) fn unpack(&self, word: u64) -> WindowState {
        WindowState {
            index: word >> (self.count_bits + 2),
            frozen: (word >> (self.count_bits + 1)) & 1 == 1,
            reserved: (word >> self.count_bits) & 1 == 1,
            count: word & self.most_units,
        }
    }

    /// The window of this number: as the word says, or empty if that is of another.
    #[inline]
    pub(super) fn unpack_or_empty(&self, word: u64, index: u64) -> WindowState {
        let found = self.unpack(word);
        if found.index == index { found } else { WindowState::empty(index) }
    }

    /// The number of the window that a word is of.
    #[inline]
    pub(super) fn index_in(&self, word: u64) -> u64 {
        word >> (self.count_bits + 2)
    }

    /// How far `now` is in the window of a word, in nanoseconds; `None`: it is not in that.
    #[inline(always)]
    pub(super) fn within(&self, word: u64, now: Moment) -> Option<u64> {
        let start = self.index_in(word).checked_mul(self.nanos)?;
        let over = now.as_nanos().wrapping_sub(start);
        (over < self.nanos).then_some(over)
    }

    /// Somebody waits for the window of this word to begin.
    #[inline(always)]
    pub(super) fn is_reserved(&self, word: u64) -> bool {
        word & (self.most_units + 1) != 0
    }

    /// What was taken in it.
    #[inline]
    pub(super) fn count_in(&self, word: u64) -> u64 {
        word & self.most_units
    }

    /// Whether the window of the first word is neither frozen nor reserved, and the other word is that of the window before, frozen. (A
    /// word is the window's number, a bit for frozen, one for reserved, and the count.)
    #[inline]
    pub(super) fn is_open_after_frozen(&self, latest: u64, before: u64) -> bool {
        let reserved = self.most_units + 1;
        let (heads, frozen) = (!self.most_units, reserved << 1);
        // One less, and frozen: four times the lowest bit of the head less, and twice that more. One that is reserved equals none.
        let expected = (latest & heads).wrapping_sub(frozen);
        // Before the first window there is none.
        let is_after_frozen = (before & (heads ^ reserved) == expected) | (latest & heads == 0);
        is_after_frozen & (latest & frozen == 0)
    }

    /// So far ahead that the clock must have been set back.
    #[inline]
    pub(super) fn is_set_back(&self, index: u64, now: Moment) -> bool {
        self.start(index) > now.plus_nanos(SET_BACK_NANOS)
    }

    /// How long until the window of this number begins; for ever, if no clock can say when that is.
    #[inline]
    pub(super) fn until(&self, index: u64, now: Moment) -> Duration {
        self.until_within(index, 0, now)
    }

    /// The same, of a moment so many nanoseconds into it.
    #[inline]
    pub(super) fn until_within(&self, index: u64, nanos: u64, now: Moment) -> Duration {
        let at = index.checked_mul(self.nanos).and_then(|start| start.checked_add(nanos));
        Duration::from_nanos(at.map_or(u64::MAX, |at| at.saturating_sub(now.as_nanos())))
    }
}
