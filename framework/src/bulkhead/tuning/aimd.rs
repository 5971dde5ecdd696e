//! Additive increase, multiplicative decrease.

use std::time::Duration;

use super::sample::Range;

/// `AIMDLimit` of Netflix's concurrency-limits (D.-M. Chiu, R. Jain, "Analysis of the increase and decrease algorithms for
/// congestion avoidance in computer networks", 1989): one more while at least half of the limit is in use, nine tenths after a
/// drop or an answer slower than five seconds.
#[derive(Debug)]
pub(super) struct Aimd {
    range: Range,
    limit: u32,
}

const BACKOFF: f64 = 0.9;
const TIMEOUT: Duration = Duration::from_secs(5);

impl Aimd {
    pub(super) fn new(initial: u32, range: Range) -> Self {
        Self { range, limit: range.clamp(initial) }
    }

    pub(super) fn update(&mut self, rtt: Duration, inflight: u32, dropped: bool) -> u32 {
        if dropped || rtt > TIMEOUT {
            self.limit = (f64::from(self.limit) * BACKOFF) as u32;
        } else if u64::from(inflight) * 2 >= u64::from(self.limit) {
            self.limit = self.limit.saturating_add(1);
        }
        self.limit = self.range.clamp(self.limit);
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_by_one_in_use_and_falls_by_a_tenth() {
        let ms = Duration::from_millis;
        let mut aimd = Aimd::new(10, Range { min: 1, max: 12 });
        assert_eq!(aimd.update(ms(10), 4, false), 10, "less than half is in use");
        assert_eq!(aimd.update(ms(10), 5, false), 11);
        assert_eq!((aimd.update(ms(10), 11, false), aimd.update(ms(10), 11, false)), (12, 12));
        assert_eq!(aimd.update(ms(10), 12, true), 10);
        assert_eq!(aimd.update(ms(5_000), 1, false), 10);
        assert_eq!(aimd.update(ms(5_001), 12, false), 9, "too slow is a drop");
        let falls: Vec<u32> = (0..10).map(|_| aimd.update(ms(1), 9, true)).collect();
        assert_eq!(falls, [8, 7, 6, 5, 4, 3, 2, 1, 1, 1]);
    }
}
