//! What was learned, shared by everybody: those who count tell it what has left the window, those who
//! fail look at the bar, the actor moves it on when nobody calls, and the history's keeper takes a copy.

use std::time::Duration;

use serde::Serialize;

use crate::clock::{Moment, nanos};
use crate::sync::{AtomicU64, Mutex, Ordering};

use super::baseline::{Baseline, Estimate, Seen};
use super::codec::History;
use super::config::Config;
use super::tail::is_improbable;
use super::week::{UtcOffset, hour_of_week, local_s};

/// What is learned at once: the calls of five minutes.
pub const PERIOD: Duration = Duration::from_secs(300);
const PERIOD_S: u64 = PERIOD.as_secs();
const NANOS_PER_S: u64 = 1_000_000_000;

/// Rates in a [`Bar`] are in units of 2^-28.
const UNIT_BITS: u32 = 28;
const UNITS: f64 = (1 << UNIT_BITS) as f64;
const UNIT_MASK: u64 = (1 << UNIT_BITS) - 1;
/// No hour.
const NEVER: u64 = 0xFF << (2 * UNIT_BITS);

/// What an adaptive breaker goes by at this hour of the week, and why.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Reading {
    /// The hour of the week, 0 to 167; hour 0 begins on Monday at 00:00, local time.
    pub hour: usize,
    /// The share of failures that is normal.
    pub baseline: f64,
    /// How far shares usually are from it: a standard deviation.
    pub spread: f64,
    /// At this share of failures the breaker opens, if it is improbable enough.
    pub threshold: f64,
    /// Calls of this very hour that it goes by; older ones count for less.
    pub learned_calls: f64,
}

/// Hour (8 bits), threshold and what failures are tested against (28 bits each) in one word, so that nobody sees half of one and
/// half of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::breaker) struct Bar(u64);

impl Bar {
    fn new(hour: usize, threshold: f64, tested: f64) -> Self {
        // Both in [0, 1]. What is tested against is never zero: even one failure would be impossible.
        let units = |rate: f64, least: u64| ((rate * UNITS) as u64).clamp(least, UNIT_MASK);
        Self((hour as u64) << (2 * UNIT_BITS) | units(threshold, 1) << UNIT_BITS | units(tested, 1))
    }

    fn hour(self) -> u64 {
        self.0 >> (2 * UNIT_BITS)
    }

    /// The share of failures that opens a breaker at that hour.
    pub(in crate::breaker) fn threshold(self) -> f64 {
        (self.0 >> UNIT_BITS & UNIT_MASK) as f64 / UNITS
    }

    /// Whether this is above the threshold, and no chance.
    pub(in crate::breaker) fn is_exceeded(self, calls: u64, failures: u64, alpha: f64) -> bool {
        let threshold = self.0 >> UNIT_BITS & UNIT_MASK;
        let tested = (self.0 & UNIT_MASK) as f64 / UNITS;
        let is_above =
            u128::from(failures) << UNIT_BITS >= u128::from(threshold) * u128::from(calls);
        is_above && is_improbable(calls, failures, tested, alpha)
    }
}

/// See the module.
#[derive(Debug)]
pub(in crate::breaker) struct Memory {
    learned: Mutex<Learned>,
    /// The bar of some hour: a cache.
    bar: AtomicU64,
    /// Nanoseconds from the epoch to the clock's origin, wrapping: what to add to a moment.
    origin: AtomicU64,
}

#[derive(Debug)]
struct Learned {
    config: Config,
    baseline: Box<Baseline>,
    /// What the present period has seen so far.
    period: Period,
    /// Something was learned since a copy was last taken.
    is_news: bool,
    /// What was kept from earlier runs is in here, or there was nothing.
    is_restored: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Period {
    /// Periods since the epoch, local time.
    number: u64,
    /// A second within it.
    epoch_s: u64,
    calls: u64,
    failures: u64,
}

impl Memory {
    /// Nothing learned; the clock's origin is the epoch.
    pub(in crate::breaker) fn new(config: Config) -> Self {
        Self {
            learned: Mutex::new(Learned {
                config,
                baseline: Box::default(),
                period: Period::default(),
                is_news: false,
                is_restored: false,
            }),
            bar: AtomicU64::new(NEVER),
            origin: AtomicU64::new(0),
        }
    }

    /// At `now` it is `since_epoch`. Told again and again: wall clocks are put right, machines sleep.
    pub(in crate::breaker) fn set_wall_clock(&self, now: Moment, since_epoch: Duration) {
        let origin = nanos(since_epoch).wrapping_sub(now.as_nanos());
        self.origin.swap(origin, Ordering::AcqRel);
    }

    fn epoch_s(&self, at: Moment) -> u64 {
        at.as_nanos().wrapping_add(self.origin.load(Ordering::Acquire)) / NANOS_PER_S
    }

    /// Goes by other settings, with what was learned.
    pub(in crate::breaker) fn adopt(&self, config: Config, now: Moment) {
        let mut learned = self.learned.lock();
        let moved = config.utc_offset().minutes() - learned.config.utc_offset().minutes();
        learned.baseline.shift(moved);
        if moved != 0 {
            learned.period = Period::default();
        }
        learned.config = config;
        self.publish(&learned, self.epoch_s(now));
    }

    /// What is too much at `now`, in a zone that is `offset` ahead.
    #[inline]
    pub(in crate::breaker) fn bar(&self, now: Moment, offset: UtcOffset) -> Bar {
        let bar = Bar(self.bar.load(Ordering::Acquire));
        let epoch_s = self.epoch_s(now);
        if bar.hour() == hour_of_week(epoch_s, offset) as u64 {
            return bar;
        }
        self.publish(&self.learned.lock(), epoch_s)
    }

    fn publish(&self, learned: &Learned, epoch_s: u64) -> Bar {
        let hour = hour_of_week(epoch_s, learned.config.utc_offset());
        let Estimate { tested, threshold, .. } =
            learned.baseline.estimate(hour, epoch_s, &learned.config);
        let bar = Bar::new(hour, threshold, tested);
        self.bar.swap(bar.0, Ordering::AcqRel);
        bar
    }

    /// Calls that have left the window without opening the breaker; they began around `at`.
    pub(in crate::breaker) fn take_in(&self, at: Moment, calls: u64, failures: u64) {
        if calls == 0 {
            return;
        }
        let epoch_s = self.epoch_s(at);
        let mut learned = self.learned.lock();
        if learned.move_on(epoch_s) {
            self.publish(&learned, epoch_s);
        }
        learned.period.calls += calls;
        learned.period.failures += failures.min(calls);
    }

    /// Learns the period that is over by `now`, if nobody's calls have done it, and renews the bar. Returns
    /// when there is more to learn.
    pub(in crate::breaker) fn tend(&self, now: Moment, window: Duration) -> Moment {
        let mut learned = self.learned.lock();
        let epoch_s = self.epoch_s(now);
        // What is in the window now may still belong to the period before.
        let left_s = epoch_s.saturating_sub(window.as_secs() + 1);
        let local_s = local_s(left_s, learned.config.utc_offset());
        if local_s / PERIOD_S > learned.period.number {
            learned.move_on(left_s);
        }
        self.publish(&learned, epoch_s);
        now + Duration::from_secs(PERIOD_S - local_s % PERIOD_S)
    }

    /// Learns the present period as far as it has come. The rest of it, if there is any, comes after it.
    pub(in crate::breaker) fn round_off(&self) {
        let mut learned = self.learned.lock();
        let period = Period { calls: 0, failures: 0, ..learned.period };
        learned.begin(period);
    }

    pub(in crate::breaker) fn reading(&self, now: Moment) -> Reading {
        let learned = self.learned.lock();
        let epoch_s = self.epoch_s(now);
        let hour = hour_of_week(epoch_s, learned.config.utc_offset());
        let Estimate { baseline, spread, threshold, calls, .. } =
            learned.baseline.estimate(hour, epoch_s, &learned.config);
        Reading { hour, baseline, spread, threshold, learned_calls: calls }
    }

    /// What was learned so far, for keeping.
    pub(in crate::breaker) fn history(&self) -> History {
        self.learned.lock().history()
    }

    /// The same, if there is news since this was last asked.
    pub(in crate::breaker) fn news(&self) -> Option<History> {
        let mut learned = self.learned.lock();
        std::mem::take(&mut learned.is_news).then(|| learned.history())
    }

    /// The copy that was taken was lost.
    pub(in crate::breaker) fn renew_news(&self) {
        self.learned.lock().is_news = true;
    }

    /// Whether [`Memory::restore`] was ever called.
    pub(in crate::breaker) fn is_restored(&self) -> bool {
        self.learned.lock().is_restored
    }

    /// Adds what was learned in an earlier run.
    pub(in crate::breaker) fn restore(&self, history: Option<&History>, now: Moment) {
        let mut learned = self.learned.lock();
        learned.is_restored = true;
        let Some(history) = history else { return };
        let config = learned.config;
        let mut baseline = history.baseline.clone();
        baseline.shift(config.utc_offset().minutes() - history.offset.minutes());
        learned.baseline.join(&baseline, &config);
        self.publish(&learned, self.epoch_s(now));
    }
}

impl Learned {
    /// Begins the period of `epoch_s`, if it is another one. Whether something was learned by that.
    fn move_on(&mut self, epoch_s: u64) -> bool {
        let number = local_s(epoch_s, self.config.utc_offset()) / PERIOD_S;
        if number == self.period.number {
            return false;
        }
        self.begin(Period { number, epoch_s, ..Period::default() })
    }

    /// Learns what the present period has seen, if anything. Whether it was.
    fn begin(&mut self, next: Period) -> bool {
        let over = std::mem::replace(&mut self.period, next);
        if over.calls == 0 {
            return false;
        }
        let hour = hour_of_week(over.epoch_s, self.config.utc_offset());
        let seen = Seen { calls: over.calls, failures: over.failures, at_s: over.epoch_s };
        self.baseline.learn(hour, seen, &self.config);
        self.is_news = true;
        true
    }

    fn history(&self) -> History {
        History { offset: self.config.utc_offset(), baseline: self.baseline.clone() }
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_exceeded_from_the_threshold_on_if_that_is_no_chance() {
        let bar = Bar::new(100, 0.5, 0.01);
        assert!(!bar.is_exceeded(100, 49, 1e-6), "improbable, but not too much");
        assert!(bar.is_exceeded(100, 50, 1e-6));
        assert!(!bar.is_exceeded(2, 1, 1e-6), "too much, but chance");
        assert_eq!((bar.hour(), bar.threshold()), (100, 0.5));
    }
}
