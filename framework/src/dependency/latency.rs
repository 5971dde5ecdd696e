//! Latency in buckets: 1 µs to 100 s, seven to a decade, so a quantile is off by at most half its value.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::nanos;

/// Steps within a decade, times ten.
const STEPS: [u64; 7] = [10, 15, 20, 30, 40, 50, 75];
/// 1 µs up to 10 s and beyond.
const WHOLE_DECADES: usize = 8;
const BOUNDS: usize = STEPS.len() * WHOLE_DECADES + 1;
/// One more than there are bounds: the last bucket has none.
pub const BUCKETS: usize = BOUNDS + 1;

/// Upper bounds of the buckets, in nanoseconds, inclusive.
static BOUNDS_NANOS: [u64; BOUNDS] = bounds();

/// Where buckets are counted decade by decade, each has so many slots, a line of the cache: its seven buckets, and their sum.
pub(super) const DECADE: usize = STEPS.len() + 1;
/// The slot of the sum.
pub(super) const SUM: usize = STEPS.len();
/// The last decade is not full.
pub(super) const DECADES: usize = WHOLE_DECADES + 1;
const SLOTS: usize = DECADE * DECADES;
/// Upper bounds of the slots. That of a sum is the one before it, so that nothing falls into it.
static SLOT_BOUNDS: [u64; SLOTS] = slot_bounds();
/// For each power of two, the first slot that a value of that size can fall into.
static FIRST: [u8; 65] = first();

const fn bounds() -> [u64; BOUNDS] {
    let mut bounds = [0; BOUNDS];
    let mut decade = 0;
    let mut unit = 100; // a tenth of a microsecond, because the steps are times ten
    while decade < WHOLE_DECADES {
        let mut step = 0;
        while step < STEPS.len() {
            bounds[decade * STEPS.len() + step] = STEPS[step] * unit;
            step += 1;
        }
        unit *= 10;
        decade += 1;
    }
    bounds[BOUNDS - 1] = 10 * unit;
    bounds
}

const fn slot_bounds() -> [u64; SLOTS] {
    let bounds = bounds();
    let mut slots = [u64::MAX; SLOTS];
    let mut at = 0;
    while at < BOUNDS {
        let slot = at / SUM * DECADE + at % SUM;
        slots[slot] = bounds[at];
        if slot % DECADE == SUM - 1 {
            slots[slot + 1] = bounds[at];
        }
        at += 1;
    }
    slots
}

const fn first() -> [u8; 65] {
    let slots = slot_bounds();
    let mut first = [0; 65];
    let mut bits = 0;
    while bits <= 64 {
        let smallest = if bits == 0 { 0 } else { 1u64 << (bits - 1) };
        let mut at = 0;
        while slots[at] < smallest {
            at += 1;
        }
        first[bits] = at as u8;
        bits += 1;
    }
    first
}

/// The bucket that a latency falls into: the first whose bound is not below it.
#[inline]
#[must_use]
pub fn bucket(nanos: u64) -> usize {
    let slot = slot(nanos);
    slot - slot / DECADE
}

/// The slot of that.
#[inline]
pub(super) fn slot(nanos: u64) -> usize {
    let bits = 64 - nanos.leading_zeros() as usize;
    let mut at = usize::from(FIRST[bits]);
    // A power of two spans at most four bounds, and one sum, so this runs at most five times. The last bound is never passed.
    while at < SLOTS - 1 && nanos > SLOT_BOUNDS[at] {
        at += 1;
    }
    at
}

/// A latency histogram.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// How many calls fell into each bucket; the last one is everything above 100 s.
    pub buckets: [u64; BUCKETS],
    /// All of them together, in nanoseconds.
    pub sum_nanos: u64,
}

/// A latency histogram that many threads add to; not for what every call counts.
#[derive(Debug)]
pub(super) struct AtomicLatency {
    buckets: [AtomicU64; BUCKETS],
    sum_nanos: AtomicU64,
}

impl Default for AtomicLatency {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self { buckets: std::array::from_fn(|_| zero()), sum_nanos: zero() }
    }
}

impl AtomicLatency {
    pub(super) fn add(&self, length: Duration) {
        let nanos = nanos(length);
        self.buckets[bucket(nanos)].fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Latency {
        Latency {
            buckets: std::array::from_fn(|at| self.buckets[at].load(Ordering::Relaxed)),
            sum_nanos: self.sum_nanos.load(Ordering::Relaxed),
        }
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], sum_nanos: 0 }
    }
}

impl Latency {
    /// The upper bound of a bucket; `None` for the last.
    #[must_use]
    pub fn bound(bucket: usize) -> Option<Duration> {
        BOUNDS_NANOS.get(bucket).copied().map(Duration::from_nanos)
    }

    /// How many calls it holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Adds another histogram's calls to this one's.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.sum_nanos = self.sum_nanos.saturating_add(other.sum_nanos);
    }

    /// The latency that a share `q` of the calls did not exceed, interpolated within its bucket; `None`
    /// without calls. `q` is taken as at least 0 and at most 1; above 100 s the answer is 100 s.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = q.clamp(0.0, 1.0) * count as f64;
        let mut seen = 0.0;
        for (at, &calls) in self.buckets.iter().enumerate() {
            let calls = calls as f64;
            if calls > 0.0 && seen + calls >= rank {
                let Some(&upper) = BOUNDS_NANOS.get(at) else { break };
                let lower = at.checked_sub(1).map_or(0, |below| BOUNDS_NANOS[below]);
                let share = ((rank - seen) / calls).clamp(0.0, 1.0);
                return Some(Duration::from_nanos(lower + ((upper - lower) as f64 * share) as u64));
            }
            seen += calls;
        }
        BOUNDS_NANOS.last().copied().map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_is_the_first_whose_bound_is_not_below(nanos: u64, shift in 0u32..64) {
            let nanos = nanos >> shift;
            let naive = BOUNDS_NANOS.iter().position(|&bound| nanos <= bound).unwrap_or(BOUNDS);
            prop_assert_eq!(bucket(nanos), naive);
        }
    }

    #[test]
    fn bounds_and_their_edges() {
        assert_eq!(Latency::bound(0), Some(Duration::from_micros(1)));
        assert_eq!(Latency::bound(BUCKETS - 2), Some(Duration::from_secs(100)));
        assert_eq!(Latency::bound(BUCKETS - 1), None);
        assert_eq!(bucket(1_000), 0);
        assert_eq!(bucket(1_001), 1);
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_of_known_calls() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        latency.buckets[bucket(10_000_000)] = 99;
        latency.buckets[bucket(1_000_000_000)] = 1;
        let p50 = latency.quantile(0.5).unwrap();
        assert!(p50 > Duration::from_micros(7_500) && p50 <= Duration::from_millis(10), "{p50:?}");
        assert_eq!(latency.quantile(1.0), Some(Duration::from_secs(1)));
        let least = latency.quantile(0.0).unwrap();
        assert!(least >= Duration::from_millis(7), "nothing was faster: {least:?}");
        latency.buckets[bucket(1_000_000_000)] = 99;
        let p75 = latency.quantile(0.75).unwrap();
        let (lower, upper) = (Duration::from_millis(800), Duration::from_millis(950));
        assert!((lower..upper).contains(&p75), "half of the way into the bucket: {p75:?}");
    }

    #[test]
    fn two_histograms_in_one_are_as_if_there_had_been_one() {
        let of = |lengths: &[u64]| {
            let atomic = AtomicLatency::default();
            lengths.iter().for_each(|ms| atomic.add(Duration::from_millis(*ms)));
            atomic.read()
        };
        let mut both = of(&[1, 20]);
        both.merge(&of(&[300]));
        assert_eq!(both, of(&[1, 20, 300]));
        assert_eq!((both.count(), both.sum_nanos), (3, 321_000_000));
    }
}
