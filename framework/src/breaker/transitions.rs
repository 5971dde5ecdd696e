//! Every legal move from state to state.
//!
//! | from | to | when |
//! | --- | --- | --- |
//! | closed | open | the window trips |
//! | open | half-open | the open time has passed, and somebody looks |
//! | half-open | closed | enough probes succeeded, see [`super::HalfOpenMode`] |
//! | half-open | open | a probe failed, or too many did |
//! | closed | open | enough other instances have opened |
//! | open, half-open | closed | another instance has probed for all |
//! | any | any | by hand: `force_open`, `force_closed`, `disable`, `observe`, `reset` |
//!
//! A move takes a mutex, looks again, and changes the word: there are few of them, and the window can
//! then be cleared before anybody uses it.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::event::{Cause, Command, Transition};
use crate::sync::Ordering;

use super::adaptive::Memory;
use super::config::{Config, Enforcement};
use super::half_open;
use super::history::{History, Made};
use super::open_time::{OpenTime, Opening};
use super::state::{CircuitBreaker, Settings};
use super::window::{Start, Suspicion};
use super::word::{Probes, Tag, Word};

/// Why a move is made, and for how long calls are refused then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Why {
    cause: Cause,
    open_for: Option<Duration>,
}

impl Why {
    pub(super) fn opening(cause: Cause, open_for: Duration) -> Self {
        Self { cause, open_for: Some(open_for) }
    }
}

impl From<Cause> for Why {
    fn from(cause: Cause) -> Self {
        Self { cause, open_for: None }
    }
}

impl CircuitBreaker {
    /// Opens, if the window of the breaker that was `seen` closed really says so.
    #[cold]
    pub(super) fn trip(&self, seen: Word, suspicion: Suspicion, now: Moment) -> Option<Transition> {
        let mut moves = self.transitions.lock();
        let word = self.load();
        let is_same = word.tag().counts() && word.generation() == seen.generation();
        if !is_same {
            return None;
        }
        let confirm = |settings: &Settings| settings.window.confirm(self.words(), suspicion, now);
        let cause = self.settings.with(confirm)?;
        self.open(&mut moves, cause, now)
    }

    /// Opens, for as long as it is the time for.
    pub(super) fn open(
        &self,
        moves: &mut History,
        cause: Cause,
        now: Moment,
    ) -> Option<Transition> {
        let from_closed = self.load().tag().counts();
        let config = self.config();
        let asked = Moment::from_nanos(self.asked_until.load(Ordering::Acquire)).since(now);
        let opening = Opening { from_closed, asked, now, unit: self.entropy.unit() };
        let open_for = moves.open_time.next(&config, opening);
        let why = Why::opening(cause, open_for);
        self.apply(moves, why, now, |word| Word::open(word.next_generation(), now, open_for))
    }

    /// Closes, or begins to.
    pub(super) fn close(
        &self,
        moves: &mut History,
        cause: Cause,
        now: Moment,
    ) -> Option<Transition> {
        self.apply(moves, cause.into(), now, |word| match self.config().ramp() {
            Some(ramp) => Word::ramping(word.next_generation(), now, ramp.over),
            None => Word::closed(word.next_generation()),
        })
    }

    /// Lets all calls through again. No move: the breaker has been closed since the ramp began.
    pub(super) fn end_ramp(&self, seen: Word) {
        // Another thread was first, and has done it.
        let _ = self.replace(seen, Word::closed(seen.generation()));
    }

    /// Transitions an open breaker whose time is up on to half-open, whether or not anybody calls, takes back the
    /// places of probes that have outlived their life, and ends a ramp. Returns the move, if it was made, and
    /// when to look again.
    pub fn poll(&self, now: Moment) -> (Option<Transition>, Option<Moment>) {
        let word = self.load();
        let tag = word.tag();
        if tag == Tag::HalfOpen {
            return (None, self.look_after_probes(now));
        }
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

    /// Until when it refuses calls by itself, some or all: its open time, or its ramp.
    pub(super) fn refuses_until(&self, now: Moment) -> Option<Moment> {
        let word = self.load();
        let left = matches!(word.tag(), Tag::Open | Tag::Ramping).then(|| word.refused_for(now));
        left.flatten().map(|left| now + left)
    }

    pub(super) fn half_open(&self, seen: Word, now: Moment, moved: &mut Option<Transition>) {
        let mut moves = self.transitions.lock();
        if !self.is_still(seen) {
            return;
        }
        let fresh = |word: Word| Word::half_open(word.next_generation(), Probes::default());
        if let Some(transition) = self.apply(&mut moves, Cause::OpenTimeOver.into(), now, fresh) {
            *moved = Some(transition);
        }
    }

    /// Refuses every call until [`CircuitBreaker::reset`] or another order by hand.
    pub fn force_open(&self, now: Moment) -> Option<Transition> {
        self.hold(Tag::ForcedOpen, Command::ForceOpen, now)
    }

    /// Admits every call, counting nothing, until [`CircuitBreaker::reset`] or another order by hand.
    pub fn force_closed(&self, now: Moment) -> Option<Transition> {
        self.hold(Tag::ForcedClosed, Command::ForceClosed, now)
    }

    /// Takes the breaker out of service: as [`CircuitBreaker::force_closed`], but reported as disabled,
    /// so that a reader sees why nothing is guarded.
    pub fn disable(&self, now: Moment) -> Option<Transition> {
        self.hold(Tag::Disabled, Command::Disable, now)
    }

    fn hold(&self, tag: Tag, command: Command, now: Moment) -> Option<Transition> {
        let mut moves = self.transitions.lock();
        moves.is_by_hand = true;
        self.apply(&mut moves, Cause::ByHand { command }.into(), now, |word| {
            Word::held(tag, word.next_generation())
        })
    }

    /// Lets it decide for itself, and refuse nothing, until [`CircuitBreaker::reset`] or another order by
    /// hand. One that is held, or disabled, is closed with an empty window; otherwise no move is made.
    pub fn observe(&self, now: Moment) -> Option<Transition> {
        let mut moves = self.transitions.lock();
        moves.is_by_hand = true;
        self.observing.swap(true, Ordering::AcqRel);
        let is_held = self.load().tag().is_held();
        if is_held {
            let why = Cause::ByHand { command: Command::Observe }.into();
            return self.apply(&mut moves, why, now, |word| Word::closed(word.next_generation()));
        }
        None
    }

    /// Closes the breaker with an empty window and lets it decide for itself again; its open time
    /// forgets that it grew. One that its settings disable is disabled again.
    pub fn reset(&self, now: Moment) -> Option<Transition> {
        let mut moves = self.transitions.lock();
        moves.open_time = OpenTime::default();
        moves.is_by_hand = false;
        let enforcement = self.config().enforcement();
        self.observing.swap(enforcement == Enforcement::Observe, Ordering::AcqRel);
        let why = Cause::ByHand { command: Command::Reset }.into();
        self.apply(&mut moves, why, now, |word| Word::free(enforcement, word.next_generation()))
    }

    /// Goes by other settings from now on, and loses nothing by that: an open breaker stays open for as
    /// long as it was to, a window that the new settings have too keeps what it has counted, and an
    /// order by hand stands; what an adaptive threshold has learned is kept, too. Of a half-open one the probes
    /// stay out and hold their places, of which there may now be fewer than probes; what they have answered
    /// counts on, unless the new settings judge probes in another way: then they begin at nothing. Returns the
    /// move, if disabling or enabling it made one.
    pub fn reconfigure(&self, config: impl Into<Arc<Config>>, now: Moment) -> Option<Transition> {
        let config = config.into();
        let enforcement = config.enforcement();
        let trip = config.trip();
        // Before the lock, which trips and probes wait for: a large one takes its time to be made.
        let ring = self.settings.with(|settings| settings.window.ring_for(&trip));
        let mut moves = self.transitions.lock();
        let word = self.load();
        match (&trip.adaptive, &moves.memory) {
            (Some(adaptive), Some(memory)) => memory.adopt(*adaptive, now),
            (Some(adaptive), None) => moves.memory = Some(Arc::new(Memory::new(*adaptive))),
            (None, _) => {}
        }
        let memory = moves.memory.as_ref();
        let start = Start { words: self.words(), generation: word.generation(), now };
        let window =
            self.settings.with(|settings| settings.window.for_trip(ring, &trip, memory, start));
        let is_judged_alike = half_open::is_judged_alike(&self.config(), &config);
        self.settings.replace(Settings { window, config });
        if word.tag() == Tag::HalfOpen && !is_judged_alike {
            self.publish_probes(&moves, Probes::default());
        }
        if moves.is_by_hand {
            return None;
        }
        self.observing.swap(enforcement == Enforcement::Observe, Ordering::AcqRel);
        if (word.tag() == Tag::Disabled) == (enforcement == Enforcement::Disabled) {
            return None;
        }
        let why = Cause::Settings.into();
        self.apply(&mut moves, why, now, |word| Word::free(enforcement, word.next_generation()))
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

    /// The one place where the state changes. `moves` is the lock: only the end of a ramp races with it.
    pub(super) fn apply(
        &self,
        moves: &mut History,
        why: Why,
        now: Moment,
        to: impl Fn(Word) -> Word,
    ) -> Option<Transition> {
        let mut word = self.load();
        let next = loop {
            let next = to(word);
            if next.tag().counts() {
                let (words, generation) = (self.words(), next.generation());
                let start = Start { words, generation, now };
                self.settings.with(|settings| settings.window.start(start));
            }
            match self.replace(word, next) {
                Ok(()) => break next,
                Err(seen) => word = seen,
            }
        };
        if next.tag().counts() {
            moves.open_time.closed(now);
            // Whatever the server asked for, it is well again.
            self.asked_until.swap(0, Ordering::AcqRel);
        }
        // Whatever they answer now belongs to an earlier generation.
        moves.out.take_back_all();
        moves.abandoned_probes = 0;
        self.note_oldest(moves);
        let (from, to) = (word.tag().state(), next.tag().state());
        if from == to {
            return None;
        }
        let Why { cause, open_for } = why;
        let last_failure = self.last_failure();
        Some(moves.note((from, to), Made { at: now, cause, open_for, last_failure }))
    }
}
