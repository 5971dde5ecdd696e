//! When a second attempt is made beside one that has no answer yet.

use std::time::Duration;

use serde::Serialize;

use crate::constraint::{Constraints, InvalidSettings};

/// The longest wait before a hedge.
const MAX_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most hedges of one call.
pub const MAX_HEDGES: u32 = 10;

/// Hedging, as in J. Dean, L. A. Barroso, "The Tail at Scale", Communications of the ACM 56 (2), 2013: an attempt that takes
/// longer than most gets another one beside it, and the first good answer counts. Built by [`HedgeConfig::builder`].
///
/// It shortens the tail of a dependency whose slow answers are accidents of one request, at the price of a few percent more
/// load. It does nothing good for one that is slow because it has too much to do: so hedges count in the retry budget, and none
/// is made while the breaker is not closed or no permit is free.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HedgeConfig {
    after: Option<Duration>,
    percentile: Option<f64>,
    max: u32,
}

impl HedgeConfig {
    /// Starts with neither a delay nor a percentile: one has to be given.
    #[must_use]
    pub fn builder() -> HedgeBuilder {
        HedgeBuilder::default()
    }
    /// After how long an attempt gets another one beside it; with a percentile, while that is not known. Default: none.
    #[must_use]
    pub fn after(&self) -> Option<Duration> {
        self.after
    }
    /// The share of the good answers of late that came sooner than that, method by method. Default: none.
    #[must_use]
    pub fn percentile(&self) -> Option<f64> {
        self.percentile
    }
    /// How many hedges at most beside an attempt, each as long after the one before. Default 1.
    #[must_use]
    pub fn max(&self) -> u32 {
        self.max
    }

    /// How long to wait for an answer, where this is how long good answers take by the percentile.
    pub(crate) fn delay(&self, observed: Option<Duration>) -> Option<Duration> {
        self.percentile.and(observed).or(self.after)
    }
}

/// Builds a [`HedgeConfig`], checking every setting.
#[derive(Clone, Debug)]
pub struct HedgeBuilder(HedgeConfig);

impl Default for HedgeBuilder {
    fn default() -> Self {
        Self(HedgeConfig { after: None, percentile: None, max: 1 })
    }
}

impl HedgeBuilder {
    /// After how long an attempt gets another one beside it; 1 ms to 30 days.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.0.after = Some(delay);
        self
    }
    /// The same, as a percentile of the good answers of late: 0.95 hedges one attempt in twenty; 0.5 to 0.999. It is known
    /// after 20 good answers.
    #[must_use]
    pub fn percentile(mut self, share: f64) -> Self {
        self.0.percentile = Some(share);
        self
    }
    /// How many hedges at most beside an attempt; 1 to 10.
    #[must_use]
    pub fn max(mut self, hedges: u32) -> Self {
        self.0.max = hedges;
        self
    }
    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range or contradicts another.
    pub fn build(self) -> Result<HedgeConfig, InvalidSettings> {
        let mut check = Constraints::default();
        let config = self.0;
        check.agree(
            config.after.is_some() || config.percentile.is_some(),
            ("after", "percentile"),
            config.after,
            "given, or percentile",
        );
        check.require(
            config.after.is_none_or(|it| it >= Duration::from_millis(1) && it <= MAX_AFTER),
            "after",
            config.after.unwrap_or_default(),
            "from 1ms to 30days",
        );
        check.require(
            config.percentile.is_none_or(|share| (0.5..=0.999).contains(&share)),
            "percentile",
            config.percentile.unwrap_or_default(),
            "from 0.5 to 0.999 (0.95 hedges one attempt in twenty)",
        );
        check.require(
            (1..=MAX_HEDGES).contains(&config.max),
            "max",
            config.max,
            format!("from 1 to {MAX_HEDGES}"),
        );
        check.finish(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_that_is_known_goes_before_the_fixed_delay() {
        let ms = Duration::from_millis;
        let both = HedgeConfig::builder().after(ms(50)).percentile(0.95).build().unwrap();
        assert_eq!(both.delay(None), Some(ms(50)));
        assert_eq!(both.delay(Some(ms(7))), Some(ms(7)));
        let fixed = HedgeConfig::builder().after(ms(50)).build().unwrap();
        assert_eq!(fixed.delay(Some(ms(7))), Some(ms(50)));
        let live = HedgeConfig::builder().percentile(0.95).build().unwrap();
        assert_eq!(live.delay(None), None);
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let said = |builder: HedgeBuilder| builder.build().unwrap_err().to_string();
        assert_eq!(said(HedgeConfig::builder()), "after = None: must be given, or percentile");
        let wrong = HedgeConfig::builder().after(Duration::ZERO).percentile(1.0).max(0);
        assert_eq!(
            said(wrong),
            "after = 0ns: must be from 1ms to 30days; \
             percentile = 1.0: must be from 0.5 to 0.999 (0.95 hedges one attempt in twenty); \
             max = 0: must be from 1 to 10"
        );
    }
}
