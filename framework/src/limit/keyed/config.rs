//! Settings of a limiter for each key.

use serde::Serialize;

use crate::constraint::{Constraints, InvalidSettings};

/// The most keys that may have a limiter of their own.
pub const MAX_KEYS: usize = 10_000_000;

const DEFAULT_KEYS: usize = 100_000;

/// The settings of [`KeyedLimiter`](super::KeyedLimiter), checked. Built by [`KeyedConfig::builder`].
/// By default 100,000 keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeyedConfig {
    max_keys: usize,
}

impl KeyedConfig {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> KeyedBuilder {
        KeyedBuilder(Self::default())
    }
    /// How many keys may have a limiter of their own at once. Default 100,000.
    #[must_use]
    pub fn max_keys(&self) -> usize {
        self.max_keys
    }
}

impl Default for KeyedConfig {
    fn default() -> Self {
        Self { max_keys: DEFAULT_KEYS }
    }
}

/// Builds a [`KeyedConfig`], checking every setting.
#[derive(Clone, Debug, Default)]
pub struct KeyedBuilder(KeyedConfig);

impl KeyedBuilder {
    /// How many keys may have a limiter of their own at once; 1 to 10,000,000. Set it above the number
    /// of keys in use within the time that a limiter takes to fill up: beyond it new keys share one.
    #[must_use]
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.0.max_keys = keys;
        self
    }

    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn build(self) -> Result<KeyedConfig, InvalidSettings> {
        let mut check = Constraints::default();
        check.require(
            (1..=MAX_KEYS).contains(&self.0.max_keys),
            "max_keys",
            self.0.max_keys,
            format!("from 1 to {MAX_KEYS}"),
        );
        check.finish(self.0)
    }
}
