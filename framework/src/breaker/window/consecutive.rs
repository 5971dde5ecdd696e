//! Failures in a row, and attempts without an answer in a row: one word.
//!
//! | bits | 40..64 | 28..40 | 0..28 |
//! | --- | --- | --- | --- |
//! | what | generation | attempts without an answer | failures |
//!
//! A run can be bounded by time: then only failures within that length of time before the last one count. The moments of
//! the latest failures are kept under a lock that only failures take.

use std::collections::VecDeque;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use super::tally::{RunEnd, Suspicion};
use super::usual_failures::LateUsual;
use super::words::{GENERATION_SHIFT, RunWord, Words, tag};
use crate::breaker::config::Trip;
use crate::clock::Moment;
use crate::sync::{Mutex, Ordering};

const COUNTS_MASK: u64 = (1 << GENERATION_SHIFT) - 1;
const UNANSWERED_SHIFT: u32 = 28;
/// Holds `MAX_UNANSWERED`.
const UNANSWERED_MASK: u64 = 0xFFF;
const FAILURES_MASK: u64 = (1 << UNANSWERED_SHIFT) - 1;

/// How long both runs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Runs {
    pub(super) failures: u32,
    pub(super) unanswered: u32,
}

impl Runs {
    fn of(word: u64) -> Self {
        // Both are masked to fewer than 32 bits.
        Self {
            failures: (word & FAILURES_MASK) as u32,
            unanswered: (word >> UNANSWERED_SHIFT & UNANSWERED_MASK) as u32,
        }
    }

    fn bits(self) -> u64 {
        u64::from(self.unanswered) << UNANSWERED_SHIFT | u64::from(self.failures)
    }

    /// After an attempt that ended like this.
    fn after(self, ended: RunEnd) -> Self {
        let failures = (self.failures + 1).min(FAILURES_MASK as u32);
        let unanswered = (self.unanswered + 1).min(UNANSWERED_MASK as u32);
        match ended {
            RunEnd::Good => Self::default(),
            RunEnd::Failed => Self { failures, unanswered: 0 },
            RunEnd::TimedOut => Self { failures, unanswered },
            RunEnd::Neutral => Self { unanswered: 0, ..self },
            RunEnd::Abandoned => Self { unanswered, ..self },
        }
    }
}

/// What is counted in a row, and how many are too much. What has been counted lies in the breaker.
#[derive(Debug)]
pub(super) struct Consecutive {
    failures: Option<NonZeroU32>,
    /// Few enough for their bits in the word.
    unanswered: Option<NonZeroU16>,
    /// The length of run that opens the breaker grows with what is usual.
    grows: bool,
    /// Shared with the settings that take the place of these, if they leave it as it is.
    recent: Option<Arc<Recent>>,
}

/// The failures of a run that lie within a length of time, at most as many as open the breaker.
#[derive(Debug)]
struct Recent {
    within: Duration,
    longest: usize,
    failures: Mutex<VecDeque<Moment>>,
}

impl Recent {
    /// How many failures of the run there are within the time, with one more at `now`. `begins`: it is the first of a
    /// run.
    fn add(&self, begins: bool, now: Moment) -> u64 {
        let mut failures = self.failures.lock();
        if begins {
            failures.clear();
        }
        while failures.front().is_some_and(|&oldest| self.is_over(oldest, now))
            || failures.len() >= self.longest
        {
            failures.pop_front();
        }
        failures.push_back(now);
        failures.len() as u64
    }

    fn count(&self, now: Moment) -> u64 {
        let failures = self.failures.lock();
        failures.iter().filter(|&&failure| !self.is_over(failure, now)).count() as u64
    }

    fn is_over(&self, failure: Moment, now: Moment) -> bool {
        now.since(failure) >= self.within
    }
}

impl Consecutive {
    /// `None`: nothing that comes in a row opens the breaker.
    pub(super) fn new(trip: &Trip) -> Option<Self> {
        let failures = trip.failures.and_then(|most| NonZeroU32::new(most.max(1)));
        let unanswered = trip
            .unanswered
            .and_then(|most| NonZeroU16::new(u16::try_from(most).unwrap_or(u16::MAX).max(1)));
        if failures.is_none() && unanswered.is_none() {
            return None;
        }
        let recent = failures.zip(trip.failures_within).map(|(failures, within)| {
            let longest = failures.get() as usize;
            let failures = Mutex::new(VecDeque::with_capacity(longest));
            Arc::new(Recent { within, longest, failures })
        });
        Some(Self { failures, unanswered, grows: trip.failures_grow, recent })
    }

    /// Goes on with a run that was counted by `old` settings. False: those counted otherwise.
    pub(super) fn follow(&mut self, old: &Self) -> bool {
        let settings = |it: &Self| {
            let recent = it.recent.as_ref().map(|recent| (recent.within, recent.longest));
            (it.failures.is_some(), recent, it.grows)
        };
        let counts_alike = settings(self) == settings(old);
        if counts_alike {
            self.recent.clone_from(&old.recent);
        }
        counts_alike
    }

    /// Whether an attempt that ended like this makes the runs too long; with how many attempts may still be answered.
    #[inline]
    pub(super) fn record(
        &self,
        words: Words<'_>,
        generation: u32,
        (ended, in_flight): (RunEnd, u32),
        now: Moment,
    ) -> Option<Suspicion> {
        let runs = self.count(words, generation, ended, now);
        if let Some(least) = self.failures
            && ended.is_failure()
            && runs.failures >= least.get()
            && let needed = self.needed(words, least, now)
            && runs.failures >= needed
        {
            return Some(Suspicion::Run { failures: runs.failures, needed });
        }
        let needed = u32::from(self.unanswered?.get()).max(in_flight / 4);
        let attempts = runs.unanswered;
        (attempts >= needed).then_some(Suspicion::Unanswered { attempts, needed })
    }

    /// The runs that an attempt which ended like this leaves; none for one of another generation.
    #[inline]
    fn count(&self, words: Words<'_>, generation: u32, ended: RunEnd, now: Moment) -> Runs {
        let tag = tag(generation);
        let word = words.run.0.load(Ordering::Acquire);
        // On the healthy path this returns without a write: the line stays shared.
        if word & !COUNTS_MASK != tag || (ended == RunEnd::Good && word == tag) {
            return Runs::default();
        }
        self.count_change(words, word, ended, now)
    }

    #[inline(never)]
    fn count_change(&self, words: Words<'_>, mut word: u64, ended: RunEnd, now: Moment) -> Runs {
        let tag = word & !COUNTS_MASK;
        let (before, mut runs) = loop {
            let before = Runs::of(word);
            let mut runs = before.after(ended);
            if self.failures.is_none() {
                runs.failures = 0;
            } else if self.recent.is_some() {
                // Here the word only says whether there is a run. It is marked before the failure is added below: a
                // success in between ends the run, and the next failure begins another.
                runs.failures = runs.failures.min(1);
            }
            if runs == before {
                break (before, runs);
            }
            let next = tag | runs.bits();
            match words.run.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => break (before, runs),
                Err(seen) if seen & !COUNTS_MASK != tag => return Runs::default(),
                Err(seen) => word = seen,
            }
        };
        if self.failures.is_some() && ended.is_failure() {
            let begins = before.failures == 0;
            if let Some(recent) = &self.recent {
                runs.failures = u32::try_from(recent.add(begins, now)).unwrap_or(u32::MAX);
            } else if self.grows {
                words.usual.get().note(begins, now);
            }
        }
        runs
    }

    /// Makes what the first failure would.
    pub(super) fn make_all(&self, usual: &LateUsual) {
        if self.grows {
            usual.get();
        }
    }

    /// How many failures in a row open the breaker at `now`, if they count.
    pub(super) fn required(&self, words: Words<'_>, now: Moment) -> Option<u32> {
        self.failures.map(|least| self.needed(words, least, now))
    }

    fn needed(&self, words: Words<'_>, least: NonZeroU32, now: Moment) -> u32 {
        if self.grows { words.usual.required(least.get(), now) } else { least.get() }
    }

    /// The length of both runs at `now`.
    pub(super) fn runs(&self, run: &RunWord, now: Moment) -> Runs {
        let runs = Runs::of(run.0.load(Ordering::Acquire));
        match (runs.failures, &self.recent) {
            (0, _) | (_, None) => runs,
            (_, Some(recent)) => {
                let failures = u32::try_from(recent.count(now)).unwrap_or(u32::MAX);
                Runs { failures, ..runs }
            }
        }
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_run_bounded_by_time_keeps_no_more_failures_than_open_the_breaker() {
        let recent = Recent {
            within: Duration::from_secs(60),
            longest: 3,
            failures: Mutex::new(VecDeque::new()),
        };
        let counts: Vec<u64> =
            (0..5).map(|at| recent.add(at == 0, Moment::from_nanos(at))).collect();
        assert_eq!(counts, [1, 2, 3, 3, 3]);
    }
}
