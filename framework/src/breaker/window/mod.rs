//! What a closed breaker remembers, and when that is too much.
//!
//! Every window is tagged with the generation it belongs to. A record of another generation changes
//! nothing, however late its writer wakes up.

mod adaptive;
#[cfg(test)]
mod alone;
mod calls;
mod consecutive;
mod rate_threshold;
mod tally;
mod timed;
mod usual_failures;
mod words;

use std::sync::Arc;

use crate::clock::Moment;
use crate::event::Cause;

use super::adaptive::Memory;
use super::config::Trip;
use adaptive::Adaptive;
pub(super) use calls::{Bad, Counts, Numbers};
use calls::{Calls, Ring};
use consecutive::{Consecutive, Runs};
use timed::Timed;

#[cfg(test)]
pub(super) use alone::Alone;
#[cfg(all(test, not(seawall_loom)))]
pub(super) use calls::LOOKED_AT;
pub(super) use rate_threshold::RateThreshold;
use rate_threshold::Thresholds;
pub(super) use tally::{Mark, Noted, RunEnd, Suspicion, Tally};
pub(super) use usual_failures::LateUsual;
pub(super) use words::{RunWord, Words};

/// Where a window begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    pub(super) words: Words<'a>,
    pub(super) generation: u32,
    pub(super) now: Moment,
}

/// Everything that can open a breaker: each part is there if it is asked for.
#[derive(Debug)]
// Every call reads the first.
#[repr(C)]
pub(super) struct Window {
    /// What a good call changes, where that is at most one window.
    pub(super) only: OnlyWindow,
    /// The first failure takes the memory that only failures need.
    is_late: bool,
    run: Option<Consecutive>,
    // Shared with the window that takes this one's place, if its settings leave them as they are:
    // a writer of the old one writes to both.
    ring: Option<Arc<Ring>>,
    timed: Option<Arc<Timed>>,
    // Apart, because most breakers have neither.
    thresholds: Option<Box<Thresholds>>,
    adaptive: Option<Box<Adaptive>>,
}

/// The one window that there is beside the run of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnlyWindow {
    Calls,
    Timed,
    Adaptive,
    /// There is none.
    Absent,
    /// There is more than one.
    Several,
}

impl Window {
    /// With a threshold that follows what `memory` has learned, if the settings want one. `is_late`: the first failure takes the memory
    /// that only failures need.
    pub(super) fn new(
        trip: &Trip,
        is_late: bool,
        memory: Option<&Arc<Memory>>,
        now: Moment,
    ) -> Self {
        Self::around(Self::ring_of(trip, is_late).map(Arc::new), trip, is_late, memory, now)
    }

    /// The ring that these settings need.
    fn ring_of(trip: &Trip, is_late: bool) -> Option<Ring> {
        let ring = Ring::new(trip.calls()?);
        if !is_late {
            ring.slots();
        }
        Some(ring)
    }

    /// Around this ring, which may be large, and so is made before.
    fn around(
        ring: Option<Arc<Ring>>,
        trip: &Trip,
        is_late: bool,
        memory: Option<&Arc<Memory>>,
        now: Moment,
    ) -> Self {
        let rates = trip.rates.as_ref();
        let timed = rates.and_then(|rates| rates.time);
        let adaptive = trip.adaptive.as_ref().zip(memory);
        let window = Self {
            only: OnlyWindow::Absent,
            is_late,
            run: Consecutive::new(trip),
            ring,
            timed: timed.map(|time| Arc::new(Timed::new(time, now))),
            thresholds: rates.map(|rates| Box::new(Thresholds::new(rates))),
            adaptive: adaptive.map(|(config, memory)| Box::new(Adaptive::new(config, memory, now))),
        };
        window.with_only()
    }

    /// The same, knowing whether it is only one.
    fn with_only(self) -> Self {
        let only = match (&self.ring, &self.timed, &self.adaptive) {
            (Some(_), None, None) => OnlyWindow::Calls,
            (None, Some(_), None) => OnlyWindow::Timed,
            (None, None, Some(_)) => OnlyWindow::Adaptive,
            (None, None, None) => OnlyWindow::Absent,
            _ => OnlyWindow::Several,
        };
        Self { only, ..self }
    }

    /// Makes what the first failure would, unless that is to do so.
    pub(super) fn make_all(&self, usual: &LateUsual) {
        if let Some(run) = &self.run
            && !self.is_late
        {
            run.make_all(usual);
        }
    }

    /// Counts a good call in the one window of time that there is, if that can be done at once.
    pub(super) fn note_good_by_time(&self, generation: u32, now: Moment) -> Noted {
        let adaptive = || self.adaptive.as_deref().map(Adaptive::timed);
        let timed = self.timed.as_deref().or_else(adaptive);
        timed.map_or(Noted::Not, |timed| timed.note_good(generation, now))
    }

    /// The ring that other settings need, if it is not this one's.
    pub(super) fn ring_for(&self, trip: &Trip) -> Option<Arc<Ring>> {
        let size = trip.calls();
        if self.has_ring_of(size) { None } else { self.later_ring(trip) }
    }

    fn later_ring(&self, trip: &Trip) -> Option<Arc<Ring>> {
        Self::ring_of(trip, self.is_late).map(|ring| Arc::new(ring.later()))
    }

    fn has_ring_of(&self, size: Option<u32>) -> bool {
        self.ring.as_ref().map(|ring| ring.size()) == size.map(u64::from)
    }

    /// One for other settings, with what is counted here where that counts there too; the rest belongs
    /// to the generation of `start`. Transitions are locked out. `ring` is what [`Window::ring_for`] made before.
    pub(super) fn for_trip(
        &self,
        ring: Option<Arc<Ring>>,
        trip: &Trip,
        memory: Option<&Arc<Memory>>,
        start: Start<'_>,
    ) -> Self {
        let size = trip.calls();
        let stays = self.has_ring_of(size);
        let fits = |ring: &Arc<Ring>| size.map(u64::from) == Some(ring.size());
        let ring = if stays { None } else { ring.filter(fits).or_else(|| self.later_ring(trip)) };
        let mut next = Self::around(ring, trip, self.is_late, memory, start.now);
        next.start_windows(start);
        let goes_on = match (&self.run, &mut next.run) {
            (Some(old), Some(new)) => new.follow(old),
            _ => false,
        };
        if !goes_on {
            // A writer that still goes by the old settings counts its one attempt into the new run by those.
            start.words.run.start(start.generation);
        }
        next.make_all(start.words.usual);
        if stays {
            next.ring.clone_from(&self.ring);
        }
        if let (Some(old), Some(new)) = (&self.timed, &mut next.timed)
            && old.bucket_nanos() == new.bucket_nanos()
        {
            *new = Arc::clone(old);
        }
        if let (Some(old), Some(new)) = (&self.adaptive, &mut next.adaptive) {
            new.follow(old);
        }
        next.with_only()
    }

    /// The window of the last calls, if there is one.
    pub(in crate::breaker) fn calls<'a>(&'a self, words: Words<'a>) -> Option<Calls<'a>> {
        self.ring.as_ref().map(|ring| ring.calls(words.counts))
    }

    /// Counts an outcome. If the breaker of that generation may have to open, why: the caller then
    /// asks [`Window::confirm`] with every other transition locked out.
    pub(super) fn record(
        &self,
        words: Words<'_>,
        generation: u32,
        mark: Mark,
        now: Moment,
    ) -> Option<Suspicion> {
        let calls = self.calls(words).and_then(|window| window.record(generation, mark));
        let timed = self.timed.as_ref().and_then(|window| window.record(generation, mark, now));
        let record = |window: &Adaptive| window.record(generation, mark.failed, now);
        let adaptive = self.adaptive.as_deref().is_some_and(record);
        if let Some(suspicion) = self.record_run(words, generation, (mark.run_end(), 0), now) {
            return Some(suspicion);
        }
        self.suspect(calls, timed).or(adaptive.then_some(Suspicion::Adaptive))
    }

    /// Counts in a row what goes into no other window too: an attempt that its caller abandoned, or whose answer says
    /// nothing; with how many attempts may still be answered.
    pub(super) fn record_run(
        &self,
        words: Words<'_>,
        generation: u32,
        ended_in_flight: (RunEnd, u32),
        now: Moment,
    ) -> Option<Suspicion> {
        self.run.as_ref()?.record(words, generation, ended_in_flight, now)
    }

    /// The rest of counting a good one that was noted among bad ones, by the lone window.
    pub(super) fn go_on_among_bad(
        &self,
        words: Words<'_>,
        generation: u32,
        sequence: u64,
        now: Moment,
    ) -> Option<Suspicion> {
        let rest = |window: Calls<'_>| window.record_good_among_bad(generation, sequence);
        let calls = self.calls(words).and_then(rest);
        let timed = self.timed.as_ref().map(|window| window.among_bad());
        let adaptive = self.adaptive.as_deref().is_some_and(|window| window.suspects(now));
        self.suspect(calls, timed).or(adaptive.then_some(Suspicion::Adaptive))
    }

    fn suspect(&self, calls: Option<Tally>, timed: Option<Tally>) -> Option<Suspicion> {
        let mut tallies = [calls, timed].into_iter().flatten();
        let thresholds = self.thresholds.as_deref()?;
        tallies.any(|tally| thresholds.are_reached(tally)).then_some(Suspicion::Rates)
    }

    /// Counts again, slowly and exactly: a count that other writers are changing can be off by those
    /// in flight. A run needs no second count, its one word was right when it was written.
    pub(super) fn confirm(
        &self,
        words: Words<'_>,
        suspicion: Suspicion,
        now: Moment,
    ) -> Option<Cause> {
        match suspicion {
            Suspicion::Run { failures, needed } => Some(Cause::Failures { failures, needed }),
            Suspicion::Unanswered { attempts, needed } => {
                Some(Cause::Unanswered { attempts, needed })
            }
            Suspicion::Rates | Suspicion::Adaptive => {
                let mut tallies = self.tallies(words).into_iter().flatten();
                let thresholds = self.thresholds.as_deref();
                let by_rate = tallies.find_map(|tally| thresholds?.cause(tally));
                by_rate.or_else(|| self.adaptive.as_ref()?.cause(now))
            }
        }
    }

    /// Transitions on what nobody's calls do.
    pub(super) fn tend(&self, now: Moment) -> Option<Moment> {
        self.adaptive.as_ref().map(|window| window.tend(now))
    }

    /// Forgets everything and belongs to the generation of `start` from now on. Transitions are locked out.
    pub(super) fn start(&self, start: Start<'_>) {
        start.words.run.start(start.generation);
        self.start_windows(start);
    }

    /// The same, but for the runs.
    fn start_windows(&self, Start { words, generation, now }: Start<'_>) {
        if let Some(window) = self.calls(words) {
            window.start(generation);
        }
        if let Some(window) = &self.timed {
            window.start(generation, now);
        }
        if let Some(window) = &self.adaptive {
            window.start(generation, now);
        }
    }

    fn tallies(&self, words: Words<'_>) -> [Option<Tally>; 2] {
        [
            self.calls(words).map(|window| window.recount()),
            self.timed.as_ref().map(|window| window.recount()),
        ]
    }

    /// What is in the first window at `now`; the run of failures, if there is none.
    pub(super) fn tally(&self, words: Words<'_>, now: Moment) -> Tally {
        let calls = self.calls(words).map(|window| window.recount());
        let timed = self.timed.as_ref().map(|window| window.tally(now));
        let adaptive = self.adaptive.as_ref().map(|window| window.tally(now));
        let run = self.run(words, now);
        calls.or(timed).or(adaptive).unwrap_or(Tally { calls: run, failures: run, slow: 0 })
    }

    /// How many failures in a row open the breaker at `now`, if they count.
    pub(super) fn required_run(&self, words: Words<'_>, now: Moment) -> Option<u32> {
        self.run.as_ref()?.required(words, now)
    }

    /// Failures in a row at `now`, if they count.
    pub(super) fn run(&self, words: Words<'_>, now: Moment) -> u64 {
        u64::from(self.runs(words, now).failures)
    }

    /// Attempts without an answer in a row at `now`.
    pub(super) fn unanswered(&self, words: Words<'_>, now: Moment) -> u32 {
        self.runs(words, now).unanswered
    }

    fn runs(&self, words: Words<'_>, now: Moment) -> Runs {
        self.run.as_ref().map_or_else(Runs::default, |run| run.runs(words.run, now))
    }

    #[cfg(all(test, not(seawall_loom)))]
    pub(in crate::breaker) fn ring(&self) -> Option<Arc<Ring>> {
        self.ring.clone()
    }
}
