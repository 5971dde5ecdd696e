//! What a limiter allows: the settings of all five algorithms.

use std::time::Duration;

use serde::Serialize;

use crate::constraint::{Constraints, InvalidSettings};

/// The slowest refill or leak that can be asked for: one in 116 days.
pub const MIN_REFILL_PER_SECOND: f64 = 1e-7;
/// The fastest refill or leak that can be asked for: one each nanosecond, the grain of the clock.
pub const MAX_REFILL_PER_SECOND: f64 = 1e9;
/// The shortest window that can be asked for: 1 ms.
pub const MIN_WINDOW: Duration = Duration::from_millis(1);
/// The longest window that can be asked for: 30 days.
pub const MAX_WINDOW: Duration = Duration::from_secs(30 * 24 * 3600);

/// So much in so much time: the settings of the three algorithms that count in windows, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quota {
    limit: u64,
    window: Duration,
}

impl Quota {
    /// `limit`, at least 1, in each `window` of 1 ms to 30 days.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn new(limit: u64, window: Duration) -> Result<Self, InvalidSettings> {
        Self::checked(limit, window, ["limit", "window"])
    }

    fn checked(
        limit: u64,
        window: Duration,
        keys: [&'static str; 2],
    ) -> Result<Self, InvalidSettings> {
        let mut check = Constraints::default();
        check.require(limit >= 1, keys[0], limit, "at least 1");
        check.require(
            (MIN_WINDOW..=MAX_WINDOW).contains(&window),
            keys[1],
            window,
            "from 1ms to 30days",
        );
        check.finish(Self { limit, window })
    }
    /// The most in a window.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }
    /// How long a window is.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }
}

/// A bucket's size and flow: the settings of the token bucket and the leaky bucket, checked. The default
/// is a bucket of 10, at 1 a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    capacity: u64,
    per_second: f64,
}

impl Rate {
    /// A bucket of `capacity`, at least 1, into or out of which `per_second` flow: 0.0000001 to 1,000,000,000.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn new(capacity: u64, per_second: f64) -> Result<Self, InvalidSettings> {
        Self::checked(capacity, per_second, ["capacity", "per_second"])
    }

    fn checked(
        capacity: u64,
        per_second: f64,
        keys: [&'static str; 2],
    ) -> Result<Self, InvalidSettings> {
        let mut check = Constraints::default();
        check.require(capacity >= 1, keys[0], capacity, "at least 1");
        check.require(
            (MIN_REFILL_PER_SECOND..=MAX_REFILL_PER_SECOND).contains(&per_second),
            keys[1],
            per_second,
            format!("from {MIN_REFILL_PER_SECOND} to {MAX_REFILL_PER_SECOND}"),
        );
        check.finish(Self { capacity, per_second })
    }

    /// How much the bucket holds. Default 10.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }
    /// How much flows in or out each second: the sustained rate. Default 1.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.per_second
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self { capacity: 10, per_second: 1.0 }
    }
}

/// One of the five algorithms, with its settings, checked. The default is a token
/// bucket of 10 tokens refilled by 1 a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Config {
    /// See [`FixedWindow`](super::FixedWindow).
    FixedWindow(Quota),
    /// See [`SlidingLog`](super::SlidingLog).
    SlidingLog(Quota),
    /// See [`SlidingWindow`](super::SlidingWindow).
    SlidingWindow(Quota),
    /// See [`TokenBucket`](super::TokenBucket).
    TokenBucket(Rate),
    /// See [`LeakyBucket`](super::LeakyBucket).
    LeakyBucket(Rate),
}

impl Config {
    /// At most `limit` (at least 1) in each window of 1 ms to 30 days, all of which begin at multiples of
    /// the window since the process first read its clock.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn fixed_window(limit: u64, window: Duration) -> Result<Self, InvalidSettings> {
        Quota::checked(limit, window, ["fixed_window.limit", "fixed_window.window"])
            .map(Self::FixedWindow)
    }
    /// At most `limit` (at least 1) in any window of this length, 1 ms to 30 days; remembers each.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn sliding_log(limit: u64, window: Duration) -> Result<Self, InvalidSettings> {
        Quota::checked(limit, window, ["sliding_log.limit", "sliding_log.window"])
            .map(Self::SlidingLog)
    }
    /// At most about `limit` (at least 1) in any window of this length, 1 ms to 30 days; two counters.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn sliding_window(limit: u64, window: Duration) -> Result<Self, InvalidSettings> {
        Quota::checked(limit, window, ["sliding_window.limit", "sliding_window.window"])
            .map(Self::SlidingWindow)
    }
    /// Bursts of up to `capacity` tokens (at least 1), and 0.0000001 to 1,000,000,000 new ones a second.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn token_bucket(capacity: u64, refill_per_second: f64) -> Result<Self, InvalidSettings> {
        let keys = ["token_bucket.capacity", "token_bucket.refill_per_second"];
        Rate::checked(capacity, refill_per_second, keys).map(Self::TokenBucket)
    }
    /// A bucket or queue of `capacity` (at least 1) that 0.0000001 to 1,000,000,000 a second leave.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn leaky_bucket(capacity: u64, leak_per_second: f64) -> Result<Self, InvalidSettings> {
        let keys = ["leaky_bucket.capacity", "leaky_bucket.leak_per_second"];
        Rate::checked(capacity, leak_per_second, keys).map(Self::LeakyBucket)
    }

    /// The most that can be had at once: a window's limit, a bucket's capacity.
    #[must_use]
    pub fn limit(&self) -> u64 {
        match self {
            Self::FixedWindow(quota) | Self::SlidingLog(quota) | Self::SlidingWindow(quota) => {
                quota.limit
            }
            Self::TokenBucket(rate) | Self::LeakyBucket(rate) => rate.capacity,
        }
    }

    /// The algorithm's name, as the policy file spells it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::FixedWindow(_) => "fixed_window",
            Self::SlidingLog(_) => "sliding_log",
            Self::SlidingWindow(_) => "sliding_window",
            Self::TokenBucket(_) => "token_bucket",
            Self::LeakyBucket(_) => "leaky_bucket",
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::TokenBucket(Rate::default())
    }
}
