//! A retry's settings.

use std::time::Duration;

use serde::Serialize;

use super::backoff::Backoff;
use super::budget::BudgetConfig;
use super::hedge::HedgeConfig;
use super::jitter::Jitter;
use crate::constraint::{Constraints, InvalidSettings};

/// The most attempts that one call can be given.
pub const MAX_ATTEMPTS: u32 = 1_000;
/// The longest delay that can be asked for: 30 days.
pub const MAX_DELAY: Duration = Duration::from_secs(30 * 24 * 3600);
/// The fastest growth that can be asked for.
pub const MAX_FACTOR: f64 = 1_000.0;

/// A retry's settings, checked. Built by [`Config::builder`]; the default is
/// 3 attempts, from 1 s doubling up to 60 s, with full jitter, and a budget of 20 % of the calls and 10 retries a second.
///
/// Whether anything is retried at all is for the method to say: only `idempotent` ones are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    max_attempts: u32,
    base_delay: Duration,
    max_delay: Duration,
    max_elapsed: Option<Duration>,
    factor: f64,
    backoff: Backoff,
    jitter: Jitter,
    jitter_share: f64,
    budget: Option<BudgetConfig>,
    hedge: Option<HedgeConfig>,
    retry_rejections: bool,
}

impl Config {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }
    /// How many attempts a call gets at most, the first one included. Default 3.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.max_attempts
    }
    /// The delay after the first attempt, before jitter. Default 1 s.
    #[must_use]
    pub fn base_delay(&self) -> Duration {
        self.base_delay
    }
    /// No backoff is longer than this, jitter included; a wait is, if the server has asked for more. Default 60 s.
    #[must_use]
    pub fn max_delay(&self) -> Duration {
        self.max_delay
    }
    /// How long after the call began its last retry may begin. Default: as long as its deadline lets it.
    #[must_use]
    pub fn max_elapsed(&self) -> Option<Duration> {
        self.max_elapsed
    }
    /// By what each delay is longer than the one before, under exponential backoff. Default 2.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.factor
    }
    /// How delays grow. Default: exponentially.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        self.backoff
    }
    /// How chance spreads delays. Default: full jitter.
    #[must_use]
    pub fn jitter(&self) -> Jitter {
        self.jitter
    }
    /// By what share of itself a delay is spread to either side, under the jitter `plus_minus`. Default 0.5.
    #[must_use]
    pub fn jitter_share(&self) -> f64 {
        self.jitter_share
    }
    /// What retries may cost in all, over every call. Default: 20 % of the calls, and 10 a second in any case.
    #[must_use]
    pub fn budget(&self) -> Option<&BudgetConfig> {
        self.budget.as_ref()
    }
    /// When another attempt is made beside one that has no answer yet. Default: never.
    #[must_use]
    pub fn hedge(&self) -> Option<&HedgeConfig> {
        self.hedge.as_ref()
    }
    /// Whether a refusal by one of our own guards is retried too. Default: no.
    #[must_use]
    pub fn retry_rejections(&self) -> bool {
        self.retry_rejections
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            max_elapsed: None,
            factor: 2.0,
            backoff: Backoff::default(),
            jitter: Jitter::default(),
            jitter_share: 0.5,
            budget: Some(BudgetConfig::default()),
            hedge: None,
            retry_rejections: false,
        }
    }
}

/// Builds a [`Config`], checking every setting.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    config: Config,
    /// Kept apart, because left out it gives way to a shorter `max_delay`.
    base_delay: Option<Duration>,
}

impl Builder {
    /// How many attempts a call gets at most, the first one included; 1 (never retry) to 1,000.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.config.max_attempts = attempts;
        self
    }
    /// The delay after the first attempt, before jitter; at most `max_delay`. Zero retries at once.
    /// Left out it is 1 s, or `max_delay` if that is shorter.
    #[must_use]
    pub fn base_delay(mut self, delay: Duration) -> Self {
        self.base_delay = Some(delay);
        self
    }
    /// No backoff is longer than this; at most 30 days. A wait that the server asked for may be.
    #[must_use]
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.config.max_delay = delay;
        self
    }
    /// How long after the call began its last retry may begin; at most 30 days. Zero: none may.
    #[must_use]
    pub fn max_elapsed(mut self, length: Duration) -> Self {
        self.config.max_elapsed = Some(length);
        self
    }
    /// By what each delay is longer than the one before, under exponential backoff; 1 to 1,000.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.config.factor = factor;
        self
    }
    /// How delays grow.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.config.backoff = backoff;
        self
    }
    /// How chance spreads delays.
    #[must_use]
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.config.jitter = jitter;
        self
    }
    /// By what share of itself a delay is spread to either side, under the jitter `plus_minus`; above 0, at most 1.
    #[must_use]
    pub fn jitter_share(mut self, share: f64) -> Self {
        self.config.jitter_share = share;
        self
    }
    /// What retries may cost in all, over every call; `None` for no such limit. Without one, retries can turn a small
    /// failure of a dependency into its overload.
    #[must_use]
    pub fn budget(mut self, budget: impl Into<Option<BudgetConfig>>) -> Self {
        self.config.budget = budget.into();
        self
    }
    /// When another attempt is made beside one that has no answer yet; `None` for never. As retries, only of what is idempotent.
    #[must_use]
    pub fn hedge(mut self, hedge: impl Into<Option<HedgeConfig>>) -> Self {
        self.config.hedge = hedge.into();
        self
    }
    /// Whether a refusal by one of our own guards is retried too.
    #[must_use]
    pub fn retry_rejections(mut self, retry: bool) -> Self {
        self.config.retry_rejections = retry;
        self
    }
    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range or contradicts another.
    pub fn build(self) -> Result<Config, InvalidSettings> {
        let mut check = Constraints::default();
        let mut config = self.config;
        config.base_delay = self.base_delay.unwrap_or(config.base_delay.min(config.max_delay));
        check.require(
            (1..=MAX_ATTEMPTS).contains(&config.max_attempts),
            "max_attempts",
            config.max_attempts,
            format!("from 1 to {MAX_ATTEMPTS}"),
        );
        check.agree(
            config.base_delay <= config.max_delay,
            ("base_delay", "max_delay"),
            config.base_delay,
            format!("at most max_delay ({:?})", config.max_delay),
        );
        check.require(
            config.max_delay <= MAX_DELAY,
            "max_delay",
            config.max_delay,
            "at most 30days",
        );
        let elapsed = config.max_elapsed.unwrap_or_default();
        check.require(elapsed <= MAX_DELAY, "max_elapsed", elapsed, "at most 30days");
        check.require(
            (1.0..=MAX_FACTOR).contains(&config.factor),
            "factor",
            config.factor,
            format!("from 1 to {MAX_FACTOR}"),
        );
        let share = config.jitter_share;
        check.require(share > 0.0 && share <= 1.0, "jitter_share", share, "above 0, at most 1");
        check.finish(config)
    }
}
