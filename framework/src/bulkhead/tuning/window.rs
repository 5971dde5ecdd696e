//! What came of the attempts of a while, gathered by the threads that make them.

use std::time::Duration;

use super::sample::Sample;
use crate::clock::Moment;
use crate::striped::{Counter, Owner, Striped};
use crate::sync::{AtomicU64, Ordering};

/// The shortest window, in nanoseconds.
const SHORTEST: u64 = 100_000_000;
/// The longest.
const LONGEST: u64 = 1_000_000_000;
/// With so many ends a window may be over before it is the longest.
const ENOUGH: u64 = 30;

/// One window after another. An end that falls between two may count in either.
///
/// Good answers are counted in stripes, because every call of a healthy dependency has one; what else there is, is rare.
#[derive(Debug, Default)]
pub(super) struct Window {
    began: AtomicU64,
    good: Striped<Good>,
    /// What of these was in the windows that are over.
    over: Good,
    dropped: AtomicU64,
    inflight: AtomicU64,
}

/// Good answers, and what they took in nanoseconds, of all windows so far.
#[derive(Debug, Default)]
struct Good {
    answers: Counter,
    took: Counter,
}

impl Window {
    pub(super) fn new(now: Moment) -> Self {
        Self { began: AtomicU64::new(now.as_nanos()), ..Self::default() }
    }

    #[inline]
    pub(super) fn good(&self, took_nanos: u64) {
        let (good, owner) = self.good.mine();
        good.answers.add(1, owner);
        good.took.add(took_nanos.max(1), owner);
    }

    pub(super) fn dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn inflight(&self, inflight: u32) {
        let inflight = u64::from(inflight);
        // Looked at first: a write takes the line from every other thread.
        if inflight > self.inflight.load(Ordering::Relaxed) {
            self.inflight.fetch_max(inflight, Ordering::Relaxed);
        }
    }

    /// How long the window is, if it is over at `now`, and another begins with that. Of several threads one is told.
    #[inline]
    pub(super) fn end(&self, now: Moment) -> Option<Duration> {
        let began = self.began.load(Ordering::Relaxed);
        let length = now.nanos_since(Moment::from_nanos(began));
        if length < SHORTEST { None } else { self.end_if_enough(length, began) }
    }

    #[cold]
    fn end_if_enough(&self, length: u64, began: u64) -> Option<Duration> {
        let ends = || {
            let good = self.total().0.saturating_sub(self.over.answers.get());
            good + self.dropped.load(Ordering::Relaxed)
        };
        if length < LONGEST && ends() < ENOUGH {
            return None;
        }
        let relaxed = Ordering::Relaxed;
        self.began.compare_exchange(began, began + length, relaxed, relaxed).ok()?;
        Some(Duration::from_nanos(length))
    }

    /// What is in a window of this length that has ended. One at a time.
    pub(super) fn take(&self, length: Duration, timeout: Duration) -> Sample {
        let ((answers, took), relaxed) = (self.total(), Ordering::Relaxed);
        let good = answers.saturating_sub(self.over.answers.get());
        let took = took.saturating_sub(self.over.took.get());
        self.over.answers.add(good, Owner::ThisThread);
        self.over.took.add(took, Owner::ThisThread);
        Sample {
            length,
            good,
            mean: Duration::from_nanos(took.checked_div(good).unwrap_or_default()),
            dropped: self.dropped.swap(0, relaxed),
            inflight: u32::try_from(self.inflight.swap(0, relaxed)).unwrap_or(u32::MAX),
            timeout,
        }
    }

    /// Good answers, and what they took, of all windows so far.
    fn total(&self) -> (u64, u64) {
        let each = self.good.iter().map(|good| (good.answers.get(), good.took.get()));
        each.fold((0, 0), |sum, good| (sum.0 + good.0, sum.1.wrapping_add(good.1)))
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_few_answers_is_over_at_its_longest() {
        let window = Window::new(Moment::ZERO);
        window.good(1_000_000);
        let just_before = Moment::from_nanos(LONGEST - 1);
        assert!(window.end(just_before).is_none());
        assert_eq!(window.end(Moment::from_nanos(LONGEST)), Some(Duration::from_secs(1)));
    }
}

#[cfg(all(test, seawall_loom))]
mod loom {
    use std::sync::Arc;

    use ::loom::thread;

    use super::*;
    use crate::sync::{Mutex, model};

    /// Two attempts end as a window does, and each looks whether it is over: no end is lost, and none counts twice.
    #[test]
    fn loom_every_end_counts_in_one_window() {
        model("every end counts in one window", || {
            let window = Arc::new(Window::new(Moment::ZERO));
            // The checker does not know that what a `OnceBox` shows has been made before: it is made before there are threads.
            window.good.mine();
            let (over, second) = (Moment::from_nanos(LONGEST), Duration::from_secs(1));
            let taken = Arc::new(Mutex::new(()));
            let end = move |window: &Window, taken: &Mutex<()>| {
                window.good(1_000_000);
                let length = window.end(over)?;
                let _one_at_a_time = taken.lock();
                Some(window.take(length, second).good)
            };
            let other = {
                let (window, taken) = (Arc::clone(&window), Arc::clone(&taken));
                thread::spawn(move || end(&window, &taken))
            };
            let ends = [end(&window, &taken), other.join().unwrap()];
            assert_eq!(ends.iter().flatten().count(), 1, "it ends once: {ends:?}");
            // What is not in this window is in the next.
            let rest = window.take(second, second).good;
            assert_eq!(ends.into_iter().flatten().sum::<u64>() + rest, 2);
        });
    }
}
