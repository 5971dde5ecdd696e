//! The queues of methods that nobody waits for.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::config::{MAX_BLOCK_TIMEOUT, MAX_CAPACITY};
use super::strategy::DEFAULT_BLOCK_TIMEOUT;
use crate::constraint::{Constraints, InvalidSettings};

/// The most calls of a one-way method that can be made at once.
const MAX_CONCURRENCY: u32 = 4_096;

/// What happens to a one-way call when its queue is full, or about to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OneWayStrategy {
    /// Its caller waits for room.
    Block,
    /// The call that has waited longest is dropped.
    DropOldest,
    /// It is dropped.
    DropNewest,
    /// It is refused.
    #[default]
    Error,
    /// From a mark on, only one call in N gets in.
    Sample,
    /// Callers are paced.
    Throttle,
}

impl OneWayStrategy {
    pub(crate) const EVERY: [Self; 6] = [
        Self::Block,
        Self::DropOldest,
        Self::DropNewest,
        Self::Error,
        Self::Sample,
        Self::Throttle,
    ];

    /// The name that policy files use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::DropOldest => "drop_oldest",
            Self::DropNewest => "drop_newest",
            Self::Error => "error",
            Self::Sample => "sample",
            Self::Throttle => "throttle",
        }
    }
}

impl fmt::Display for OneWayStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The settings of the queues of a dependency's one-way methods, checked. Each method has a queue of its own. Built by
/// [`OneWayConfig::builder`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OneWayConfig {
    capacity: u32,
    /// `None`: as the method says.
    on_full: Option<OneWayStrategy>,
    max_wait: Duration,
    sample_every: u32,
    sample_above: f64,
    /// `None`: as fast as they are made.
    per_second: Option<f64>,
    max_age: Option<Duration>,
    concurrency: u32,
}

impl OneWayConfig {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> OneWayBuilder {
        OneWayBuilder(Self::default())
    }
    /// How many calls of a method may wait. Default 1,000.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }
    /// What happens to a call when the queue is full. Default: it is refused; merged into the newest call that waits, if the method says how.
    #[must_use]
    pub fn on_full(&self) -> Option<OneWayStrategy> {
        self.on_full
    }
    /// How long a caller may wait, with `block` and `throttle`. Default 30 s.
    #[must_use]
    pub fn max_wait(&self) -> Duration {
        self.max_wait
    }
    /// One call in how many gets in, with `sample`. Default 10.
    #[must_use]
    pub fn sample_every(&self) -> u32 {
        self.sample_every
    }
    /// How full the queue is when sampling begins, 0 to 1. Default 0.8.
    #[must_use]
    pub fn sample_above(&self) -> f64 {
        self.sample_above
    }
    /// How many calls a second callers are paced to, with `throttle`. Default: as many as are made, once the queue is half full.
    #[must_use]
    pub fn per_second(&self) -> Option<f64> {
        self.per_second
    }
    /// How long a call may wait before it is dropped. Default: for ever.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }
    /// How many calls of a method are made at once. Default 8. With 1 they are made in the order in which they came.
    #[must_use]
    pub fn concurrency(&self) -> u32 {
        self.concurrency
    }
}

impl Default for OneWayConfig {
    fn default() -> Self {
        Self {
            capacity: 1_000,
            on_full: None,
            max_wait: DEFAULT_BLOCK_TIMEOUT,
            sample_every: 10,
            sample_above: 0.8,
            per_second: None,
            max_age: None,
            concurrency: 8,
        }
    }
}

/// Builds a [`OneWayConfig`], checking every setting.
#[derive(Clone, Debug)]
pub struct OneWayBuilder(OneWayConfig);

impl OneWayBuilder {
    /// How many calls of a method may wait; 1 to 1,000,000.
    #[must_use]
    pub fn capacity(mut self, calls: u32) -> Self {
        self.0.capacity = calls;
        self
    }
    /// What happens to a call when the queue is full.
    #[must_use]
    pub fn on_full(mut self, strategy: OneWayStrategy) -> Self {
        self.0.on_full = Some(strategy);
        self
    }
    /// How long a caller may wait, with `block` and `throttle`; 1 ms to 30 days.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.0.max_wait = wait;
        self
    }
    /// One call in how many gets in, with `sample`; 2 and up.
    #[must_use]
    pub fn sample_every(mut self, calls: u32) -> Self {
        self.0.sample_every = calls;
        self
    }
    /// How full the queue is when sampling begins, 0 to 1. From 0 on, sampling is always on.
    #[must_use]
    pub fn sample_above(mut self, fill_ratio: f64) -> Self {
        self.0.sample_above = fill_ratio;
        self
    }
    /// How many calls a second callers are paced to, with `throttle`; 0.001 to 1e9.
    #[must_use]
    pub fn per_second(mut self, calls: f64) -> Self {
        self.0.per_second = Some(calls);
        self
    }
    /// How long a call may wait before it is dropped; 1 ms to 30 days.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.0.max_age = Some(age);
        self
    }
    /// How many calls of a method are made at once; 1 to 4,096. The bulkhead bounds them too.
    #[must_use]
    pub fn concurrency(mut self, calls: u32) -> Self {
        self.0.concurrency = calls;
        self
    }
    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn build(self) -> Result<OneWayConfig, InvalidSettings> {
        let (config, mut check) = (self.0, Constraints::default());
        let is_time =
            |time: &Duration| (Duration::from_millis(1)..=MAX_BLOCK_TIMEOUT).contains(time);
        let (in_range, allowed) =
            ((1..=MAX_CAPACITY).contains(&config.capacity), format!("from 1 to {MAX_CAPACITY}"));
        check.require(in_range, "capacity", config.capacity, allowed);
        check.require(is_time(&config.max_wait), "max_wait", config.max_wait, "from 1ms to 30days");
        let every = config.sample_every;
        check.require(every >= 2, "sample_every", every, "2 or more");
        let above = config.sample_above;
        check.require((0.0..=1.0).contains(&above), "sample_above", above, "from 0 to 1");
        if let Some(rate) = config.per_second {
            let in_range = (0.001..=1e9).contains(&rate);
            check.require(in_range, "per_second", rate, "from 0.001 to 1e9");
        }
        if let Some(age) = config.max_age {
            check.require(is_time(&age), "max_age", age, "from 1ms to 30days");
        }
        let (in_range, allowed) = (
            (1..=MAX_CONCURRENCY).contains(&config.concurrency),
            format!("from 1 to {MAX_CONCURRENCY}"),
        );
        check.require(in_range, "concurrency", config.concurrency, allowed);
        check.finish(config)
    }
}
