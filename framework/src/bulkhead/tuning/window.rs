//! What came of the attempts of a while, gathered by the threads that make them.

use std::time::Duration;

use super::sample::Sample;
use crate::clock::{Moment, nanos};
use crate::sync::{AtomicU64, Ordering};

/// The shortest window.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST: Duration = Duration::from_secs(1);
/// With so many ends a window may be over before it is the longest.
const ENOUGH: u64 = 30;

/// One window after another. An end that falls between two may count in either.
#[derive(Debug, Default)]
pub(super) struct Window {
    began: AtomicU64,
    good: AtomicU64,
    sum_nanos: AtomicU64,
    dropped: AtomicU64,
    inflight: AtomicU64,
}

impl Window {
    pub(super) fn new(now: Moment) -> Self {
        Self { began: AtomicU64::new(now.as_nanos()), ..Self::default() }
    }

    pub(super) fn good(&self, took: Duration) {
        let took = nanos(took).max(1);
        self.good.fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(took, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn inflight(&self, inflight: u32) {
        self.inflight.fetch_max(inflight.into(), Ordering::Relaxed);
    }

    /// The window, if it is over. Of several threads one gets it.
    pub(super) fn end(&self, now: Moment, timeout: Duration) -> Option<Sample> {
        let began = self.began.load(Ordering::Relaxed);
        let length = now.since(Moment::from_nanos(began));
        let ends = self.good.load(Ordering::Relaxed) + self.dropped.load(Ordering::Relaxed);
        if length < SHORTEST || (length < LONGEST && ends < ENOUGH) {
            return None;
        }
        let (relaxed, next) = (Ordering::Relaxed, now.as_nanos());
        self.began.compare_exchange(began, next, relaxed, relaxed).ok()?;
        let good = self.good.swap(0, relaxed);
        let sum = self.sum_nanos.swap(0, relaxed);
        Some(Sample {
            length,
            good,
            mean: Duration::from_nanos(sum.checked_div(good).unwrap_or_default()),
            dropped: self.dropped.swap(0, relaxed),
            inflight: u32::try_from(self.inflight.swap(0, relaxed)).unwrap_or(u32::MAX),
            timeout,
        })
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_few_answers_is_over_at_its_longest() {
        let window = Window::new(Moment::ZERO);
        window.good(Duration::from_millis(1));
        let just_before = Moment::from_nanos(LONGEST.as_nanos() as u64 - 1);
        assert!(window.end(just_before, LONGEST).is_none());
        assert!(window.end(Moment::ZERO + LONGEST, LONGEST).is_some());
    }
}

#[cfg(all(test, seawall_loom))]
mod loom {
    use std::sync::Arc;

    use ::loom::thread;

    use super::*;
    use crate::sync::model;

    /// Two attempts end as a window does, and each looks whether it is over: no end is lost, and none counts twice.
    #[test]
    fn loom_every_end_counts_in_one_window() {
        model("every end counts in one window", || {
            let window = Arc::new(Window::new(Moment::ZERO));
            let over = Moment::ZERO + LONGEST;
            let end = move |window: &Window| {
                window.good(Duration::from_millis(1));
                window.end(over, LONGEST).map_or(0, |sample| sample.good)
            };
            let other = {
                let window = Arc::clone(&window);
                thread::spawn(move || end(&window))
            };
            let counted = end(&window) + other.join().unwrap();
            assert_eq!(counted + window.good.load(Ordering::Relaxed), 2);
        });
    }
}
