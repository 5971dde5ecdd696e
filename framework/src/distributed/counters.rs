//! What is counted of a set of limits.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::Moment;
use crate::limit::Meter;
use crate::time::Time;

/// All clones of a set count here, whatever a reload makes of its limits.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) meter: Meter,
    failures: AtomicU64,
    /// Since when the store does not decide, in nanoseconds; 0: it does.
    failing_since: AtomicU64,
    degraded: AtomicU64,
    remembered: AtomicU64,
}

impl Counters {
    /// The store has not decided a request in time.
    pub(super) fn failed(&self, now: Moment) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let now = now.as_nanos().max(1);
        let _ = self.failing_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// It has decided one.
    pub(super) fn decided(&self, time: &Time) {
        if self.failing_since.load(Ordering::Relaxed) != 0 {
            let since = Moment::from_nanos(self.failing_since.swap(0, Ordering::Relaxed));
            if since != Moment::ZERO {
                self.degraded.fetch_add(time.now().nanos_since(since), Ordering::Relaxed);
            }
        }
    }

    /// A refusal was given because an earlier one still held.
    pub(super) fn remember(&self) {
        self.remembered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remembered(&self) -> u64 {
        self.remembered.load(Ordering::Relaxed)
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// For how long the store has not decided, the time that is not over yet included.
    pub(super) fn degraded_nanos(&self, now: Moment) -> u64 {
        let since = self.failing_since.load(Ordering::Relaxed);
        let running = if since == 0 { 0 } else { now.as_nanos().saturating_sub(since) };
        self.degraded.load(Ordering::Relaxed).saturating_add(running)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn degraded_time_goes_from_a_failure_to_the_next_decision() {
        let counters = Counters::default();
        let at = Moment::from_nanos;
        let manual = Time::manual();
        let decided = |nanos| {
            manual.advance(Duration::from_nanos(nanos - manual.now().as_nanos()));
            counters.decided(&Time::from(&manual));
        };
        decided(5);
        counters.failed(at(10));
        counters.failed(at(20));
        assert_eq!((counters.failures(), counters.degraded_nanos(at(25))), (2, 15));
        decided(40);
        decided(50);
        assert_eq!(counters.degraded_nanos(at(60)), 30);
    }
}
