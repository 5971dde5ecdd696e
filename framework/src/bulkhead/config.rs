//! A bulkhead's settings.

use std::time::Duration;

use serde::Serialize;

use super::tuning::Limit;
use crate::constraint::{Constraints, InvalidSettings};

/// The most permits a bulkhead can have.
pub const MAX_CONCURRENT: u32 = 1_000_000;

/// The most threads that a pool for blocking calls can have.
pub const MAX_THREADS: u32 = 4_096;
/// The most threads that a dependency has for blocking methods, unless told otherwise: as many as tokio has for all blocking work.
const USUAL_MAX_THREADS: u32 = 512;

/// A bulkhead's settings, checked. Built by [`Config::builder`]; the default is 25 permits and 30 s of waiting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Config {
    max_concurrent: u32,
    max_wait: Duration,
    limit: Limit,
    threads: Option<u32>,
    /// `None`: as the limit has it.
    grace: Option<Duration>,
}

/// How many permits there are unless told otherwise; and how many at most, where their number finds itself.
const FIXED_MAX: u32 = 25;
const FOUND_MAX: u32 = 1_000;
/// The grace where the number of permits finds itself, unless told otherwise.
const FOUND_GRACE: Duration = Duration::from_secs(1);

impl Config {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder { config: Self::default(), max_concurrent: None }
    }
    /// As many as are answered in time.
    pub(crate) fn for_server() -> Self {
        let max_wait = Duration::from_millis(250);
        Self { max_concurrent: FOUND_MAX, max_wait, limit: Limit::Adaptive, ..Self::default() }
    }
    /// For a store of shared limits: 1,000 requests at once, and none waits, because a limit can be decided without the store.
    pub(crate) fn for_store() -> Self {
        Self { max_concurrent: 1_000, max_wait: Duration::ZERO, ..Self::default() }
    }
    /// How many calls may be with the dependency at once; with a limit that finds itself, at most. Default 25; 1,000 with a limit that
    /// finds itself.
    #[must_use]
    pub fn max_concurrent(&self) -> u32 {
        self.max_concurrent
    }
    /// How the number of permits is found. Default: it is fixed.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.limit
    }
    /// How many threads there are for methods that block; none are started before the dependency has such a method. Default:
    /// `max_concurrent`, but not more than 512.
    #[must_use]
    pub fn threads(&self) -> u32 {
        self.threads.unwrap_or(self.max_concurrent.min(USUAL_MAX_THREADS))
    }
    /// For how long the permit of an attempt that ended without an answer, by its timeout or because it was dropped, is kept back at
    /// most; less, if nearly all good answers come sooner. Default 0; 1 s where the number of permits finds itself.
    #[must_use]
    pub fn grace(&self) -> Duration {
        let found = self.limit != Limit::Fixed;
        self.grace.unwrap_or(if found { FOUND_GRACE } else { Duration::ZERO })
    }
    /// How long a call may wait for a permit; zero refuses at once. Default 30 s. A wait ends sooner where the attempt
    /// would not have its timeout left, or half of the deadline if that is shorter.
    #[must_use]
    pub fn max_wait(&self) -> Duration {
        self.max_wait
    }
}

impl Default for Config {
    fn default() -> Self {
        let max_wait = Duration::from_secs(30);
        Self {
            max_concurrent: FIXED_MAX,
            max_wait,
            limit: Limit::Fixed,
            threads: None,
            grace: None,
        }
    }
}

/// Builds a [`Config`], checking every setting.
#[derive(Clone, Debug)]
pub struct Builder {
    config: Config,
    /// What was asked for: without that it depends on the limit.
    max_concurrent: Option<u32>,
}

impl Builder {
    /// How the number of permits is found.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.config.limit = limit;
        self
    }
    /// How many calls may be with the dependency at once; with a limit that finds itself, at most; 1 to 1,000,000.
    #[must_use]
    pub fn max_concurrent(mut self, calls: u32) -> Self {
        self.max_concurrent = Some(calls);
        self
    }
    /// How long a call may wait for a permit; zero refuses at once.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.config.max_wait = wait;
        self
    }
    /// How many threads there are for methods that block, 1 to 4,096.
    #[must_use]
    pub fn threads(mut self, threads: u32) -> Self {
        self.config.threads = Some(threads);
        self
    }
    /// For how long the permit of an attempt that ended without an answer is kept back at most, 0 to 30 days: the dependency may
    /// still be busy with it. Less, if 99 of 100 good answers come sooner.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = Some(grace);
        self
    }
    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn build(mut self) -> Result<Config, InvalidSettings> {
        let is_fixed = self.config.limit == Limit::Fixed;
        let usual = if is_fixed { FIXED_MAX } else { FOUND_MAX };
        self.config.max_concurrent = self.max_concurrent.unwrap_or(usual);
        let mut check = Constraints::default();
        check.require(
            (1..=MAX_CONCURRENT).contains(&self.config.max_concurrent),
            "max_concurrent",
            self.config.max_concurrent,
            format!("from 1 to {MAX_CONCURRENT}"),
        );
        if let Some(threads) = self.config.threads {
            let in_range = (1..=MAX_THREADS).contains(&threads);
            check.require(in_range, "threads", threads, format!("from 1 to {MAX_THREADS}"));
        }
        check.finish(self.config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::constraint::wrong_keys;

    fn mistakes(builder: Builder) -> Vec<&'static str> {
        wrong_keys(builder.build())
    }

    #[test]
    fn a_limit_that_finds_itself_need_not_be_told_how_far_it_may_go() {
        let most = |builder: Builder| builder.build().unwrap().max_concurrent();
        assert_eq!(most(Config::builder()), 25);
        for limit in Limit::ALL.iter().filter(|limit| **limit != Limit::Fixed) {
            assert_eq!(most(Config::builder().limit(*limit)), 1_000, "{limit}");
            assert_eq!(most(Config::builder().max_concurrent(7).limit(*limit)), 7);
        }
    }

    #[test]
    fn every_setting_is_taken_up_to_its_edges() {
        let none: [&str; 0] = [];
        for calls in [1, MAX_CONCURRENT] {
            assert_eq!(mistakes(Config::builder().max_concurrent(calls)), none);
        }
        for calls in [0, MAX_CONCURRENT + 1] {
            assert_eq!(mistakes(Config::builder().max_concurrent(calls)), ["max_concurrent"]);
        }
        for threads in [1, MAX_THREADS] {
            let config = Config::builder().threads(threads).build().unwrap();
            assert_eq!(config.threads(), threads);
        }
        for threads in [0, MAX_THREADS + 1] {
            assert_eq!(mistakes(Config::builder().threads(threads)), ["threads"]);
        }
    }
}
