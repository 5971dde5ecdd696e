//! What other instances of the program know of the dependency.

use std::time::Duration;

use crate::clock::Moment;
use crate::event::{Cause, Transition};

use super::state::CircuitBreaker;
use super::transitions::Why;
use super::word::{Tag, Word};

impl CircuitBreaker {
    /// Opens a closed breaker for so long, because `instances` others have; `needed` of them must. Held by hand, or open
    /// already, it stays as it is.
    pub(crate) fn open_elsewhere(
        &self,
        (instances, needed): (u32, u32),
        now: Moment,
        open_for: Duration,
    ) -> Option<Transition> {
        let mut moves = self.transitions.lock();
        if !self.load().tag().counts() {
            return None;
        }
        let cause = Cause::OpenElsewhere { instances, needed };
        let why = Why::opening(cause, open_for);
        self.apply(&mut moves, why, now, |word| Word::open(word.next_generation(), now, open_for))
    }

    /// Keeps an open breaker open until so long from now, if that is later than it was to be: another instance probes.
    pub(crate) fn stay_open(&self, now: Moment, open_for: Duration) {
        let _moves = self.transitions.lock();
        let word = self.load();
        let is_longer = word.refused_for(now).is_none_or(|left| left < open_for);
        if word.tag() == Tag::Open && is_longer {
            // With the lock held nobody else moves an open breaker.
            let _ = self.replace(word, Word::open(word.generation(), now, open_for));
        }
    }

    /// Closes a breaker that is open or probes, because another instance has probed and closed. By its ramp, if it has one.
    pub(crate) fn close_elsewhere(&self, now: Moment) -> Option<Transition> {
        let mut moves = self.transitions.lock();
        if !matches!(self.load().tag(), Tag::Open | Tag::HalfOpen) {
            return None;
        }
        self.close(&mut moves, Cause::ClosedElsewhere, now)
    }

    /// How long an open breaker still refuses by itself; zero, if it does not.
    pub(crate) fn open_left(&self, now: Moment) -> Duration {
        let word = self.load();
        if word.tag() == Tag::Open {
            word.refused_for(now).unwrap_or_default()
        } else {
            Duration::ZERO
        }
    }
}
