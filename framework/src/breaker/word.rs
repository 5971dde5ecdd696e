//! A breaker's whole truth in one 64-bit word, so that every decision is one load or one CAS.
//!
//! | bits | closed, forced | open | half-open |
//! | --- | --- | --- | --- |
//! | 61..64 | state | state | state |
//! | 37..61 | generation | generation | generation |
//! | 0..37 | 0 | refused until, ms | live probes (16), successes (16) |
//!
//! The generation counts transitions and wraps after 16,777,216 of them: an answer would have to be
//! late by exactly that many to be taken for a fresh one. The open-until time wraps after 4.3 years
//! and is compared as a serial number (RFC 1982), good for an `open_for` up to 30 days.

use std::time::Duration;

use crate::clock::{Moment, nanos};
use crate::event::State;

const STATE_SHIFT: u32 = 61;
const GENERATION_SHIFT: u32 = 37;
const GENERATION_MASK: u64 = (1 << 24) - 1;
const PAYLOAD_MASK: u64 = (1 << GENERATION_SHIFT) - 1;
const LIVE_SHIFT: u32 = 16;
const COUNT_MASK: u64 = 0xFFFF;
const NANOS_PER_MS: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Closed,
    Open,
    HalfOpen,
    ForcedOpen,
    ForcedClosed,
}

impl Tag {
    /// As the outside knows it: isolation is an open breaker, forced closed a closed one.
    pub(super) fn state(self) -> State {
        match self {
            Self::Closed | Self::ForcedClosed => State::Closed,
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

    pub(super) fn forced(tag: Tag, generation: u32) -> Self {
        Self::new(tag, generation, 0)
    }

    /// Open for `open_for` from `now`, in whole milliseconds, rounded up.
    pub(super) fn open(generation: u32, now: Moment, open_for: Duration) -> Self {
        let until = now.as_nanos().saturating_add(nanos(open_for)).div_ceil(NANOS_PER_MS);
        Self::new(Tag::Open, generation, until)
    }

    pub(super) fn half_open(generation: u32, live: u32, successes: u32) -> Self {
        Self::new(
            Tag::HalfOpen,
            generation,
            u64::from(live) << LIVE_SHIFT | u64::from(successes) & COUNT_MASK,
        )
    }

    pub(super) fn tag(self) -> Tag {
        match self.0 >> STATE_SHIFT {
            0 => Tag::Closed,
            1 => Tag::Open,
            2 => Tag::HalfOpen,
            3 => Tag::ForcedOpen,
            // 4, and nothing else is ever written.
            _ => Tag::ForcedClosed,
        }
    }

    pub(super) fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT & GENERATION_MASK) as u32
    }

    pub(super) fn next_generation(self) -> u32 {
        (self.generation() + 1) & GENERATION_MASK as u32
    }

    pub(super) fn live(self) -> u32 {
        (self.0 >> LIVE_SHIFT & COUNT_MASK) as u32
    }

    pub(super) fn successes(self) -> u32 {
        (self.0 & COUNT_MASK) as u32
    }

    /// Of an open word: how long calls are still refused, `None` once they no longer are.
    pub(super) fn refused_for(self, now: Moment) -> Option<Duration> {
        let until = self.0 & PAYLOAD_MASK;
        let now_ms = (now.as_nanos() / NANOS_PER_MS) & PAYLOAD_MASK;
        let ahead = until.wrapping_sub(now_ms) & PAYLOAD_MASK;
        // The far half of the circle is the past.
        if ahead == 0 || ahead > PAYLOAD_MASK / 2 {
            return None;
        }
        let into_ms = now.as_nanos() % NANOS_PER_MS;
        Some(Duration::from_nanos(ahead * NANOS_PER_MS - into_ms))
    }
}
