//! A limit in the whole numbers that a store counts with.

use std::time::Duration;

use crate::constraint::Constraints;
use crate::limit::{Config, Quota, Rate};

/// The most that a shared limit may allow at once: 2^32.
pub const MAX_SHARED_LIMIT: u64 = 1 << 32;
/// The fastest rate of a shared limit, a second: 100 million.
pub const MAX_SHARED_RATE: f64 = 1e8;
/// The longest that a bucket of a shared limit may take to fill: 366 days.
pub const MAX_SHARED_FILL: Duration = Duration::from_secs(366 * 24 * 3600);

/// Parts of a microsecond that a token's time is told in, at the finest.
const PARTS: f64 = (1_u64 << 20) as f64;

/// Kind, limit, and the two numbers that say how fast; as `lua/algorithms.lua` takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "sent to Redis"))]
pub(super) struct Shape {
    pub(super) kind: &'static str,
    pub(super) limit: u64,
    pub(super) speed: [u64; 2],
}

impl Shape {
    #[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "sent to Redis"))]
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

/// Notes what of these settings no store can count exactly.
pub(super) fn check(check: &mut Constraints, config: &Config) {
    let most = format!("at most {MAX_SHARED_LIMIT} where it is shared");
    match config {
        Config::FixedWindow(quota) | Config::SlidingWindow(quota) | Config::SlidingLog(quota) => {
            check.require(quota.limit() <= MAX_SHARED_LIMIT, "limit", quota.limit(), most);
            let is_whole = quota.window().as_nanos() % 1_000 == 0;
            let allowed = "in whole microseconds where it is shared";
            check.require(is_whole, "window", quota.window(), allowed);
        }
        Config::TokenBucket(rate) | Config::LeakyBucket(rate) => check_rate(check, rate, most),
    }
}

fn check_rate(check: &mut Constraints, rate: &Rate, most: String) {
    let (capacity, per_second) = (rate.capacity(), rate.per_second());
    check.require(capacity <= MAX_SHARED_LIMIT, "capacity", capacity, most);
    let allowed = format!("at most {MAX_SHARED_RATE} where it is shared");
    check.require(per_second <= MAX_SHARED_RATE, "per_second", per_second, allowed);
    let fills_in_time = capacity as f64 / per_second <= MAX_SHARED_FILL.as_secs_f64();
    let allowed = "fast enough to fill the bucket in 366 days where it is shared";
    check.agree(fills_in_time, ("per_second", "capacity"), per_second, allowed);
}

/// The most that can be had at once.
pub(super) fn limit_of(config: &Config) -> u64 {
    match config {
        Config::FixedWindow(quota) | Config::SlidingWindow(quota) | Config::SlidingLog(quota) => {
            quota.limit()
        }
        Config::TokenBucket(rate) | Config::LeakyBucket(rate) => rate.capacity(),
    }
}
