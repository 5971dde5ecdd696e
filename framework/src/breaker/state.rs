//! The breaker itself: who is admitted, what an outcome changes, and every legal move.
//!
//! | from | to | when |
//! | --- | --- | --- |
//! | closed | open | the window trips |
//! | open | half-open | `open_for` has passed, and somebody looks |
//! | half-open | closed | `success_threshold` probes succeeded |
//! | half-open | open | a probe failed |
//! | any | any | by hand: `force_open`, `force_closed`, `reset` |
//!
//! Admission and outcomes are a load or a CAS on one word. Moves take a mutex, look again, and make
//! the move: there are few of them, and the window can then be cleared before anybody uses it.

use crate::clock::Moment;
use crate::event::{State, Transition};
use crate::outcome::{Class, Outcome};
use crate::sync::{AtomicU64, Mutex, Ordering};

use super::config::{Config, Trip};
use super::report::{Mode, Moves, Refusal, Report};
use super::window::Window;
use super::word::{Tag, Word};

/// Leave for one attempt. Hand it back to [`CircuitBreaker::record`] exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an admission that is never recorded holds its probe place until the probe life is over"]
pub struct Admission {
    generation: u32,
    probe: bool,
}

impl Admission {
    /// Whether this attempt finds out if the dependency has recovered.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.probe
    }
}

/// A circuit breaker. Shared by reference between threads; never waits; is told the time.
#[derive(Debug)]
pub struct CircuitBreaker {
    config: Config,
    word: AtomicU64,
    /// When the latest probe was let through.
    last_probe: AtomicU64,
    stale: AtomicU64,
    window: Window,
    moves: Mutex<Moves>,
}

impl CircuitBreaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(config: Config, now: Moment) -> Self {
        Self {
            window: Window::new(config.trip(), now),
            config,
            word: AtomicU64::new(Word::closed(0).0),
            last_probe: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            moves: Mutex::default(),
        }
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    #[inline]
    fn load(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    /// Its state as last published: an open breaker whose time is up reads open until somebody looks.
    #[must_use]
    #[inline]
    pub fn state(&self) -> State {
        self.load().tag().state()
    }

    /// Whether a call would be admitted now. Takes nothing, moves nothing.
    ///
    /// # Errors
    /// [`Refusal`] if it would not.
    #[inline]
    pub fn check(&self, now: Moment) -> Result<(), Refusal> {
        let word = self.load();
        match word.tag() {
            Tag::Closed | Tag::ForcedClosed => Ok(()),
            _ => self.check_slow(word, now),
        }
    }

    #[cold]
    fn check_slow(&self, word: Word, now: Moment) -> Result<(), Refusal> {
        match word.tag() {
            Tag::Closed | Tag::ForcedClosed => Ok(()),
            Tag::Open => match word.refused_for(now) {
                None => Ok(()),
                after => Err(Refusal { retry_after: after }),
            },
            Tag::HalfOpen if self.has_place(word) || self.probes_are_lost(now) => Ok(()),
            Tag::HalfOpen | Tag::ForcedOpen => Err(Refusal { retry_after: None }),
        }
    }

    /// Admits an attempt, as a probe if the breaker is not closed. The move that this made, if any,
    /// is left in `moved`.
    ///
    /// # Errors
    /// [`Refusal`]: open, or all probes out.
    #[inline]
    pub fn admit(&self, now: Moment, moved: &mut Option<Transition>) -> Result<Admission, Refusal> {
        let word = self.load();
        match word.tag() {
            Tag::Closed | Tag::ForcedClosed => {
                Ok(Admission { generation: word.generation(), probe: false })
            }
            _ => self.admit_probe(word, now, moved),
        }
    }

    #[cold]
    fn admit_probe(
        &self,
        mut word: Word,
        now: Moment,
        moved: &mut Option<Transition>,
    ) -> Result<Admission, Refusal> {
        loop {
            match word.tag() {
                Tag::Closed | Tag::ForcedClosed => {
                    return Ok(Admission { generation: word.generation(), probe: false });
                }
                Tag::ForcedOpen => return Err(Refusal { retry_after: None }),
                Tag::Open => {
                    if let Some(after) = word.refused_for(now) {
                        return Err(Refusal { retry_after: Some(after) });
                    }
                    self.half_open(word, now, moved);
                    word = self.load();
                }
                Tag::HalfOpen if self.has_place(word) || self.probes_are_lost(now) => {
                    if let Some(probe) = self.take_place(now) {
                        return Ok(probe);
                    }
                    word = self.load();
                }
                Tag::HalfOpen => return Err(Refusal { retry_after: None }),
            }
        }
    }

    /// Takes a probe's place; if none is free and all probes are lost, gives theirs away first.
    ///
    /// With the moves locked: between the look at the latest probe and the change of generation
    /// nobody may be let in, or a fresh probe would be written off with the lost ones, and one more
    /// than allowed be out.
    fn take_place(&self, now: Moment) -> Option<Admission> {
        let mut moves = self.moves.lock();
        let mut word = self.load();
        if word.tag() != Tag::HalfOpen {
            return None;
        }
        if !self.has_place(word) {
            if !self.probes_are_lost(now) {
                return None;
            }
            // The same state in a new generation: what the lost probes answer is stale.
            self.apply(&mut moves, now, |word| {
                Word::half_open(word.next_generation(), 0, word.successes())
            });
            word = self.load();
        }
        self.last_probe.fetch_max(now.as_nanos(), Ordering::AcqRel);
        // Only answers race with this, and they only make room.
        loop {
            let next = Word::half_open(word.generation(), word.live() + 1, word.successes());
            match self.replace(word, next) {
                Ok(()) => return Some(Admission { generation: next.generation(), probe: true }),
                Err(seen) => word = seen,
            }
        }
    }

    fn has_place(&self, word: Word) -> bool {
        let taken = match self.config.trip() {
            Trip::Consecutive { .. } => word.live(),
            // By rate the total of a generation is bounded too.
            Trip::Rate { .. } => word.live() + word.successes(),
        };
        taken < self.config.half_open_calls()
    }

    /// Whether even the latest probe has been out for longer than a probe may live.
    fn probes_are_lost(&self, now: Moment) -> bool {
        let latest = Moment::from_nanos(self.last_probe.load(Ordering::Acquire));
        now.since(latest) >= self.config.probe_life()
    }

    /// Counts how an admitted attempt ended, and returns the move that this made, if any.
    #[inline]
    pub fn record(
        &self,
        admission: Admission,
        outcome: Outcome,
        now: Moment,
    ) -> Option<Transition> {
        if admission.probe {
            return self.record_probe(admission, outcome, now);
        }
        let failed = match outcome.class() {
            Class::Success => false,
            Class::Failure => true,
            Class::Ignored => return None,
        };
        let word = self.load();
        if word.generation() != admission.generation {
            self.stale.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        if word.tag() == Tag::Closed && self.window.record(admission.generation, failed, now) {
            return self.trip(word, now);
        }
        None
    }

    #[cold]
    fn trip(&self, word: Word, now: Moment) -> Option<Transition> {
        let mut moves = self.moves.lock();
        if self.load() != word || !self.window.confirms() {
            return None;
        }
        self.apply(&mut moves, now, |word| self.reopened(word, now))
    }

    #[cold]
    fn record_probe(
        &self,
        admission: Admission,
        outcome: Outcome,
        now: Moment,
    ) -> Option<Transition> {
        let class = outcome.class();
        let mut word = self.load();
        loop {
            if word.tag() != Tag::HalfOpen || word.generation() != admission.generation {
                self.stale.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            let successes = word.successes() + u32::from(class == Class::Success);
            let moved = if class == Class::Failure {
                self.shift(word, now, |word| self.reopened(word, now))
            } else if successes >= self.config.success_threshold() {
                self.shift(word, now, |word| Word::closed(word.next_generation()))
            } else {
                let live = word.live().saturating_sub(1);
                let next = Word::half_open(admission.generation, live, successes);
                match self.replace(word, next) {
                    Ok(()) => return None,
                    Err(_) => None,
                }
            };
            if moved.is_some() {
                return moved;
            }
            // Somebody else was first, which may have made this answer stale.
            word = self.load();
        }
    }

    fn reopened(&self, word: Word, now: Moment) -> Word {
        Word::open(word.next_generation(), now, self.config.open_for())
    }

    /// Moves an open breaker whose time is up on to half-open, whether or not anybody calls.
    /// Returns the move, if it was made, and when to look again.
    pub fn poll(&self, now: Moment) -> (Option<Transition>, Option<Moment>) {
        let word = self.load();
        if word.tag() != Tag::Open {
            return (None, None);
        }
        if let Some(after) = word.refused_for(now) {
            return (None, Some(now + after));
        }
        let mut moved = None;
        self.half_open(word, now, &mut moved);
        (moved, None)
    }

    fn half_open(&self, word: Word, now: Moment, moved: &mut Option<Transition>) {
        let transition =
            self.shift(word, now, |word| Word::half_open(word.next_generation(), 0, 0));
        if transition.is_some() {
            *moved = transition;
        }
    }

    /// Refuses every call until [`CircuitBreaker::reset`] or [`CircuitBreaker::force_closed`].
    pub fn force_open(&self, now: Moment) -> Option<Transition> {
        self.apply(&mut self.moves.lock(), now, |word| {
            Word::forced(Tag::ForcedOpen, word.next_generation())
        })
    }

    /// Admits every call, counting nothing, until [`CircuitBreaker::reset`] or [`CircuitBreaker::force_open`].
    pub fn force_closed(&self, now: Moment) -> Option<Transition> {
        self.apply(&mut self.moves.lock(), now, |word| {
            Word::forced(Tag::ForcedClosed, word.next_generation())
        })
    }

    /// Closes the breaker with an empty window and lets it decide for itself again.
    pub fn reset(&self, now: Moment) -> Option<Transition> {
        self.apply(&mut self.moves.lock(), now, |word| Word::closed(word.next_generation()))
    }

    fn replace(&self, old: Word, new: Word) -> Result<(), Word> {
        self.word
            .compare_exchange(old.0, new.0, Ordering::AcqRel, Ordering::Acquire)
            .map(|_| ())
            .map_err(Word)
    }

    /// Makes a move if the breaker is still in the state and generation of `seen`.
    fn shift(&self, seen: Word, now: Moment, to: impl Fn(Word) -> Word) -> Option<Transition> {
        let mut moves = self.moves.lock();
        let word = self.load();
        if word.tag() != seen.tag() || word.generation() != seen.generation() {
            return None;
        }
        self.apply(&mut moves, now, to)
    }

    /// The one place where the state changes. `moves` is the lock: only probe counts race with it.
    fn apply(
        &self,
        moves: &mut Moves,
        now: Moment,
        to: impl Fn(Word) -> Word,
    ) -> Option<Transition> {
        let mut word = self.load();
        let next = loop {
            let next = to(word);
            if next.tag() == Tag::Closed {
                self.window.start(next.generation(), now);
            }
            match self.replace(word, next) {
                Ok(()) => break next,
                Err(seen) => word = seen,
            }
        };
        let (from, to) = (word.tag().state(), next.tag().state());
        if from == to {
            return None;
        }
        let transition = Transition { at: now, from, to };
        moves.note(transition);
        Some(transition)
    }

    /// Everything about it at one instant.
    #[must_use]
    pub fn report(&self) -> Report {
        let moves = self.moves.lock();
        let word = self.load();
        let tally = self.window.tally();
        Report {
            state: word.tag().state(),
            mode: match word.tag() {
                Tag::ForcedOpen => Mode::ForcedOpen,
                Tag::ForcedClosed => Mode::ForcedClosed,
                Tag::Closed | Tag::Open | Tag::HalfOpen => Mode::Automatic,
            },
            generation: word.generation(),
            window_calls: tally.calls,
            window_failures: tally.failures,
            probes: if word.tag() == Tag::HalfOpen { word.live() } else { 0 },
            stale_results: self.stale.load(Ordering::Relaxed),
            transitions: moves.history.iter().copied().collect(),
            transition_counts: moves.counts,
        }
    }
}
