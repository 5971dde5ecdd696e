//! A limit in the whole numbers that a store counts with.

use std::time::Duration;

use crate::limit::{Config, Quota};

/// Parts of a microsecond that a token's time is told in, at the finest.
const PARTS: f64 = (1_u64 << 20) as f64;

/// Kind, limit, and the two numbers that say how fast; as `lua/algorithms.lua` takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) kind: &'static str,
    pub(super) limit: u64,
    pub(super) speed: [u64; 2],
}

impl Shape {
    pub(super) fn of(config: &Config) -> Self {
        let window = |kind, quota: &Quota| Self {
            kind,
            limit: quota.limit(),
            speed: [micros(quota.window()), 0],
        };
        match config {
            Config::FixedWindow(quota) => window("fixed", quota),
            Config::SlidingWindow(quota) => window("sliding", quota),
            Config::SlidingLog(quota) => window("log", quota),
            Config::TokenBucket(rate) | Config::LeakyBucket(rate) => {
                // Rounded down, so that what should be there after exactly one second is there.
                let parts = (1e6 / rate.per_second() * PARTS) as u128;
                let whole = u64::try_from(parts >> 20).unwrap_or(u64::MAX);
                let part = (parts & ((1 << 20) - 1)) as u64;
                Self { kind: "bucket", limit: rate.capacity(), speed: [whole, part] }
            }
        }
    }
}

pub(super) fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}
