//! Permits that are kept back for a while after their attempts have ended.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use once_cell::race::OnceBox;

use crate::clock::{Moment, nanos};
use crate::sync::{AtomicU64, Mutex, Ordering};

/// Permits of attempts that ended without an answer: the server may still be busy with them.
#[derive(Debug)]
pub(super) struct Lingering {
    /// The longest that one is kept, in nanoseconds; 0: none is.
    grace: AtomicU64,
    /// How many are kept. Changed with the lock held, and read without it.
    kept: AtomicU64,
    /// When they are not to be kept any longer, and how many. Made by the first.
    ends: OnceBox<Mutex<Ends>>,
}

type Ends = BinaryHeap<Reverse<(Moment, u32)>>;

impl Lingering {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace: AtomicU64::new(nanos(grace)), kept: AtomicU64::new(0), ends: OnceBox::new() }
    }

    pub(super) fn set(&self, grace: Duration) {
        self.grace.store(nanos(grace), Ordering::Relaxed);
    }

    /// Whether permits are kept.
    pub(super) fn is_on(&self) -> bool {
        self.grace.load(Ordering::Relaxed) > 0 || self.kept() > 0
    }

    /// How many permits are kept.
    pub(super) fn kept(&self) -> u32 {
        // As many as there are permits, at most.
        self.kept.load(Ordering::Acquire) as u32
    }

    /// Keeps so many permits for as long as nearly all good answers take, and not longer than the grace. False: not at all. Without a
    /// grace nothing is asked.
    pub(super) fn keep(
        &self,
        weight: u32,
        now_and_answers_take: impl FnOnce() -> (Moment, Duration),
    ) -> bool {
        let grace = self.grace.load(Ordering::Relaxed);
        if grace == 0 {
            return false;
        }
        let (now, answers_take) = now_and_answers_take();
        let grace = grace.min(nanos(answers_take));
        let mut ends = self.ends().lock();
        ends.push(Reverse((now.plus_nanos(grace), weight)));
        self.kept.fetch_add(weight.into(), Ordering::Release);
        true
    }

    fn ends(&self) -> &Mutex<Ends> {
        self.ends.get_or_init(Box::default)
    }

    /// How many need not be kept any longer. The caller gives their permits back.
    #[inline]
    pub(super) fn take_due(&self, now: Moment) -> u32 {
        if self.kept() == 0 { 0 } else { self.take_due_of_some(now) }
    }

    #[cold]
    fn take_due_of_some(&self, now: Moment) -> u32 {
        let mut due = 0;
        let mut ends = self.ends().lock();
        while let Some(Reverse((end, weight))) = ends.peek().copied()
            && end <= now
        {
            ends.pop();
            due += weight;
        }
        self.kept.fetch_sub(due.into(), Ordering::Release);
        due
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Moment> {
        if self.kept() == 0 { None } else { self.ends().lock().peek().map(|end| end.0.0) }
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_permit_is_kept_for_the_grace_or_what_answers_take_whichever_is_less() {
        let lingering = Lingering::new(Duration::from_millis(100));
        assert!(lingering.keep(1, || (at(0), Duration::from_millis(30))));
        assert!(lingering.keep(2, || (at(0), Duration::MAX)));
        assert!(lingering.keep(1, || (at(5), Duration::from_secs(9))));
        assert_eq!((lingering.kept(), lingering.next()), (4, Some(at(30))));
        assert_eq!([29, 30, 31, 104, 105].map(|ms| lingering.take_due(at(ms))), [0, 1, 0, 2, 1]);
        assert_eq!((lingering.kept(), lingering.next()), (0, None));
    }

    #[test]
    fn without_a_grace_none_is_kept() {
        let lingering = Lingering::new(Duration::ZERO);
        assert!(!lingering.keep(1, || (at(0), Duration::MAX)));
        lingering.set(Duration::from_millis(1));
        assert!(lingering.keep(1, || (at(0), Duration::MAX)));
        lingering.set(Duration::ZERO);
        assert_eq!(lingering.take_due(at(1)), 1, "those that are kept come back all the same");
    }
}
