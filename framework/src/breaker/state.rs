//! The breaker itself: who is admitted, and what an outcome changes.
//!
//! Admission and outcomes are a load or a CAS on one word. The moves from state to state are in `moves`.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::event::{State, Transition};
use crate::outcome::{Class, Outcome};
use crate::sync::{AtomicU64, Mutex, Ordering};

use super::config::{Config, Enforcement};
use super::half_open::{self, Verdict};
use super::moves::Moves;
use super::ramp::{self, Thinner};
use super::report::{Mode, Refusal, Report};
use super::window::Window;
use super::word::{Probes, Tag, Word};

/// Leave for one attempt. Hand it back to [`CircuitBreaker::record`] exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an admission that is never recorded holds its probe place until the probe life is over"]
pub struct Admission {
    generation: u32,
    kind: Kind,
}

/// What an attempt's outcome is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It goes into the closed window.
    Counted,
    /// It decides whether the breaker closes.
    Probe,
    /// Nothing: the breaker is told not to look, or would have refused it and only observes.
    Uncounted,
}

impl Admission {
    /// Whether this attempt finds out if the dependency has recovered.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.kind == Kind::Probe
    }

    fn counted(word: Word) -> Self {
        Self { generation: word.generation(), kind: Kind::Counted }
    }

    fn uncounted(word: Word) -> Self {
        Self { generation: word.generation(), kind: Kind::Uncounted }
    }
}

/// A circuit breaker. Shared by reference between threads; never waits; is told the time.
#[derive(Debug)]
pub struct CircuitBreaker {
    pub(super) config: Arc<Config>,
    pub(super) word: AtomicU64,
    pub(super) window: Window,
    pub(super) moves: Mutex<Moves>,
    /// Jitters the open time.
    pub(super) entropy: Entropy,
    /// When the latest probe was let through.
    last_probe: AtomicU64,
    stale: AtomicU64,
    /// Refusals that an observing breaker kept to itself.
    withheld: AtomicU64,
    thinner: Thinner,
}

impl CircuitBreaker {
    /// A closed breaker, or a disabled one if its settings say so.
    #[must_use]
    pub fn new(config: impl Into<Arc<Config>>, now: Moment) -> Self {
        let config = config.into();
        let word = match config.enforcement() {
            Enforcement::Enforce | Enforcement::Observe => Word::closed(0),
            Enforcement::Disabled => Word::held(Tag::Disabled, 0),
        };
        Self {
            window: Window::new(config.trip(), now),
            config,
            word: AtomicU64::new(word.0),
            moves: Mutex::default(),
            entropy: Entropy::seeded(0),
            last_probe: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            withheld: AtomicU64::new(0),
            thinner: Thinner::default(),
        }
    }

    /// The same with a source of chance of its own for `open_jitter`; without it all breakers jitter alike.
    #[must_use]
    pub fn with_entropy(mut self, entropy: Entropy) -> Self {
        self.entropy = entropy;
        self
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    #[inline]
    pub(super) fn load(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    /// Its state as last published: an open breaker whose time is up reads open until somebody looks.
    #[must_use]
    #[inline]
    pub fn state(&self) -> State {
        self.load().tag().state()
    }

    /// Whether it refuses nothing that it is not told to refuse by hand.
    #[must_use]
    pub fn is_observing(&self) -> bool {
        self.config.enforcement() == Enforcement::Observe
    }

    /// Whether a call would be admitted now. Takes nothing, moves nothing. Of a breaker that lets its
    /// traffic back in slowly, whether any would be.
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
            Tag::Closed | Tag::ForcedClosed | Tag::Ramping | Tag::Disabled => Ok(()),
            Tag::ForcedOpen => Err(Refusal { retry_after: None }),
            Tag::Open | Tag::HalfOpen if self.is_observing() => Ok(()),
            Tag::Open => match word.refused_for(now) {
                None => Ok(()),
                after => Err(Refusal { retry_after: after }),
            },
            Tag::HalfOpen if self.has_place(word) || self.probes_are_lost(now) => Ok(()),
            Tag::HalfOpen => Err(Refusal { retry_after: None }),
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
            Tag::Closed => Ok(Admission::counted(word)),
            _ => self.admit_slow(word, now, moved),
        }
    }

    #[cold]
    fn admit_slow(
        &self,
        mut word: Word,
        now: Moment,
        moved: &mut Option<Transition>,
    ) -> Result<Admission, Refusal> {
        loop {
            match word.tag() {
                Tag::Closed => return Ok(Admission::counted(word)),
                Tag::ForcedClosed | Tag::Disabled => return Ok(Admission::uncounted(word)),
                Tag::Ramping => return self.admit_some(word, now),
                Tag::ForcedOpen => return Err(Refusal { retry_after: None }),
                Tag::Open => {
                    if let after @ Some(_) = word.refused_for(now) {
                        return self.refuse(word, after);
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
                Tag::HalfOpen => return self.refuse(word, None),
            }
        }
    }

    fn refuse(&self, word: Word, retry_after: Option<Duration>) -> Result<Admission, Refusal> {
        if self.is_observing() {
            self.withheld.fetch_add(1, Ordering::Relaxed);
            return Ok(Admission::uncounted(word));
        }
        Err(Refusal { retry_after })
    }

    /// The share of calls that a ramp has come to.
    fn admit_some(&self, word: Word, now: Moment) -> Result<Admission, Refusal> {
        match (self.config.ramp(), word.refused_for(now)) {
            (Some(ramp), Some(left)) if !self.thinner.admits(ramp::share(ramp, left)) => {
                let admitted = self.refuse(word, None)?;
                // It is let through all the same, by a closed breaker.
                Ok(Admission { kind: Kind::Counted, ..admitted })
            }
            (Some(_), Some(_)) => Ok(Admission::counted(word)),
            _ => {
                self.end_ramp(word);
                Ok(Admission::counted(word))
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
                Word::half_open(word.next_generation(), Probes { live: 0, ..word.probes() })
            });
            word = self.load();
        }
        self.last_probe.fetch_max(now.as_nanos(), Ordering::AcqRel);
        // Only answers race with this, and they only make room.
        loop {
            let probes = word.probes();
            let next =
                Word::half_open(word.generation(), Probes { live: probes.live + 1, ..probes });
            match self.replace(word, next) {
                Ok(()) => {
                    return Some(Admission { generation: next.generation(), kind: Kind::Probe });
                }
                Err(seen) => word = seen,
            }
        }
    }

    fn has_place(&self, word: Word) -> bool {
        half_open::has_place(&self.config, word.probes())
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
        match admission.kind {
            Kind::Counted => {}
            Kind::Probe => return self.record_probe(admission, outcome, now),
            Kind::Uncounted => return None,
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
        if word.tag().counts() && self.window.record(admission.generation, failed, now) {
            return self.trip(word, now);
        }
        None
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
            let before = word.probes();
            let probes = Probes {
                live: before.live.saturating_sub(1),
                successes: before.successes + u32::from(class == Class::Success),
                failures: before.failures + u32::from(class == Class::Failure),
            };
            let moved = match half_open::verdict(&self.config, probes) {
                Verdict::Open => self.reopen(word, now),
                Verdict::Close => self.close(word, now),
                Verdict::Wait => {
                    let next = Word::half_open(admission.generation, probes);
                    if self.replace(word, next).is_ok() {
                        return None;
                    }
                    None
                }
            };
            if moved.is_some() {
                return moved;
            }
            // Somebody else was first, which may have made this answer stale.
            word = self.load();
        }
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
                Tag::Disabled => Mode::Disabled,
                _ if self.is_observing() => Mode::Observing,
                _ => Mode::Automatic,
            },
            generation: word.generation(),
            window_calls: tally.calls,
            window_failures: tally.failures,
            probes: if word.tag() == Tag::HalfOpen { word.probes().live } else { 0 },
            refusals_withheld: self.withheld.load(Ordering::Relaxed),
            stale_results: self.stale.load(Ordering::Relaxed),
            transitions: moves.history.iter().copied().collect(),
            transition_counts: moves.counts,
        }
    }
}
