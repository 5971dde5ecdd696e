//! An adaptive threshold's settings.

use std::time::Duration;

use serde::Serialize;

use crate::breaker::MAX_WINDOW_CALLS;
use crate::constraint::{Constraints, InvalidSettings};

use super::week::UtcOffset;

/// The shortest window.
pub const MIN_WINDOW: Duration = Duration::from_millis(100);
/// The longest window.
pub const MAX_WINDOW: Duration = Duration::from_secs(3600);
/// The shortest half-life.
pub const MIN_HALF_LIFE: Duration = Duration::from_secs(24 * 3600);
/// The longest half-life: ten years.
pub const MAX_HALF_LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);

/// Furthest from the baseline that a threshold may be told to be.
const MAX_SPREADS: f64 = 100.0;
/// Within these, alpha means something.
const ALPHAS: std::ops::RangeInclusive<f64> = 1e-15..=0.01;

/// The settings of an adaptive threshold, checked. Built by [`Config::builder`]; the default is what the
/// builder gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Config {
    min: f64,
    max: f64,
    spreads: f64,
    alpha: f64,
    min_calls: u32,
    window: Duration,
    half_life: Duration,
    utc_offset: UtcOffset,
}

impl Config {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }
    /// The threshold is never lower. Default 0.05.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.min
    }
    /// The threshold is never higher, and stays near here for an hour of the week that has not been seen. Default 0.6.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.max
    }
    /// How many spreads above the baseline the threshold is. Default 3.
    #[must_use]
    pub fn spreads(&self) -> f64 {
        self.spreads
    }
    /// How improbable under the baseline the failures of a window must be. Default 1e-7.
    #[must_use]
    pub fn alpha(&self) -> f64 {
        self.alpha
    }
    /// With fewer calls than this in a window it never opens. Default 10.
    #[must_use]
    pub fn min_calls(&self) -> u32 {
        self.min_calls
    }
    /// The stretch of time that is looked at, in ten buckets that slide as one. Default 30 s.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }
    /// After this long what was learned counts half. Default 28 days.
    #[must_use]
    pub fn half_life(&self) -> Duration {
        self.half_life
    }
    /// Whose week it is. Default UTC.
    #[must_use]
    pub fn utc_offset(&self) -> UtcOffset {
        self.utc_offset
    }
}

impl Default for Config {
    fn default() -> Self {
        let Builder { min, max, spreads, alpha, min_calls, window, half_life, utc_offset } =
            Builder::default();
        Self { min, max, spreads, alpha, min_calls, window, half_life, utc_offset }
    }
}

/// Builds a [`Config`], checking every setting.
#[derive(Clone, Debug)]
pub struct Builder {
    min: f64,
    max: f64,
    spreads: f64,
    alpha: f64,
    min_calls: u32,
    window: Duration,
    half_life: Duration,
    utc_offset: UtcOffset,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            min: 0.05,
            max: 0.6,
            spreads: 3.0,
            alpha: 1e-7,
            min_calls: 10,
            window: Duration::from_secs(30),
            half_life: Duration::from_secs(28 * 24 * 3600),
            utc_offset: UtcOffset::UTC,
        }
    }
}

impl Builder {
    /// The lowest threshold, in `(0, 1]`, at most `max`.
    #[must_use]
    pub fn min(mut self, share: f64) -> Self {
        self.min = share;
        self
    }
    /// The highest threshold, in `(0, 1]`.
    #[must_use]
    pub fn max(mut self, share: f64) -> Self {
        self.max = share;
        self
    }
    /// How many spreads above the baseline the threshold is; 0 to 100.
    #[must_use]
    pub fn spreads(mut self, spreads: f64) -> Self {
        self.spreads = spreads;
        self
    }
    /// How improbable it must be; 1e-15 to 0.01.
    ///
    /// It is looked at with every outcome, so the chance of one false alarm a day is more than `alpha`: at
    /// most `alpha` times the failures of that day and twice the tenths of a `window` in it, for each look
    /// that can find more than the one before is one more try.
    #[must_use]
    pub fn alpha(mut self, probability: f64) -> Self {
        self.alpha = probability;
        self
    }
    /// Calls that a window must hold; 1 to 1,000,000.
    #[must_use]
    pub fn min_calls(mut self, calls: u32) -> Self {
        self.min_calls = calls;
        self
    }
    /// The stretch of time that is looked at; 100 ms to 1 h.
    #[must_use]
    pub fn window(mut self, length: Duration) -> Self {
        self.window = length;
        self
    }
    /// After how long what was learned counts half; 1 to 3,650 days.
    #[must_use]
    pub fn half_life(mut self, half_life: Duration) -> Self {
        self.half_life = half_life;
        self
    }
    /// Whose week it is.
    #[must_use]
    pub fn utc_offset(mut self, offset: UtcOffset) -> Self {
        self.utc_offset = offset;
        self
    }

    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range or contradicts another.
    pub fn build(self) -> Result<Config, InvalidSettings> {
        let Self { min, max, spreads, alpha, min_calls, window, half_life, utc_offset } = self;
        let mut check = Constraints::default();
        for (key, share) in [("min", min), ("max", max)] {
            check.require(share > 0.0 && share <= 1.0, key, share, "above 0 and at most 1");
        }
        // Of two numbers; one that is none has been told of.
        let in_order = min <= max || min.is_nan() || max.is_nan();
        check.agree(in_order, ("min", "max"), min, format!("at most max ({max})"));
        check.require(
            (0.0..=MAX_SPREADS).contains(&spreads),
            "spreads",
            spreads,
            format!("from 0 to {MAX_SPREADS}"),
        );
        check.require(ALPHAS.contains(&alpha), "alpha", alpha, "from 1e-15 to 0.01");
        check.require(
            (1..=MAX_WINDOW_CALLS).contains(&min_calls),
            "min_calls",
            min_calls,
            format!("from 1 to {MAX_WINDOW_CALLS}"),
        );
        check.require(
            (MIN_WINDOW..=MAX_WINDOW).contains(&window),
            "window",
            window,
            "from 100ms to 1h",
        );
        check.require(
            (MIN_HALF_LIFE..=MAX_HALF_LIFE).contains(&half_life),
            "half_life",
            half_life,
            "from 1day to 3650days",
        );
        check.finish(Config { min, max, spreads, alpha, min_calls, window, half_life, utc_offset })
    }
}
