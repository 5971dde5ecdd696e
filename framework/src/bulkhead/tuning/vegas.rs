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
}
