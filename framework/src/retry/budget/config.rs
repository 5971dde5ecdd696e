//! A retry budget's settings.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::constraint::{Constraints, InvalidSettings};

/// The shortest window of a budget: 100 ms.
pub const MIN_BUDGET_WINDOW: Duration = Duration::from_millis(100);
/// The longest window of a budget: 1 day.
pub const MAX_BUDGET_WINDOW: Duration = Duration::from_secs(24 * 3600);
/// The highest floor of a budget, in retries a second.
pub const MAX_BUDGET_PER_SECOND: f64 = 1_000_000.0;
/// The most tokens of a budget.
pub const MAX_BUDGET_TOKENS: u32 = 1_000_000_000;
/// The largest multiple of what is accepted that may be sent.
const MAX_MULTIPLE: f64 = 1_000.0;

/// What a budget goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BudgetMode {
    /// Retries are a share of the calls, and some a second in any case, over a window. As Finagle's.
    #[default]
    Share,
    /// Retries take tokens, more after a timeout, and good answers give them back. As the AWS SDKs' standard mode.
    Tokens,
    /// What is sent is a multiple of what is accepted: beyond it, first attempts are refused too, by chance. As the adaptive
    /// throttling of Google's SRE book.
    AcceptRatio,
}

impl BudgetMode {
    /// Every mode.
    pub const ALL: &[Self] = &Self::EVERY;
    pub(crate) const EVERY: [Self; 3] = [Self::Share, Self::Tokens, Self::AcceptRatio];

    /// The name that policy files use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Tokens => "tokens",
            Self::AcceptRatio => "accept_ratio",
        }
    }
}

impl fmt::Display for BudgetMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A retry budget's settings, checked. Built by [`BudgetConfig::builder`]; the default is Finagle's:
/// retries may add 20 % to the calls, and 10 a second in any case, over 10 s.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BudgetConfig {
    mode: BudgetMode,
    ratio: f64,
    min_per_second: f64,
    window: Duration,
    tokens: u32,
    retry_cost: u32,
    timeout_cost: u32,
    accepts_multiple: f64,
}

impl BudgetConfig {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> BudgetBuilder {
        BudgetBuilder::default()
    }
    /// What it goes by. Default: a share of the calls.
    #[must_use]
    pub fn mode(&self) -> BudgetMode {
        self.mode
    }
    /// Mode `share`: retries allowed as a share of calls. Default 0.2.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.ratio
    }
    /// Mode `share`: retries allowed each second however few calls there are. Default 10.
    #[must_use]
    pub fn min_per_second(&self) -> f64 {
        self.min_per_second
    }
    /// Modes `share` and `accept_ratio`: what all is taken over. Default 10 s, and 2 min.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }
    /// Mode `tokens`: how many there are at most, and at first. Default 500.
    #[must_use]
    pub fn tokens(&self) -> u32 {
        self.tokens
    }
    /// Mode `tokens`: what a retry takes. Default 5.
    #[must_use]
    pub fn retry_cost(&self) -> u32 {
        self.retry_cost
    }
    /// Mode `tokens`: what a retry takes after a timeout. Default 10.
    #[must_use]
    pub fn timeout_cost(&self) -> u32 {
        self.timeout_cost
    }
    /// Mode `accept_ratio`: K, how many times what was accepted is sent before any is refused. Default 2.
    #[must_use]
    pub fn accepts_multiple(&self) -> f64 {
        self.accepts_multiple
    }
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self {
            mode: BudgetMode::Share,
            ratio: 0.2,
            min_per_second: 10.0,
            window: Duration::from_secs(10),
            tokens: 500,
            retry_cost: 5,
            timeout_cost: 10,
            accepts_multiple: 2.0,
        }
    }
}

/// Builds a [`BudgetConfig`], checking every setting.
#[derive(Clone, Debug, Default)]
pub struct BudgetBuilder {
    config: BudgetConfig,
    /// Kept apart, because its default is the mode's.
    window: Option<Duration>,
    /// Settings that were given, each with the mode that it is for.
    given: Vec<(&'static str, BudgetMode)>,
}

impl BudgetBuilder {
    /// What it goes by.
    #[must_use]
    pub fn mode(mut self, mode: BudgetMode) -> Self {
        self.config.mode = mode;
        self
    }
    /// Retries allowed as a share of calls; 0 to 1. For the mode `share`.
    #[must_use]
    pub fn ratio(mut self, ratio: f64) -> Self {
        self.config.ratio = ratio;
        self.given("ratio", BudgetMode::Share)
    }
    /// Retries allowed each second however few calls there are; 0 to 1,000,000. For the mode `share`.
    #[must_use]
    pub fn min_per_second(mut self, retries: f64) -> Self {
        self.config.min_per_second = retries;
        self.given("min_per_second", BudgetMode::Share)
    }
    /// What all is taken over; 100 ms to 1 day. For the modes `share` and `accept_ratio`.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }
    /// How many tokens there are at most, and at first; 1 to 1,000,000,000. For the mode `tokens`.
    #[must_use]
    pub fn tokens(mut self, tokens: u32) -> Self {
        self.config.tokens = tokens;
        self.given("tokens", BudgetMode::Tokens)
    }
    /// How many a retry takes; 1 to `tokens`. For the mode `tokens`.
    #[must_use]
    pub fn retry_cost(mut self, tokens: u32) -> Self {
        self.config.retry_cost = tokens;
        self.given("retry_cost", BudgetMode::Tokens)
    }
    /// How many a retry takes after a timeout; 1 to `tokens`. For the mode `tokens`.
    #[must_use]
    pub fn timeout_cost(mut self, tokens: u32) -> Self {
        self.config.timeout_cost = tokens;
        self.given("timeout_cost", BudgetMode::Tokens)
    }
    /// How many times what was accepted is sent before any is refused; 1 to 1,000. For the mode `accept_ratio`.
    #[must_use]
    pub fn accepts_multiple(mut self, multiple: f64) -> Self {
        self.config.accepts_multiple = multiple;
        self.given("accepts_multiple", BudgetMode::AcceptRatio)
    }

    fn given(mut self, key: &'static str, mode: BudgetMode) -> Self {
        self.given.push((key, mode));
        self
    }

    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range, is for another mode, or contradicts another.
    pub fn build(self) -> Result<BudgetConfig, InvalidSettings> {
        let mut check = Constraints::default();
        let mut config = self.config;
        for (key, mode) in self.given {
            let allowed = format!("left out: it is for the mode \"{mode}\"");
            check.agree(mode == config.mode, (key, "mode"), config.mode.as_str(), allowed);
        }
        config.window = self.window.unwrap_or(match config.mode {
            BudgetMode::AcceptRatio => Duration::from_secs(120),
            BudgetMode::Share | BudgetMode::Tokens => config.window,
        });
        check.agree(
            self.window.is_none() || config.mode != BudgetMode::Tokens,
            ("window", "mode"),
            config.window,
            "left out: tokens have no window",
        );
        config.check_share(&mut check);
        config.check_tokens(&mut check);
        check.require(
            (1.0..=MAX_MULTIPLE).contains(&config.accepts_multiple),
            "accepts_multiple",
            config.accepts_multiple,
            format!("from 1 to {MAX_MULTIPLE} (2 sends twice what is accepted)"),
        );
        check.finish(config)
    }
}

impl BudgetConfig {
    fn check_share(&self, check: &mut Constraints) {
        check.require(
            (0.0..=1.0).contains(&self.ratio),
            "ratio",
            self.ratio,
            "from 0 to 1 (0.2 lets retries add 20 %)",
        );
        check.require(
            (0.0..=MAX_BUDGET_PER_SECOND).contains(&self.min_per_second),
            "min_per_second",
            self.min_per_second,
            format!("from 0 to {MAX_BUDGET_PER_SECOND}"),
        );
        check.agree(
            self.ratio != 0.0 || self.min_per_second != 0.0,
            ("ratio", "min_per_second"),
            self.ratio,
            "above 0 when min_per_second is 0 (to retry nothing, set max_attempts to 1)",
        );
        check.require(
            self.window >= MIN_BUDGET_WINDOW && self.window <= MAX_BUDGET_WINDOW,
            "window",
            self.window,
            "from 100ms to 1day",
        );
    }

    fn check_tokens(&self, check: &mut Constraints) {
        check.require(
            (1..=MAX_BUDGET_TOKENS).contains(&self.tokens),
            "tokens",
            self.tokens,
            format!("from 1 to {MAX_BUDGET_TOKENS}"),
        );
        for (key, cost) in [("retry_cost", self.retry_cost), ("timeout_cost", self.timeout_cost)] {
            let allowed = format!("from 1 to tokens ({})", self.tokens);
            check.agree(cost >= 1 && cost <= self.tokens, (key, "tokens"), cost, allowed);
        }
    }
}
