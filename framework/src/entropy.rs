//! The only reader of chance.

use std::hash::{BuildHasher, DefaultHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A stream of random numbers that threads share without a lock.
///
/// SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014):
/// the state is a counter, so one `fetch_add` draws a number, and a seed fixes the whole stream.
/// Not for secrets.
#[derive(Debug)]
pub struct Entropy(AtomicU64);

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl Entropy {
    /// A stream that differs from process to process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads chance")]
    pub fn system() -> Self {
        Self::seeded(fastrand::u64(..))
    }

    /// The stream that `seed` always gives.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A stream of its own for each `index`, so that dependencies sharing a seed do not jitter in step.
    #[must_use]
    pub fn fork(&self, index: u64) -> Self {
        Self::seeded(mix(self.0.load(Ordering::Relaxed) ^ mix(index.wrapping_add(GOLDEN_GAMMA))))
    }

    /// The next 64 random bits.
    pub fn next_u64(&self) -> u64 {
        mix(self.0.fetch_add(GOLDEN_GAMMA, Ordering::Relaxed).wrapping_add(GOLDEN_GAMMA))
    }

    /// The next number in `[0, 1)`, with 53 bits of it random.
    pub fn unit(&self) -> f64 {
        // 2^-53: the spacing of doubles just below one.
        (self.next_u64() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }
}

/// Hashes by SipHash-1-3 under a key of its own from the operating system, so that one who chooses
/// what is hashed cannot choose what collides, even after watching for long (Aumasson, Bernstein,
/// "SipHash: a fast short-input PRF", 2012). What std's maps do by default, under a name of ours.
#[derive(Clone, Debug, Default)]
pub struct SecretHash(RandomState);

impl BuildHasher for SecretHash {
    type Hasher = DefaultHasher;

    #[inline]
    fn build_hasher(&self) -> DefaultHasher {
        self.0.build_hasher()
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_published_stream() {
        // The reference values of SplitMix64 for seed 1234567.
        let entropy = Entropy::seeded(1_234_567);
        assert_eq!(entropy.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(entropy.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn unit_stays_below_one_and_spreads() {
        let entropy = Entropy::seeded(7);
        let draws: Vec<f64> = (0..10_000).map(|_| entropy.unit()).collect();
        assert!(draws.iter().all(|u| (0.0..1.0).contains(u)));
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((mean - 0.5).abs() < 0.02, "mean {mean}");
    }

    #[test]
    fn forks_of_one_seed_differ_from_each_other() {
        let root = Entropy::seeded(1);
        assert_ne!(root.fork(0).next_u64(), root.fork(1).next_u64());
    }
}
