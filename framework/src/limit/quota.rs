//! What a limiter allows, and what it says when it does not.

use std::time::Duration;

use serde::Serialize;

use crate::setting::{Check, InvalidSettings};

/// The slowest refill that can be asked for: a token in 116 days.
pub const MIN_REFILL_PER_SECOND: f64 = 1e-7;
/// The fastest refill that can be asked for: a token each nanosecond, the grain of the clock.
pub const MAX_REFILL_PER_SECOND: f64 = 1e9;

/// A token bucket's settings, checked. Built by [`Config::builder`]; the default is the founding
/// text's bucket of 10 tokens refilled by 1 a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Config {
    capacity: u64,
    refill_per_second: f64,
}

impl Config {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder(Self::default())
    }
    /// How many tokens the bucket holds: the largest burst. Default 10.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }
    /// How many tokens come in each second: the sustained rate. Default 1.
    #[must_use]
    pub fn refill_per_second(&self) -> f64 {
        self.refill_per_second
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { capacity: 10, refill_per_second: 1.0 }
    }
}

/// Builds a [`Config`], checking every setting.
#[derive(Clone, Debug)]
pub struct Builder(Config);

impl Default for Builder {
    fn default() -> Self {
        Config::builder()
    }
}

impl Builder {
    /// How many tokens the bucket holds; at least 1.
    #[must_use]
    pub fn capacity(mut self, tokens: u64) -> Self {
        self.0.capacity = tokens;
        self
    }
    /// How many tokens come in each second; 0.0000001 to 1,000,000,000.
    #[must_use]
    pub fn refill_per_second(mut self, tokens: f64) -> Self {
        self.0.refill_per_second = tokens;
        self
    }
    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn build(self) -> Result<Config, InvalidSettings> {
        let mut check = Check::default();
        check.require(self.0.capacity >= 1, "capacity", self.0.capacity, "at least 1");
        check.require(
            (MIN_REFILL_PER_SECOND..=MAX_REFILL_PER_SECOND).contains(&self.0.refill_per_second),
            "refill_per_second",
            self.0.refill_per_second,
            format!("from {MIN_REFILL_PER_SECOND} to {MAX_REFILL_PER_SECOND}"),
        );
        check.finish(self.0)
    }
}

/// A limiter had not enough left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rate limit reached{}", hint(*retry_after))]
pub struct Refusal {
    /// How long until the same request would be allowed, if nobody else takes anything: one
    /// nanosecond earlier it would still be refused. `None`: it asks for more than the limiter
    /// ever holds, so never.
    pub retry_after: Option<Duration>,
}

fn hint(retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(after) => format!(", retry after {after:?}"),
        None => ", and the cost is above the capacity: never".to_owned(),
    }
}
