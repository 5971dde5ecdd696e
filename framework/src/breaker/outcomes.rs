//! What an outcome changes. A success in good time through a closed breaker is in `state`.
//!
//! Nearly every call is a good one through a closed breaker, and pays for every word that is written before its one locked
//! instruction: that waits until all of them are. So what is rare is apart, where it can be reached without a frame.

use crate::clock::Moment;
use crate::event::{Cause, Transition};
use crate::outcome::{AttemptEnd, Class, Outcome};
use crate::sync::Ordering;

use super::admission::{Admission, Kind, Leave};
use super::config::Config;
use super::half_open::{self, Verdict};
use super::state::{CircuitBreaker, Settings};
use super::window::{Mark, Noted, OnlyWindow, RunEnd};
use super::word::{Probes, Tag, Word};

impl CircuitBreaker {
    /// Counts how an admitted attempt ended, and returns the transition that this made, if any. An
    /// [`Outcome`](crate::outcome::Outcome) alone will do, for an attempt that ended in good time.
    ///
    /// [`Outcome::Cancelled`](crate::outcome::Outcome::Cancelled) is an attempt that its caller abandoned: by itself it says
    /// nothing, many in a row do (`unanswered`). An attempt that was not made at all is [withdrawn](Self::withdraw).
    #[inline]
    pub fn record(
        &self,
        admission: Admission,
        attempt_end: impl Into<AttemptEnd>,
        now: Moment,
    ) -> Option<Transition> {
        self.note(admission.into_leave(), attempt_end, now)
    }

    /// The same by the admission's word.
    #[inline]
    pub(crate) fn note(
        &self,
        admission: Leave,
        attempt_end: impl Into<AttemptEnd>,
        now: Moment,
    ) -> Option<Transition> {
        self.note_among(admission, attempt_end.into(), 0, now)
    }

    /// The same while so many attempts were in flight, this one included: that many may still be answered.
    #[inline]
    pub(crate) fn note_among(
        &self,
        admission: Leave,
        attempt_end: AttemptEnd,
        in_flight: u32,
        now: Moment,
    ) -> Option<Transition> {
        let generation = admission.generation();
        if attempt_end.is_plain_success()
            && admission.is_counted()
            && self.load() == Word::closed(generation)
            && let Some(settings) = self.settings.first()
        {
            if settings.window.only != OnlyWindow::Calls || !self.run.is_none(generation) {
                return self.record_elsewhere(settings, admission, now);
            }
            return match self.counts().note_good(generation) {
                Noted::Quietly => None,
                noted => self.go_on(noted, admission, now),
            };
        }
        self.record_any(admission, attempt_end, in_flight, now)
    }

    /// Into another window than that of the last calls.
    #[inline(never)]
    fn record_elsewhere(
        &self,
        settings: &Settings,
        admission: Leave,
        now: Moment,
    ) -> Option<Transition> {
        match self.note_good(settings, admission.generation(), now) {
            Noted::Quietly => None,
            noted => self.go_on(noted, admission, now),
        }
    }

    /// The rest of it.
    #[inline(never)]
    pub(super) fn go_on(&self, noted: Noted, admission: Leave, now: Moment) -> Option<Transition> {
        let Noted::AmongBad(sequence) = noted else {
            return self.record_any(admission, Outcome::Success.into(), 0, now);
        };
        // Where it was noted, though they may have been replaced since.
        let window = &self.settings.at_first().window;
        let generation = admission.generation();
        let suspicion = window.go_on_among_bad(self.words(), generation, sequence, now)?;
        self.trip(Word::closed(generation), suspicion, now)
    }

    #[inline(never)]
    fn record_any(
        &self,
        admission: Leave,
        attempt_end: AttemptEnd,
        in_flight: u32,
        now: Moment,
    ) -> Option<Transition> {
        match admission.kind() {
            Kind::Counted => {}
            Kind::Probe(ticket) => return self.record_probe(admission, ticket, &attempt_end, now),
            Kind::Uncounted => return None,
        }
        let word = self.load();
        if word.generation() != admission.generation() {
            self.note_stale();
            return None;
        }
        if !word.tag().counts() {
            return None;
        }
        let failed = match attempt_end.outcome.class() {
            Class::Success => false,
            Class::Failure => true,
            Class::Ignored => {
                return self.record_neutral(word, attempt_end.outcome, in_flight, now);
            }
        };
        if failed {
            self.note_failure(attempt_end.outcome);
        }
        let suspicion = self.settings.with(|settings| {
            self.heed(&settings.config, &attempt_end, now);
            let mark = Mark {
                failed,
                slow: attempt_end.slow && settings.config.minds_slow_calls(),
                timed_out: attempt_end.outcome == Outcome::TimedOut,
            };
            settings.window.record(self.words(), admission.generation(), mark, now)
        })?;
        self.trip(word, suspicion, now)
    }

    /// Counts what says nothing by itself: an answer of no meaning, or an attempt that its caller abandoned.
    #[cold]
    fn record_neutral(
        &self,
        seen: Word,
        outcome: Outcome,
        in_flight: u32,
        now: Moment,
    ) -> Option<Transition> {
        let ended = if outcome == Outcome::Cancelled {
            self.note_failure(outcome);
            RunEnd::Abandoned
        } else {
            RunEnd::Neutral
        };
        let suspicion = self.settings.with(|settings| {
            let ended = (ended, in_flight);
            settings.window.record_run(self.words(), seen.generation(), ended, now)
        })?;
        self.trip(seen, suspicion, now)
    }

    /// Takes an admission back: the attempt was not made after all, because another guard refused it, say. Nothing is
    /// counted.
    pub fn withdraw(&self, admission: Admission) {
        self.take_back(admission.into_leave());
    }

    /// The same by the admission's word.
    pub(crate) fn take_back(&self, admission: Leave) {
        let Kind::Probe(ticket) = admission.kind() else { return };
        let mut moves = self.transitions.lock();
        let word = self.load();
        if word.tag() == Tag::HalfOpen
            && word.generation() == admission.generation()
            && moves.out.take_back(ticket).is_some()
        {
            self.publish_probes(&moves, word.probes());
        }
    }

    /// Remembers for how long the server wants to be left alone.
    #[inline]
    fn heed(&self, config: &Config, attempt_end: &AttemptEnd, now: Moment) {
        if let Some(after) = attempt_end.retry_after
            && config.use_retry_after()
        {
            self.asked_until.fetch_max((now + after).as_nanos(), Ordering::AcqRel);
        }
    }

    /// With the moves locked, so that a probe's life, its place and its answer are looked at as one: either it
    /// answers in time, or its place is taken back and its answer is stale.
    #[cold]
    fn record_probe(
        &self,
        admission: Leave,
        ticket: u32,
        attempt_end: &AttemptEnd,
        now: Moment,
    ) -> Option<Transition> {
        let mut moves = self.transitions.lock();
        let word = self.load();
        let is_of_now = word.tag() == Tag::HalfOpen && word.generation() == admission.generation();
        let since = if is_of_now { moves.out.take_back(ticket) } else { None };
        let config = self.config();
        if since.is_none_or(|since| now.since(since) >= config.probe_life()) {
            self.note_stale();
            if since.is_some() {
                self.publish_probes(&moves, word.probes());
            }
            return None;
        }
        self.heed(&config, attempt_end, now);
        let class = attempt_end.outcome.class();
        // Probes that are all abandoned never decide, so at some point their silence does.
        moves.abandoned_probes = match attempt_end.outcome {
            Outcome::Cancelled => moves.abandoned_probes + 1,
            _ => 0,
        };
        if half_open::are_abandoned(&config, moves.abandoned_probes) {
            let probes = moves.abandoned_probes;
            self.note_failure(attempt_end.outcome);
            return self.open(&mut moves, Cause::ProbesAbandoned { probes }, now);
        }
        if class == Class::Failure {
            self.note_failure(attempt_end.outcome);
        }
        let slow = config.minds_slow_calls() && attempt_end.slow && class != Class::Ignored;
        let before = word.probes();
        let probes = Probes {
            live: moves.out.len(),
            successes: before.successes + u32::from(class == Class::Success),
            failures: before.failures + u32::from(class == Class::Failure),
            slow: before.slow + u32::from(slow),
        };
        match half_open::verdict(&config, probes) {
            Verdict::Open(cause) => self.open(&mut moves, cause, now),
            Verdict::Close(cause) => self.close(&mut moves, cause, now),
            Verdict::Wait => {
                self.publish_probes(&moves, probes);
                None
            }
        }
    }
}
