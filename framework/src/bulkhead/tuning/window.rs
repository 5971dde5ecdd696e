//! What came of the attempts of a while, gathered by the threads that make them.

use std::time::Duration;

use super::sample::Sample;
use crate::clock::Moment;
use crate::striped::{Counter, Striped};
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
    dropped: AtomicU64,
    inflight: AtomicU64,
}

/// Good answers, and what they took in nanoseconds, of all windows so far.
#[derive(Debug, Default)]
struct Good {
    answers: Counter,
    took: Counter,
}

/// Good answers, and what they took, of the windows that are over.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Over {
    answers: u64,
    took: u64,
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
    pub(super) fn end(&self, now: Moment, over: impl FnOnce() -> Over) -> Option<Duration> {
        let began = self.began.load(Ordering::Relaxed);
        let length = now.nanos_since(Moment::from_nanos(began));
        if length < SHORTEST { None } else { self.end_if_enough(length, began, over) }
    }

    #[cold]
    fn end_if_enough(
        &self,
        length: u64,
        began: u64,
        over: impl FnOnce() -> Over,
    ) -> Option<Duration> {
        let ends = || {
            let good = self.total().answers.saturating_sub(over().answers);
            good + self.dropped.load(Ordering::Relaxed)
        };
        if length < LONGEST && ends() < ENOUGH {
            return None;
        }
        let relaxed = Ordering::Relaxed;
        self.began.compare_exchange(began, began + length, relaxed, relaxed).ok()?;
        Some(Duration::from_nanos(length))
    }

    /// What is in a window of this length that has ended. `over`: what was in those before it, and then in this one too.
    pub(super) fn take(&self, length: Duration, timeout: Duration, over: &mut Over) -> Sample {
        let (total, relaxed) = (self.total(), Ordering::Relaxed);
        let before = std::mem::replace(over, total);
        let good = total.answers.saturating_sub(before.answers);
        let took = total.took.saturating_sub(before.took);
        Sample {
            length,
            good,
            mean: Duration::from_nanos(took.checked_div(good).unwrap_or_default()),
            dropped: self.dropped.swap(0, relaxed),
            inflight: u32::try_from(self.inflight.swap(0, relaxed)).unwrap_or(u32::MAX),
            timeout,
        }
    }

    fn total(&self) -> Over {
        self.good.iter().fold(Over::default(), |sum, good| Over {
            answers: sum.answers + good.answers.get(),
            took: sum.took.wrapping_add(good.took.get()),
        })
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
        assert!(window.end(just_before, Over::default).is_none());
        assert_eq!(
            window.end(Moment::from_nanos(LONGEST), Over::default),
            Some(Duration::from_secs(1))
        );
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
            let counted = Arc::new(Mutex::new(Over::default()));
            let end = move |window: &Window, counted: &Mutex<Over>| {
                window.good(1_000_000);
                let length = window.end(over, || *counted.lock())?;
                Some(window.take(length, second, &mut counted.lock()).good)
            };
            let other = {
                let (window, counted) = (Arc::clone(&window), Arc::clone(&counted));
                thread::spawn(move || end(&window, &counted))
            };
            let ends = [end(&window, &counted), other.join().unwrap()];
            assert_eq!(ends.iter().flatten().count(), 1, "it ends once: {ends:?}");
            // What is not in this window is in the next.
            let rest = window.take(second, second, &mut counted.lock()).good;
            assert_eq!(ends.into_iter().flatten().sum::<u64>() + rest, 2);
        });
    }
}
