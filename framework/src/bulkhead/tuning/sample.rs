//! What came of a while, and between which numbers a limit is found.

use std::time::Duration;

/// Between which numbers a limit is found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) min: u32,
    pub(super) max: u32,
}

impl Range {
    pub(super) fn clamp(self, limit: u32) -> u32 {
        limit.clamp(self.min.min(self.max), self.max)
    }
}

/// What came of the attempts of a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) length: Duration,
    /// Good answers, and their mean latency.
    pub(super) good: u64,
    pub(super) mean: Duration,
    /// Attempts that ended without an answer.
    pub(super) dropped: u64,
    /// The most that were out at once.
    pub(super) inflight: u32,
    /// An attempt's.
    pub(super) timeout: Duration,
}

impl Sample {
    /// The latency that a limit goes by which does not tell good answers from others: an attempt that timed out took its timeout.
    pub(super) fn latency(&self) -> Duration {
        let lost = self.timeout.as_secs_f64() * self.dropped as f64;
        let all = (self.good + self.dropped).max(1) as f64;
        Duration::from_secs_f64((self.mean.as_secs_f64() * self.good as f64 + lost) / all)
            .max(Duration::from_nanos(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_without_an_answer_took_its_timeout() {
        let ms = Duration::from_millis;
        let sample = |good, dropped| Sample {
            length: ms(100),
            good,
            mean: ms(20),
            dropped,
            inflight: 1,
            timeout: ms(500),
        };
        assert_eq!(sample(10, 0).latency(), ms(20));
        assert_eq!(sample(0, 10).latency(), ms(500));
        // (3 × 20 + 1 × 500) / 4
        assert_eq!(sample(3, 1).latency(), ms(140));
        assert_eq!(sample(0, 0).latency(), Duration::from_nanos(1), "never zero: it is divided by");
    }
}
