//! Settings of a breaker for each key.

use std::time::Duration;

use serde::Serialize;

use crate::breaker::Config;
use crate::constraint::{Constraints, InvalidSettings};

/// The most keys that may have a breaker of their own.
pub const MAX_KEYS: usize = 1_000_000;
/// The longest that a key nobody uses may be kept: 30 days.
pub const MAX_IDLE_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);

const DEFAULT_KEYS: usize = 10_000;
const DEFAULT_IDLE_AFTER: Duration = Duration::from_secs(600);

/// How many keys there may be, for how long, and who learns from them; what a policy says of its keys. Built by
/// [`Keys::builder`]. By default 10,000 keys, each forgotten after 10 minutes without use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Keys {
    max_keys: usize,
    idle_after: Duration,
    count_for_dependency: bool,
}

impl Default for Keys {
    fn default() -> Self {
        Self { max_keys: DEFAULT_KEYS, idle_after: DEFAULT_IDLE_AFTER, count_for_dependency: false }
    }
}

impl Keys {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> KeysBuilder {
        KeysBuilder::default()
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
    /// Whether an attempt with a key teaches the dependency's own breaker too. Default false.
    #[must_use]
    pub fn count_for_dependency(&self) -> bool {
        self.count_for_dependency
    }
}

/// Builds [`Keys`], checking every setting.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeysBuilder(Keys);

impl KeysBuilder {
    /// [`KeysBuilder::max_keys`], as a policy file has it.
    #[must_use]
    pub(crate) fn max_keys_u32(self, keys: u32) -> Self {
        self.max_keys(usize::try_from(keys).unwrap_or(usize::MAX))
    }
    /// How many keys may have a breaker of their own at once; 1 to 1,000,000.
    #[must_use]
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.0.max_keys = keys;
        self
    }
    /// How long after its last use a key may be forgotten; 1 ms to 30 days. A window of time that is
    /// longer than this is cut short by it for keys that are seldom used.
    #[must_use]
    pub fn idle_after(mut self, idle_after: Duration) -> Self {
        self.0.idle_after = idle_after;
        self
    }
    /// Whether an attempt with a key teaches the dependency's own breaker too, so that one bad key can open
    /// it for all, and an outage of everything is noticed before each key has had its failures.
    #[must_use]
    pub fn count_for_dependency(mut self, count: bool) -> Self {
        self.0.count_for_dependency = count;
        self
    }

    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn build(self) -> Result<Keys, InvalidSettings> {
        let Keys { max_keys, idle_after, .. } = self.0;
        let mut check = Constraints::default();
        check.require(
            (1..=MAX_KEYS).contains(&max_keys),
            "max_keys",
            max_keys,
            format!("from 1 to {MAX_KEYS}"),
        );
        check.require(
            idle_after >= Duration::from_millis(1) && idle_after <= MAX_IDLE_AFTER,
            "idle_after",
            idle_after,
            "from 1ms to 30days",
        );
        check.finish(self.0)
    }
}

/// The settings of [`Keyed`](super::Keyed), checked. Built by [`KeyedConfig::builder`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyedConfig {
    breaker: Config,
    keys: Keys,
}

impl KeyedConfig {
    /// Starts from the defaults, with these settings for each key's breaker.
    #[must_use]
    pub fn builder(breaker: Config) -> KeyedBuilder {
        KeyedBuilder { breaker, keys: KeysBuilder::default() }
    }
    /// The settings of each key's breaker, and of the one for keys that find no room.
    #[must_use]
    pub fn breaker(&self) -> &Config {
        &self.breaker
    }
    /// How many keys there may be, and for how long.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }
    /// How many keys may have a breaker of their own at once. Default 10,000.
    #[must_use]
    pub fn max_keys(&self) -> usize {
        self.keys.max_keys
    }
    /// How long after its last use a key may be forgotten. Default 10 minutes.
    #[must_use]
    pub fn idle_after(&self) -> Duration {
        self.keys.idle_after
    }
}

impl From<Config> for KeyedConfig {
    /// These settings for each key, and the defaults for the rest. Not for an adaptive threshold, which
    /// [`KeyedBuilder::build`] refuses: nobody tells a key's breaker what the clock on the wall shows.
    fn from(breaker: Config) -> Self {
        Self { breaker, keys: Keys::default() }
    }
}

impl From<(Config, Keys)> for KeyedConfig {
    fn from((breaker, keys): (Config, Keys)) -> Self {
        Self { breaker, keys }
    }
}

/// Builds a [`KeyedConfig`], checking every setting.
#[derive(Clone, Debug)]
pub struct KeyedBuilder {
    breaker: Config,
    keys: KeysBuilder,
}

impl KeyedBuilder {
    /// How many keys may have a breaker of their own at once; 1 to 1,000,000.
    #[must_use]
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.keys = self.keys.max_keys(keys);
        self
    }
    /// How long after its last use a key may be forgotten; 1 ms to 30 days. A window of time that is
    /// longer than this is cut short by it for keys that are seldom used.
    #[must_use]
    pub fn idle_after(mut self, idle_after: Duration) -> Self {
        self.keys = self.keys.idle_after(idle_after);
        self
    }

    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn build(self) -> Result<KeyedConfig, InvalidSettings> {
        let mut check = Constraints::default();
        check.require(
            self.breaker.trip().adaptive.is_none(),
            "adaptive",
            "given",
            "left out: a key's breaker lives too short to learn a week",
        );
        let breaker = check.finish(self.breaker)?;
        Ok(KeyedConfig { breaker, keys: self.keys.build()? })
    }
}
