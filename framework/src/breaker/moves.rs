//! Every legal move from state to state.
//!
//! | from | to | when |
//! | --- | --- | --- |
//! | closed | open | the window trips |
//! | open | half-open | the open time has passed, and somebody looks |
//! | half-open | closed | enough probes succeeded, see [`super::HalfOpenMode`] |
//! | half-open | open | a probe failed, or too many did |
//! | any | any | by hand: `force_open`, `force_closed`, `disable`, `reset` |
//!
//! A move takes a mutex, looks again, and changes the word: there are few of them, and the window can
//! then be cleared before anybody uses it.

use std::collections::VecDeque;

use crate::clock::Moment;
use crate::event::Transition;
use crate::sync::Ordering;

use super::config::Enforcement;
use super::open_time::OpenTime;
use super::state::CircuitBreaker;
use super::word::{Probes, Tag, Word};

/// How many moves a breaker remembers.
const HISTORY: usize = 256;

/// The moves that were made.
#[derive(Debug, Default)]
pub(super) struct Moves {
    pub(super) history: VecDeque<Transition>,
    pub(super) counts: [[u64; 3]; 3],
    open_time: OpenTime,
}

impl Moves {
    fn note(&mut self, transition: Transition) {
        self.counts[transition.from.index()][transition.to.index()] += 1;
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(transition);
    }
}

impl CircuitBreaker {
    /// Opens, if the window of the breaker that was `seen` closed really says so.
    #[cold]
    pub(super) fn trip(&self, seen: Word, now: Moment) -> Option<Transition> {
        let mut moves = self.moves.lock();
        let word = self.load();
        let is_same = word.tag().counts() && word.generation() == seen.generation();
        if !is_same || !self.window.confirms() {
            return None;
        }
        self.open(&mut moves, now)
    }

    /// Opens again, if the breaker is still as half-open as it was `seen`.
    pub(super) fn reopen(&self, seen: Word, now: Moment) -> Option<Transition> {
        let mut moves = self.moves.lock();
        if !self.is_still(seen) {
            return None;
        }
        self.open(&mut moves, now)
    }

    fn open(&self, moves: &mut Moves, now: Moment) -> Option<Transition> {
        let from_closed = self.load().tag().counts();
        let open_for = moves.open_time.next(&self.config, from_closed, now, self.entropy.unit());
        self.apply(moves, now, |word| Word::open(word.next_generation(), now, open_for))
    }

    /// Closes, if the breaker is still as half-open as it was `seen`.
    pub(super) fn close(&self, seen: Word, now: Moment) -> Option<Transition> {
        let mut moves = self.moves.lock();
        if !self.is_still(seen) {
            return None;
        }
        self.apply(&mut moves, now, |word| match self.config.ramp() {
            Some(ramp) => Word::ramping(word.next_generation(), now, ramp.over),
            None => Word::closed(word.next_generation()),
        })
    }

    /// Lets all calls through again. No move: the breaker has been closed since the ramp began.
    pub(super) fn end_ramp(&self, seen: Word) {
        // Whoever was first has done it.
        let _ = self.replace(seen, Word::closed(seen.generation()));
    }

    /// Moves an open breaker whose time is up on to half-open, whether or not anybody calls, and ends a
    /// ramp. Returns the move, if it was made, and when to look again.
    pub fn poll(&self, now: Moment) -> (Option<Transition>, Option<Moment>) {
        let word = self.load();
        let tag = word.tag();
        if !matches!(tag, Tag::Open | Tag::Ramping) {
            return (None, None);
        }
        if let Some(after) = word.refused_for(now) {
            return (None, Some(now + after));
        }
        let mut moved = None;
        match tag {
            Tag::Ramping => self.end_ramp(word),
            _ => self.half_open(word, now, &mut moved),
        }
        (moved, None)
    }

    pub(super) fn half_open(&self, seen: Word, now: Moment, moved: &mut Option<Transition>) {
        let mut moves = self.moves.lock();
        if !self.is_still(seen) {
            return;
        }
        let fresh = |word: Word| Word::half_open(word.next_generation(), Probes::default());
        if let Some(transition) = self.apply(&mut moves, now, fresh) {
            *moved = Some(transition);
        }
    }

    /// Refuses every call until [`CircuitBreaker::reset`] or another order by hand.
    pub fn force_open(&self, now: Moment) -> Option<Transition> {
        self.hold(Tag::ForcedOpen, now)
    }

    /// Admits every call, counting nothing, until [`CircuitBreaker::reset`] or another order by hand.
    pub fn force_closed(&self, now: Moment) -> Option<Transition> {
        self.hold(Tag::ForcedClosed, now)
    }

    /// Takes the breaker out of service: as [`CircuitBreaker::force_closed`], but reported as disabled,
    /// for whoever reads why nothing is guarded.
    pub fn disable(&self, now: Moment) -> Option<Transition> {
        self.hold(Tag::Disabled, now)
    }

    fn hold(&self, tag: Tag, now: Moment) -> Option<Transition> {
        self.apply(&mut self.moves.lock(), now, |word| Word::held(tag, word.next_generation()))
    }

    /// Closes the breaker with an empty window and lets it decide for itself again; its open time
    /// forgets that it grew. One that its settings disable is disabled again.
    pub fn reset(&self, now: Moment) -> Option<Transition> {
        if self.config.enforcement() == Enforcement::Disabled {
            return self.disable(now);
        }
        let mut moves = self.moves.lock();
        moves.open_time = OpenTime::default();
        self.apply(&mut moves, now, |word| Word::closed(word.next_generation()))
    }

    pub(super) fn replace(&self, old: Word, new: Word) -> Result<(), Word> {
        self.word
            .compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
            .map_err(Word)
    }

    /// Whether the breaker is still in the state and generation of `seen`.
    fn is_still(&self, seen: Word) -> bool {
        let word = self.load();
        word.tag() == seen.tag() && word.generation() == seen.generation()
    }

    /// The one place where the state changes. `moves` is the lock: only probe counts, and the end of a
    /// ramp, race with it.
    pub(super) fn apply(
        &self,
        moves: &mut Moves,
        now: Moment,
        to: impl Fn(Word) -> Word,
    ) -> Option<Transition> {
        let mut word = self.load();
        let next = loop {
            let next = to(word);
            if next.tag().counts() {
                self.window.start(next.generation(), now);
            }
            match self.replace(word, next) {
                Ok(()) => break next,
                Err(seen) => word = seen,
            }
        };
        if next.tag().counts() {
            moves.open_time.closed(now);
        }
        let (from, to) = (word.tag().state(), next.tag().state());
        if from == to {
            return None;
        }
        let transition = Transition { at: now, from, to };
        moves.note(transition);
        Some(transition)
    }
}
