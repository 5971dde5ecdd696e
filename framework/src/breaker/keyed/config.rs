//! Settings of a breaker for each key.

use std::time::Duration;

use serde::Serialize;

use crate::breaker::Config;
use crate::setting::{Check, InvalidSettings};

/// The most keys that may have a breaker of their own.
pub const MAX_KEYS: usize = 1_000_000;
/// The longest that a key nobody uses may be kept: 30 days.
pub const MAX_IDLE_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);

const DEFAULT_KEYS: usize = 10_000;
const DEFAULT_IDLE_AFTER: Duration = Duration::from_secs(600);

/// The settings of [`Keyed`](super::Keyed), checked. Built by [`KeyedConfig::builder`]. By default
/// 10,000 keys, each forgotten after 10 minutes without use.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyedConfig {
    breaker: Config,
    max_keys: usize,
    idle_after: Duration,
}

impl KeyedConfig {
    /// Starts from the defaults, with these settings for each key's breaker.
    #[must_use]
    pub fn builder(breaker: Config) -> KeyedBuilder {
        KeyedBuilder { breaker, max_keys: DEFAULT_KEYS, idle_after: DEFAULT_IDLE_AFTER }
    }
    /// The settings of each key's breaker, and of the one for keys that find no room.
    #[must_use]
    pub fn breaker(&self) -> &Config {
        &self.breaker
    }
    /// How many keys may have a breaker of their own at once. Default 10,000.
    #[must_use]
    pub fn max_keys(&self) -> usize {
        self.max_keys
    }
    /// How long after its last use a key may be forgotten. Default 10 minutes.
    #[must_use]
    pub fn idle_after(&self) -> Duration {
        self.idle_after
    }
}

impl From<Config> for KeyedConfig {
    /// These settings for each key, and the defaults for the rest.
    fn from(breaker: Config) -> Self {
        Self { breaker, max_keys: DEFAULT_KEYS, idle_after: DEFAULT_IDLE_AFTER }
    }
}

/// Builds a [`KeyedConfig`], checking every setting.
#[derive(Clone, Debug)]
pub struct KeyedBuilder {
    breaker: Config,
    max_keys: usize,
    idle_after: Duration,
}

impl KeyedBuilder {
    /// How many keys may have a breaker of their own at once; 1 to 1,000,000.
    #[must_use]
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }
    /// How long after its last use a key may be forgotten; 1 ms to 30 days. A window of time that is
    /// longer than this is cut short by it for keys that are seldom used.
    #[must_use]
    pub fn idle_after(mut self, idle_after: Duration) -> Self {
        self.idle_after = idle_after;
        self
    }

    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn build(self) -> Result<KeyedConfig, InvalidSettings> {
        let mut check = Check::default();
        check.require(
            (1..=MAX_KEYS).contains(&self.max_keys),
            "max_keys",
            self.max_keys,
            format!("from 1 to {MAX_KEYS}"),
        );
        check.require(
            self.idle_after >= Duration::from_millis(1) && self.idle_after <= MAX_IDLE_AFTER,
            "idle_after",
            self.idle_after,
            "from 1ms to 30days",
        );
        let Self { breaker, max_keys, idle_after } = self;
        check.finish(KeyedConfig { breaker, max_keys, idle_after })
    }
}
