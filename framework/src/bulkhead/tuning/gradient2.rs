//! By the slope of latency: how it is beside how it was for long.

use std::time::Duration;

use super::sample::Range;

/// `Gradient2Limit` of Netflix's concurrency-limits, with its defaults: a smoothing of 0.2, a queue of 4, a tolerance of 1.5 and an
/// average over 600 samples. It has a known hole: where every attempt ends at the same timeout, short and long latency are the
/// same, and the limit grows.
#[derive(Debug)]
pub(super) struct Gradient2 {
    range: Range,
    limit: f64,
    long: Average,
}

const SMOOTHING: f64 = 0.2;
const QUEUE: f64 = 4.0;
const TOLERANCE: f64 = 1.5;
const LONG_WINDOW: f64 = 600.0;
const WARM_UP: f64 = 10.0;

/// `ExpAvgMeasurement`: the mean of the first ten samples, exponential afterwards.
#[derive(Debug, Default)]
struct Average {
    value: f64,
    sum: f64,
    count: f64,
}

impl Average {
    fn add(&mut self, sample: f64) -> f64 {
        if self.count < WARM_UP {
            self.count += 1.0;
            self.sum += sample;
            self.value = self.sum / self.count;
        } else {
            let share = 2.0 / (LONG_WINDOW + 1.0);
            self.value = self.value * (1.0 - share) + sample * share;
        }
        self.value
    }
}

impl Gradient2 {
    pub(super) fn new(initial: u32, range: Range) -> Self {
        Self { range, limit: range.clamp(initial).into(), long: Average::default() }
    }

    /// `dropped` plays no part in it.
    pub(super) fn update(&mut self, rtt: Duration, inflight: u32) -> u32 {
        let short = rtt.as_secs_f64();
        let long = self.long.add(short);
        // After an overload the long latency comes down sooner.
        if long / short > 2.0 {
            self.long.value *= 0.95;
        }
        // No growth while the application does not use what it has.
        if f64::from(inflight) < self.limit / 2.0 {
            return self.limit as u32;
        }
        let gradient = (TOLERANCE * long / short).clamp(0.5, 1.0);
        let next = self.limit * gradient + QUEUE;
        let next = self.limit * (1.0 - SMOOTHING) + next * SMOOTHING;
        self.limit = next.clamp(self.range.min.into(), self.range.max.into());
        self.limit as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: Range = Range { min: 20, max: 200 };

    #[test]
    fn at_constant_latency_it_grows_as_published() {
        let mut gradient = Gradient2::new(20, RANGE);
        let limits: Vec<u32> =
            (0..10).map(|_| gradient.update(Duration::from_millis(10), 20)).collect();
        assert_eq!(limits, [20, 21, 22, 23, 24, 24, 25, 26, 27, 28]);
    }

    #[test]
    fn it_falls_when_latency_rises_and_by_half_at_most() {
        let mut gradient = Gradient2::new(100, RANGE);
        for _ in 0..20 {
            gradient.update(Duration::from_millis(10), 10);
        }
        // 100 × 0.8 + (100 × 0.5 + 4) × 0.2
        assert_eq!(gradient.update(Duration::from_millis(1_000), 100), 90);
        assert_eq!(gradient.update(Duration::from_millis(10), 10), 90, "little is in use");
    }

    #[test]
    fn it_has_the_hole_that_it_is_known_for() {
        let mut gradient = Gradient2::new(20, RANGE);
        let last = (0..500).map(|_| gradient.update(Duration::from_secs(1), 200)).last();
        assert_eq!(last, Some(200), "every attempt at the timeout, and it grows to the top");
    }

    /// The published code, line by line: the limit after each sample.
    fn published(samples: &[(u64, u32)], initial: f64) -> Vec<u32> {
        let (mut limit, mut long, mut sum, mut count) = (initial, 0.0, 0.0, 0);
        let mut limits = Vec::new();
        for &(rtt, inflight) in samples {
            let short = rtt as f64;
            if count < 10 {
                count += 1;
                sum += short;
                long = sum / f64::from(count);
            } else {
                let factor = 2.0 / 601.0;
                long = long * (1.0 - factor) + short * factor;
            }
            // The average as it was added to is gone by; what it decays to is the next one's.
            let seen = long;
            if long / short > 2.0 {
                long *= 0.95;
            }
            if f64::from(inflight) >= limit / 2.0 {
                let gradient = (1.5 * seen / short).clamp(0.5, 1.0);
                let next = limit * gradient + 4.0;
                limit = (limit * 0.8 + next * 0.2).clamp(20.0, 200.0);
            }
            limits.push(limit as u32);
        }
        limits
    }

    proptest::proptest! {
        #[test]
        fn it_does_what_is_published(
            samples in proptest::collection::vec((1_u64..2_000, 0_u32..200), 1..200),
        ) {
            let mut gradient = Gradient2::new(50, RANGE);
            let limits: Vec<u32> = samples
                .iter()
                .map(|&(rtt, inflight)| gradient.update(Duration::from_secs(rtt), inflight))
                .collect();
            proptest::prop_assert_eq!(limits, published(&samples, 50.0));
        }
    }

    #[test]
    fn after_an_overload_the_long_latency_comes_down_sooner() {
        let mut gradient = Gradient2::new(100, RANGE);
        (0..10).for_each(|_| _ = gradient.update(Duration::from_secs(10), 100));
        gradient.update(Duration::from_secs(1), 0);
        // 10 × (1 − 2/601) + 2/601, and a twentieth less.
        assert!((gradient.long.value - 9.4715).abs() < 0.001, "{}", gradient.long.value);
    }
}
