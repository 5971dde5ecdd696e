//! By the length of the queue that latency tells of.

use std::time::Duration;

use super::sample::Range;

/// `VegasLimit` of Netflix's concurrency-limits, with its defaults (L. Brakmo, L. Peterson, "TCP Vegas: End to End Congestion
/// Avoidance on a Global Internet", 1995): the queue is the share of the limit by which latency is above the least, and is kept
/// between `3 × log10(limit)` and `6 × log10(limit)`. Every `30 × limit` samples the least is measured anew.
#[derive(Debug)]
pub(super) struct Vegas {
    range: Range,
    limit: f64,
    /// The least latency, in seconds; zero before the first.
    least: f64,
    samples: u64,
}

const PROBE_MULTIPLIER: u64 = 30;

/// `Log10RootIntFunction`: at least one.
fn log10(limit: f64) -> f64 {
    (limit.log10() as u32).max(1).into()
}

impl Vegas {
    pub(super) fn new(initial: u32, range: Range) -> Self {
        Self { range, limit: range.clamp(initial).into(), least: 0.0, samples: 0 }
    }

    pub(super) fn update(&mut self, rtt: Duration, inflight: u32, dropped: bool) -> u32 {
        let rtt = rtt.as_secs_f64();
        self.samples += 1;
        // Published with a jitter of the interval; windows are not in step with anything.
        if self.samples >= PROBE_MULTIPLIER * self.limit as u64 {
            (self.samples, self.least) = (0, rtt);
            return self.limit as u32;
        }
        if self.least == 0.0 || rtt < self.least {
            self.least = rtt;
            return self.limit as u32;
        }
        let limit = self.limit;
        let queue = (limit * (1.0 - self.least / rtt)).ceil();
        let step = log10(limit);
        let next = if dropped {
            limit - step
        } else if f64::from(inflight) * 2.0 < limit {
            return limit as u32;
        } else if queue <= step {
            limit + 6.0 * step
        } else if queue < 3.0 * step {
            limit + step
        } else if queue > 6.0 * step {
            limit - step
        } else {
            return limit as u32;
        };
        self.limit = next.clamp(self.range.min.into(), self.range.max.into());
        self.limit as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn it_goes_by_the_queue_as_published() {
        let mut vegas = Vegas::new(10, Range { min: 1, max: 1000 });
        assert_eq!(vegas.update(ms(10), 10, false), 10, "the first is the least");
        assert_eq!(vegas.update(ms(10), 10, false), 16, "no queue: by six times log10");
        assert_eq!(vegas.update(ms(11), 16, false), 17, "a queue of 2: by log10");
        // 17 × (1 − 10/13) is 4, between 3 and 6.
        assert_eq!(vegas.update(ms(13), 17, false), 17);
        // 17 × (1 − 10/20) is 9.
        assert_eq!(vegas.update(ms(20), 17, false), 16);
        assert_eq!(vegas.update(ms(10), 16, true), 15, "a drop");
        assert_eq!(vegas.update(ms(10), 7, false), 15, "less than half is in use");
        assert_eq!(vegas.update(ms(9), 15, false), 15, "a new least");
    }

    #[test]
    fn the_least_is_measured_anew() {
        let mut vegas = Vegas::new(1, Range { min: 1, max: 1 });
        vegas.update(ms(10), 1, false);
        for _ in 0..28 {
            vegas.update(ms(50), 0, false);
        }
        assert_eq!(vegas.least, 0.01);
        vegas.update(ms(50), 0, false);
        assert_eq!(vegas.least, 0.05);
    }

    /// The published code, line by line: the limit after each sample.
    fn published(samples: &[(u64, u32, bool)], initial: f64, most: f64) -> Vec<u32> {
        let (mut limit, mut least, mut count) = (initial, 0.0_f64, 0_u64);
        let mut limits = Vec::new();
        for &(rtt, inflight, dropped) in samples {
            let rtt = rtt as f64;
            count += 1;
            if count >= 30 * limit as u64 {
                count = 0;
                least = rtt;
            } else if least == 0.0 || rtt < least {
                least = rtt;
            } else {
                let queue = (limit * (1.0 - least / rtt)).ceil();
                let step = f64::from((limit.log10() as u32).max(1));
                let (alpha, beta, threshold) = (3.0 * step, 6.0 * step, step);
                let next = match () {
                    () if dropped => limit - step,
                    () if f64::from(inflight) * 2.0 < limit => limit,
                    () if queue <= threshold => limit + beta,
                    () if queue < alpha => limit + step,
                    () if queue > beta => limit - step,
                    () => limit,
                };
                limit = next.max(1.0).min(most);
            }
            limits.push(limit as u32);
        }
        limits
    }

    proptest::proptest! {
        #[test]
        fn it_does_what_is_published(
            samples in proptest::collection::vec((90_u64..200, 0_u32..300, 0_u8..20), 1..300),
        ) {
            let samples: Vec<_> =
                samples.into_iter().map(|(rtt, inflight, one)| (rtt, inflight, one == 0)).collect();
            let mut vegas = Vegas::new(20, Range { min: 1, max: 250 });
            let limits: Vec<u32> = samples
                .iter()
                .map(|&(rtt, inflight, dropped)| {
                    vegas.update(Duration::from_secs(rtt), inflight, dropped)
                })
                .collect();
            proptest::prop_assert_eq!(limits, published(&samples, 20.0, 250.0));
        }
    }

    #[test]
    fn the_edges_of_the_queue_are_those_that_are_published() {
        // 100 permits, steps of 2: a queue of 100 × (1 − 100/rtt), rounded up.
        let after = |rtt| {
            let mut vegas = Vegas::new(100, Range { min: 1, max: 1_000 });
            vegas.update(Duration::from_secs(10_000), 100, false);
            vegas.update(Duration::from_secs(rtt), 100, false)
        };
        assert_eq!(after(10_204), 112, "a queue of 2: as short as the step");
        assert_eq!(after(10_205), 102, "of 3");
        assert_eq!(after(10_526), 102, "of 5");
        assert_eq!(after(10_527), 100, "of 6");
        assert_eq!(after(11_363), 100, "of 12");
        assert_eq!(after(11_364), 98, "of 13");
    }
}
