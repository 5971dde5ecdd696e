//! The breaker itself: who is admitted, and the end of nearly every attempt, a success in good time.
//!
//! An admission, or a refusal, is one load; only a probe takes a lock. What any other end changes is in `outcomes`, and every
//! move from state to state in `transitions`.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::event::{State, Transition};
use crate::outcome::Outcome;
use crate::swappable::Swappable;
use crate::sync::{self, AtomicBool, AtomicU64, Mutex, Ordering};

use super::adaptive::Memory;
use super::admission::{Admission, Leave, NotAdmitted};
use super::config::{Config, Enforcement};
use super::history::LateHistory;
use super::ramp::{self, Thinner};
use super::shared_counters::SharedCounters;
use super::window::{Bad, Counts, LateUsual, Noted, Numbers, OnlyWindow, RunWord, Window, Words};
use super::word::{Tag, Word};

/// What it goes by, and what it counts by that.
#[derive(Debug)]
// Every call reads what the first begins with.
#[repr(C)]
pub(super) struct Settings {
    pub(super) window: Window,
    pub(super) config: Arc<Config>,
}

/// A circuit breaker. Shared by reference between threads; never waits; is told the time.
#[derive(Debug)]
// Every call reads the first four, and may write the last.
#[repr(C)]
pub struct CircuitBreaker {
    pub(super) word: AtomicU64,
    /// Runs of failures, which are only looked at: while there is none, a good call does not change them.
    pub(super) run: RunWord,
    /// What is bad in the window of the last calls. While nothing is, and that is full, a good call does not change it.
    bad: Bad,
    pub(super) settings: Swappable<Settings>,
    pub(super) transitions: Mutex<LateHistory>,
    /// Whether it refuses nothing, by its settings or by hand.
    pub(super) observing: AtomicBool,
    /// How the last attempt ended that counted against the dependency, plus one; zero for none.
    pub(super) last_failure: AtomicU8,
    /// Until when the server has asked to be left alone; the past, if it has not.
    pub(super) asked_until: AtomicU64,
    /// Jitters the open time.
    pub(super) entropy: Entropy,
    /// Since when the oldest probe is out, [`u64::MAX`] if none is: for looking without the lock.
    pub(super) oldest_probe: AtomicU64,
    /// What failures usually follow each other, for all its settings.
    pub(super) usual: LateUsual,
    pub(super) stale: AtomicU64,
    /// Refusals that an observing breaker kept to itself.
    pub(super) withheld: AtomicU64,
    /// Where it counts these two for all that it is one of.
    pub(super) shared_counters: Option<sync::Arc<SharedCounters>>,
    thinner: Thinner,
    /// What calls count in while something is bad, where the window is that of the last calls.
    numbers: Numbers,
}

impl CircuitBreaker {
    /// A closed breaker, or a disabled one if its settings say so.
    #[must_use]
    pub fn new(config: impl Into<Arc<Config>>, now: Moment) -> Self {
        let breaker = Self::made(config.into(), false, now);
        breaker.settings.at_first().window.make_all(&breaker.usual);
        breaker
    }

    /// The same for one of many, as dependencies and keys have them: what only failures need takes no memory before the first,
    /// because most that there are at a time have not had one.
    pub(crate) fn late(config: impl Into<Arc<Config>>, now: Moment) -> Self {
        Self::made(config.into(), true, now)
    }

    /// Where those of its fields are that a good call reads.
    #[cfg(all(test, not(seawall_loom)))]
    pub(crate) fn read_by_each_call() -> [usize; 5] {
        use std::mem::offset_of;
        let settings = offset_of!(Self, settings);
        let first = settings + Swappable::<Settings>::FIRST;
        [offset_of!(Self, word), offset_of!(Self, run), offset_of!(Self, bad), settings, first]
    }

    /// And where those are that it writes while something is bad.
    #[cfg(all(test, not(seawall_loom)))]
    pub(crate) fn written_among_failures() -> usize {
        std::mem::offset_of!(Self, numbers)
    }

    fn made(config: Arc<Config>, is_late: bool, now: Moment) -> Self {
        let word = Word::free(config.enforcement(), 0);
        let observing = config.enforcement() == Enforcement::Observe;
        let trip = config.trip();
        let memory = trip.adaptive.map(|adaptive| Arc::new(Memory::new(adaptive)));
        let window = Window::new(&trip, is_late, memory.as_ref(), now);
        Self {
            word: AtomicU64::new(word.0),
            run: RunWord::default(),
            bad: Bad::new(),
            numbers: Numbers::new(trip.calls().map_or(0, u64::from)),
            settings: Swappable::new(Settings { window, config }),
            observing: AtomicBool::new(observing),
            last_failure: AtomicU8::new(0),
            asked_until: AtomicU64::new(0),
            transitions: Mutex::new(LateHistory::remembering(memory)),
            entropy: Entropy::seeded(0),
            oldest_probe: AtomicU64::new(u64::MAX),
            stale: AtomicU64::new(0),
            withheld: AtomicU64::new(0),
            usual: LateUsual::default(),
            shared_counters: None,
            thinner: Thinner::default(),
        }
    }

    /// The same with a source of chance of its own for `open_jitter`; without it all breakers jitter alike.
    #[must_use]
    pub fn with_entropy(mut self, entropy: Entropy) -> Self {
        self.entropy = entropy;
        self
    }

    /// Its settings, as they are now.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.settings.with(|settings| Arc::clone(&settings.config))
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
        self.observing.load(Ordering::Acquire)
    }

    /// Whether it lets every call through, whatever it has seen.
    pub(crate) fn lets_all_through(&self) -> bool {
        self.is_observing() || matches!(self.load().tag(), Tag::ForcedClosed | Tag::Disabled)
    }

    /// Whether it is closed, or held so, and lets every call through.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.load().tag(), Tag::Closed | Tag::ForcedClosed)
    }

    /// Whether a call would be admitted now. Takes nothing, moves nothing. Of a breaker that lets its
    /// traffic back in slowly, whether any would be.
    ///
    /// # Errors
    /// [`NotAdmitted`] if it would not.
    #[inline]
    pub fn check(&self, now: Moment) -> Result<(), NotAdmitted> {
        let word = self.load();
        match word.tag() {
            Tag::Closed | Tag::ForcedClosed => Ok(()),
            _ => self.check_slow(word, now),
        }
    }

    #[cold]
    fn check_slow(&self, word: Word, now: Moment) -> Result<(), NotAdmitted> {
        match word.tag() {
            Tag::Closed | Tag::ForcedClosed | Tag::Ramping | Tag::Disabled => Ok(()),
            Tag::ForcedOpen => Err(NotAdmitted { retry_after: None }),
            Tag::Open | Tag::HalfOpen if self.is_observing() => Ok(()),
            Tag::Open => match word.refused_for(now) {
                None => Ok(()),
                after => Err(NotAdmitted { retry_after: after }),
            },
            // If it has changed in between, the caller that is let through to try will be told.
            Tag::HalfOpen if self.would_have_place(word, now) || self.load() != word => Ok(()),
            Tag::HalfOpen => Err(NotAdmitted { retry_after: None }),
        }
    }

    /// Admits an attempt, as a probe if the breaker is not closed; and the transition that this made, if any: from open to
    /// half-open.
    ///
    /// # Errors
    /// [`NotAdmitted`]: open, or all probes out.
    #[inline]
    pub fn admit(&self, now: Moment) -> (Result<Admission, NotAdmitted>, Option<Transition>) {
        let mut moved = None;
        (self.let_in(now, &mut moved).map(Admission::new), moved)
    }

    /// The same, with the transition left in `moved`.
    #[inline]
    pub(crate) fn let_in(
        &self,
        now: Moment,
        moved: &mut Option<Transition>,
    ) -> Result<Leave, NotAdmitted> {
        let word = self.load();
        match word.tag() {
            Tag::Closed => Ok(Leave::counted(word)),
            _ => self.let_in_slow(word, now, moved),
        }
    }

    /// Leave by a closed breaker. `None`: it is another, and [`CircuitBreaker::let_in`] is to be asked.
    #[inline(always)]
    pub(crate) fn let_in_closed(&self) -> Option<Leave> {
        let word = self.load();
        (word.tag() == Tag::Closed).then(|| Leave::counted(word))
    }

    #[cold]
    fn let_in_slow(
        &self,
        mut word: Word,
        now: Moment,
        moved: &mut Option<Transition>,
    ) -> Result<Leave, NotAdmitted> {
        loop {
            match word.tag() {
                Tag::Closed => return Ok(Leave::counted(word)),
                Tag::ForcedClosed | Tag::Disabled => return Ok(Leave::uncounted(word)),
                Tag::Ramping => return self.admit_some(word, now),
                Tag::ForcedOpen => return Err(NotAdmitted { retry_after: None }),
                Tag::Open => {
                    if let after @ Some(_) = word.refused_for(now) {
                        return self.refuse(word, after);
                    }
                    self.half_open(word, now, moved);
                    word = self.load();
                }
                Tag::HalfOpen if self.may_have_place(word, now) => match self.take_place(now) {
                    Ok(probe) => return Ok(probe),
                    Err(seen) if seen.tag() == Tag::HalfOpen => return self.refuse(seen, None),
                    Err(seen) => word = seen,
                },
                Tag::HalfOpen => {
                    // Looked at again after the oldest life: a place may have come back in between.
                    let seen = self.load();
                    if seen == word {
                        return self.refuse(word, None);
                    }
                    word = seen;
                }
            }
        }
    }

    fn refuse(&self, word: Word, retry_after: Option<Duration>) -> Result<Leave, NotAdmitted> {
        if self.is_observing() {
            self.note_withheld();
            return Ok(Leave::uncounted(word).withheld());
        }
        Err(NotAdmitted { retry_after })
    }

    /// The share of calls that a ramp has come to.
    fn admit_some(&self, word: Word, now: Moment) -> Result<Leave, NotAdmitted> {
        match (self.config().ramp(), word.refused_for(now)) {
            (Some(ramp), Some(left)) if !self.thinner.admits(ramp::share(ramp, left)) => {
                // If it is let through all the same, then by a closed breaker.
                self.refuse(word, None).map(|_| Leave::counted(word).withheld())
            }
            (Some(_), Some(_)) => Ok(Leave::counted(word)),
            _ => {
                self.end_ramp(word);
                Ok(Leave::counted(word))
            }
        }
    }

    /// The share of calls that a slow start lets through at `now`, from 0 to 1; 1 if none is going on. `None`:
    /// its settings have no slow start.
    #[must_use]
    pub fn ramp(&self, now: Moment) -> Option<f64> {
        let ramp = self.settings.with(|settings| settings.config.ramp())?;
        let word = self.load();
        let left = (word.tag() == Tag::Ramping).then(|| word.refused_for(now)).flatten();
        Some(left.map_or(1.0, |left| ramp::share(ramp, left)))
    }

    /// Whether a success in good time would change nothing, and so need not be counted: the window of the last calls is
    /// full of good ones, or there is none.
    #[inline(always)]
    pub(crate) fn is_as_after_good(&self, admission: Leave) -> bool {
        let generation = admission.generation();
        if !admission.is_counted() || self.load() != Word::closed(generation) {
            return false;
        }
        let Some(settings) = self.settings.first() else { return false };
        let is_full_and_good = match settings.window.only {
            OnlyWindow::Calls => self.bad.is_full_and_good(generation),
            only => only == OnlyWindow::Absent,
        };
        is_full_and_good && self.run.is_none(generation)
    }

    /// Counts a success in good time: what [`CircuitBreaker::record`] does, in less code, for one that has a lot of their
    /// own around it.
    #[inline]
    pub(crate) fn record_good(&self, admission: Leave, now: Moment) -> Option<Transition> {
        match self.note_success(admission, now) {
            Noted::Quietly => None,
            noted => self.go_on(noted, admission, now),
        }
    }

    /// Counts a good one, if that can be done at once. A leaf: whatever calls somebody needs a frame.
    #[inline(never)]
    fn note_success(&self, admission: Leave, now: Moment) -> Noted {
        let generation = admission.generation();
        if !admission.is_counted() || self.load() != Word::closed(generation) {
            return Noted::Not;
        }
        let Some(settings) = self.settings.first() else { return Noted::Not };
        self.note_good(settings, generation, now)
    }

    /// The same by its first settings.
    #[inline]
    pub(super) fn note_good(&self, first: &Settings, generation: u32, now: Moment) -> Noted {
        if !self.run.is_none(generation) {
            return Noted::Not;
        }
        match first.window.only {
            OnlyWindow::Calls => self.counts().note_good(generation),
            OnlyWindow::Timed | OnlyWindow::Adaptive => {
                first.window.note_good_by_time(generation, now)
            }
            OnlyWindow::Absent => Noted::Quietly,
            OnlyWindow::Several => Noted::Not,
        }
    }

    /// What its windows count in, of that which lies here.
    #[inline]
    pub(super) fn words(&self) -> Words<'_> {
        Words { run: &self.run, usual: &self.usual, counts: self.counts() }
    }

    #[inline]
    pub(super) fn counts(&self) -> Counts<'_> {
        Counts { bad: &self.bad, numbers: &self.numbers }
    }

    /// An answer came too late to count.
    #[cold]
    pub(super) fn note_stale(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
        if let Some(all) = &self.shared_counters {
            all.note_stale();
        }
    }

    /// Remembers an attempt that counted against the dependency.
    pub(super) fn note_failure(&self, outcome: Outcome) {
        // Fewer than 255 outcomes.
        self.last_failure.store(outcome.index() as u8 + 1, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn last_failure(&self) -> Option<Outcome> {
        let last = usize::from(self.last_failure.load(std::sync::atomic::Ordering::Relaxed));
        Outcome::ALL.get(last.checked_sub(1)?).copied()
    }

    /// A refusal was kept back.
    #[cold]
    pub(super) fn note_withheld(&self) {
        self.withheld.fetch_add(1, Ordering::Relaxed);
        if let Some(all) = &self.shared_counters {
            all.note_withheld();
        }
    }
}
