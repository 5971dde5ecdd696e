//! A breaker's whole truth in one 64-bit word, so that every decision is one load or one CAS.
//!
//! | bits | closed, forced | open | half-open | ramping |
//! | --- | --- | --- | --- | --- |
//! | 61..64 | state | state | state | state |
//! | 37..61 | generation | generation | generation | generation |
//! | 0..37 | 0 | refused until, ms | live, slow, failed, successful probes (9 each) | all admitted from, ms |
//!
//! The generation counts transitions and wraps after 16,777,216 of them: an answer would have to be
//! late by exactly that many to be taken for a fresh one. A time wraps after 4.3 years and is
//! compared as a serial number (RFC 1982): what is not within the next 31 days is the past. The longest that can
//! be asked for is 30; the day more is for clocks that were read a little earlier.

use std::time::Duration;

use crate::clock::{Moment, nanos};
use crate::event::State;

use super::config::{Enforcement, MAX_OPEN_FOR};

const STATE_SHIFT: u32 = 61;
const GENERATION_SHIFT: u32 = 37;
const GENERATION_MASK: u64 = (1 << 24) - 1;
const PAYLOAD_MASK: u64 = (1 << GENERATION_SHIFT) - 1;
const LIVE_SHIFT: u32 = 27;
const SLOW_SHIFT: u32 = 18;
const FAILURES_SHIFT: u32 = 9;
/// Holds `MAX_HALF_OPEN_CALLS`.
const COUNT_MASK: u64 = 0x1FF;
const NANOS_PER_MS: u64 = 1_000_000;
/// Rounded up twice, as a length and as a point in time; and a day more, for a caller that has read its clock before
/// the other did who set the time, and was held up in between: for that caller it is further ahead than was asked for.
const LONGEST_MS: u64 = MAX_OPEN_FOR.as_millis() as u64 + 2 + 24 * 3600 * 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Closed,
    Open,
    HalfOpen,
    ForcedOpen,
    ForcedClosed,
    /// Closed, and letting through more and more of the calls.
    Ramping,
    Disabled,
}

impl Tag {
    /// Whether outcomes go into the closed window.
    #[inline]
    pub(super) fn counts(self) -> bool {
        matches!(self, Self::Closed | Self::Ramping)
    }

    /// Whether somebody's order, or a setting, keeps it so.
    pub(super) fn is_held(self) -> bool {
        matches!(self, Self::ForcedOpen | Self::ForcedClosed | Self::Disabled)
    }

    /// As the outside knows it: isolation is an open breaker, forced closed a closed one.
    pub(super) fn state(self) -> State {
        match self {
            Self::Closed | Self::ForcedClosed | Self::Ramping | Self::Disabled => State::Closed,
            Self::Open | Self::ForcedOpen => State::Open,
            Self::HalfOpen => State::HalfOpen,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    fn new(tag: Tag, generation: u32, payload: u64) -> Self {
        Self(
            (tag as u64) << STATE_SHIFT
                | (u64::from(generation) & GENERATION_MASK) << GENERATION_SHIFT
                | payload & PAYLOAD_MASK,
        )
    }

    pub(super) fn closed(generation: u32) -> Self {
        Self::new(Tag::Closed, generation, 0)
    }

    /// Closed, unless the settings disable it.
    pub(super) fn free(enforcement: Enforcement, generation: u32) -> Self {
        match enforcement {
            Enforcement::Enforce | Enforcement::Observe => Self::closed(generation),
            Enforcement::Disabled => Self::held(Tag::Disabled, generation),
        }
    }

    /// Held by hand.
    pub(super) fn held(tag: Tag, generation: u32) -> Self {
        Self::new(tag, generation, 0)
    }

    /// Open for `open_for` from `now`, in whole milliseconds, rounded up.
    pub(super) fn open(generation: u32, now: Moment, open_for: Duration) -> Self {
        Self::new(Tag::Open, generation, end(now, open_for))
    }

    /// Closed, with all calls admitted again after `over`, in whole milliseconds, rounded up.
    pub(super) fn ramping(generation: u32, now: Moment, over: Duration) -> Self {
        Self::new(Tag::Ramping, generation, end(now, over))
    }

    pub(super) fn half_open(generation: u32, probes: Probes) -> Self {
        let count = |count: u32| u64::from(count).min(COUNT_MASK);
        Self::new(
            Tag::HalfOpen,
            generation,
            count(probes.live) << LIVE_SHIFT
                | count(probes.slow) << SLOW_SHIFT
                | count(probes.failures) << FAILURES_SHIFT
                | count(probes.successes),
        )
    }

    pub(super) fn tag(self) -> Tag {
        match self.0 >> STATE_SHIFT {
            0 => Tag::Closed,
            1 => Tag::Open,
            2 => Tag::HalfOpen,
            3 => Tag::ForcedOpen,
            4 => Tag::ForcedClosed,
            5 => Tag::Ramping,
            // 6, and nothing else is ever written.
            _ => Tag::Disabled,
        }
    }

    pub(super) fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT & GENERATION_MASK) as u32
    }

    pub(super) fn next_generation(self) -> u32 {
        (self.generation() + 1) & GENERATION_MASK as u32
    }

    /// Of a half-open word.
    pub(super) fn probes(self) -> Probes {
        let count = |shift: u32| (self.0 >> shift & COUNT_MASK) as u32;
        Probes {
            live: count(LIVE_SHIFT),
            slow: count(SLOW_SHIFT),
            failures: count(FAILURES_SHIFT),
            successes: count(0),
        }
    }

    /// Of an open word: how long calls are still refused; of a ramping one: how long some still are.
    /// `None` once they no longer are.
    pub(super) fn refused_for(self, now: Moment) -> Option<Duration> {
        let until = self.0 & PAYLOAD_MASK;
        let now_ms = (now.as_nanos() / NANOS_PER_MS) & PAYLOAD_MASK;
        let ahead = until.wrapping_sub(now_ms) & PAYLOAD_MASK;
        // Nothing is further ahead than the longest that can be asked for: all else is the past.
        if ahead == 0 || ahead > LONGEST_MS {
            return None;
        }
        let into_ms = now.as_nanos() % NANOS_PER_MS;
        Some(Duration::from_nanos(ahead * NANOS_PER_MS - into_ms))
    }
}

fn end(now: Moment, length: Duration) -> u64 {
    now.as_nanos().saturating_add(nanos(length)).div_ceil(NANOS_PER_MS)
}

/// A half-open breaker's probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Probes {
    /// Let through and not heard of since.
    pub(super) live: u32,
    pub(super) successes: u32,
    pub(super) failures: u32,
    /// Of the successes and failures, those that took too long, if that matters.
    pub(super) slow: u32,
}

impl Probes {
    /// Those that said something about the dependency.
    pub(super) fn answered(self) -> u32 {
        self.successes + self.failures
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_longest_opening_that_can_be_said_is_one() {
        let longest = Duration::from_millis(LONGEST_MS);
        let word = Word::open(1, Moment::ZERO, longest);
        assert_eq!(word.refused_for(Moment::ZERO), Some(longest));
        assert_eq!(word.refused_for(Moment::ZERO + longest), None);
    }
}
