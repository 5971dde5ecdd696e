//! Failures in a row: one word, generation (24 bits) and count (40).
//!
//! A run can be bounded by time: then only failures within that length of time before the last one count. The moments of
//! the latest failures are kept under a lock that only failures take.

use std::collections::VecDeque;
use std::time::Duration;

use super::usual_failures::UsualFailures;
use crate::breaker::config::Trip;
use crate::clock::Moment;
use crate::sync::{AtomicU64, Mutex, Ordering};

const COUNT_MASK: u64 = (1 << 40) - 1;

#[derive(Debug)]
pub(in crate::breaker) struct Consecutive {
    word: AtomicU64,
    recent: Option<Box<Recent>>,
    /// The length of run that opens the breaker grows with what is usual.
    usual: Option<UsualFailures>,
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
    /// For a breaker that opens at `failures` in a row, by the rest of `trip`.
    pub(super) fn new(failures: u32, trip: &Trip) -> Self {
        let recent = trip.failures_within.map(|within| {
            let longest = failures.max(1) as usize;
            let failures = Mutex::new(VecDeque::with_capacity(longest));
            Box::new(Recent { within, longest, failures })
        });
        let usual = trip.failures_grow.then(UsualFailures::default);
        Self { word: AtomicU64::new(0), recent, usual }
    }

    /// Whether a run counted by this goes on in the other.
    pub(super) fn counts_as(&self, other: &Self) -> bool {
        let settings = |it: &Self| {
            let recent = it.recent.as_ref().map(|recent| (recent.within, recent.longest));
            (recent, it.usual.is_some())
        };
        settings(self) == settings(other)
    }

    /// The length of the run that this outcome leaves, zero for another generation's.
    #[inline]
    pub(super) fn record(&self, generation: u32, failed: bool, now: Moment) -> u32 {
        let tag = u64::from(generation) << 40;
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            // On the healthy path this returns without a write: the line stays shared.
            if word & !COUNT_MASK != tag || (!failed && word == tag) {
                return 0;
            }
            let count = match (failed, &self.recent) {
                (false, _) => 0,
                (true, None) => (word & COUNT_MASK).saturating_add(1).min(COUNT_MASK),
                (true, Some(recent)) => return self.record_recent(recent, tag, now),
            };
            match self.word.compare_exchange_weak(
                word,
                tag | count,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => {
                    if let (true, Some(usual)) = (failed, &self.usual) {
                        usual.note(count == 1, now);
                    }
                    return u32::try_from(count).unwrap_or(u32::MAX);
                }
                Err(seen) => word = seen,
            }
        }
    }

    /// How long a run opens the breaker at `now`, if `failures` is the least.
    pub(super) fn required(&self, failures: u32, now: Moment) -> u32 {
        self.usual.as_ref().map_or(failures, |usual| usual.required(failures, now))
    }

    /// Counts a failure of a run that is bounded by time.
    #[cold]
    fn record_recent(&self, recent: &Recent, tag: u64, now: Moment) -> u32 {
        // The word only says whether there is a run. Marked before the failure is added: a success in between ends the
        // run, and the next failure begins another.
        let mut word = self.word.load(Ordering::Acquire);
        let begins = loop {
            if word & !COUNT_MASK != tag {
                return 0;
            }
            if word != tag {
                break false;
            }
            match self.word.compare_exchange_weak(
                word,
                tag | 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break true,
                Err(seen) => word = seen,
            }
        };
        u32::try_from(recent.add(begins, now)).unwrap_or(u32::MAX)
    }

    /// Whether there is no run, in this generation.
    #[inline]
    pub(in crate::breaker) fn is_none(&self, generation: u32) -> bool {
        self.word.load(Ordering::Acquire) == u64::from(generation) << 40
    }

    pub(super) fn start(&self, generation: u32) {
        // A swap, not a store, though the old value is not needed: it stands after every count that was added before it,
        // which the model checker does not know of a store.
        self.word.swap(u64::from(generation) << 40, Ordering::AcqRel);
    }

    /// The length of the run at `now`.
    pub(super) fn count(&self, now: Moment) -> u64 {
        match (self.word.load(Ordering::Acquire) & COUNT_MASK, &self.recent) {
            (0, _) => 0,
            (_, Some(recent)) => recent.count(now),
            (count, None) => count,
        }
    }
}
