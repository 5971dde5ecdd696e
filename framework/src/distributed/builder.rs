//! How shared limits are set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::constraint::InvalidSettings;
use crate::limit::{KeyedConfig, SharedConfig, SharedConfigBuilder, SharedLimit};
use crate::time::Time;

use super::assemble::Parts;
use super::limits::SharedLimits;
use super::members::any_name;
use super::store::Store;

/// Sets up [`SharedLimits`]. Made by [`SharedLimits::builder`].
#[must_use]
pub struct SharedLimitsBuilder {
    store: Arc<dyn Store>,
    config: SharedConfigBuilder,
    group: Option<Arc<str>>,
    instance: Option<Arc<str>>,
    keys: KeyedConfig,
    time: Time,
}

impl SharedLimitsBuilder {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            config: SharedConfig::builder(),
            group: None,
            instance: None,
            keys: KeyedConfig::default(),
            time: Time::usual(),
        }
    }

    fn with(self, set: impl FnOnce(SharedConfigBuilder) -> SharedConfigBuilder) -> Self {
        Self { config: set(self.config), ..self }
    }

    /// Adds a limit; the widest first, the narrowest last.
    pub fn limit(self, limit: SharedLimit) -> Self {
        self.with(|config| config.limit(limit))
    }

    /// How long the store may take to decide, connecting included; then [`OnFailure`](super::OnFailure) does. From 1 ms to 10 s;
    /// default 50 ms.
    pub fn decide_within(self, limit: Duration) -> Self {
        self.with(|config| config.decide_within(limit))
    }

    /// How long a lease lasts; see [`SharedConfigBuilder::lease_term`]. From 100 ms to 1 min; default 1 s.
    pub fn lease_term(self, term: Duration) -> Self {
        self.with(|config| config.lease_term(term))
    }

    /// How many instances there are, until the store has said so for the first time. Default 1.
    pub fn expected_instances(self, count: u64) -> Self {
        self.with(|config| config.expected_instances(count))
    }

    /// What those who share these limits call themselves: among them instances are counted. Default: the names of the limits.
    pub fn group(self, name: impl Into<Arc<str>>) -> Self {
        Self { group: Some(name.into()), ..self }
    }

    /// What this instance is called; no two may have the same name. Default: 128 random bits.
    pub fn instance(self, name: impl Into<Arc<str>>) -> Self {
        Self { instance: Some(name.into()), ..self }
    }

    /// How many keys each limit remembers in this process: of leases, shares, and what stands in for the store. Default 100,000.
    pub fn max_keys(self, keys: KeyedConfig) -> Self {
        Self { keys, ..self }
    }

    /// Other time than the system's; on a tokio runtime whose clock a test has paused, that is followed by itself.
    pub fn time(self, time: Time) -> Self {
        Self { time, ..self }
    }

    /// The limits, checked. Nothing is sent yet.
    ///
    /// # Errors
    /// As [`SharedConfigBuilder::build`]; on a Cluster, exact limits of different subjects, which it cannot decide in one step.
    pub fn build(self) -> Result<SharedLimits, InvalidSettings> {
        let config = self.config.clone().build()?;
        self.build_by(&config)
    }

    /// The same by settings that were checked before.
    pub(crate) fn build_by(self, config: &SharedConfig) -> Result<SharedLimits, InvalidSettings> {
        if !self.store.joins_subjects() {
            config.check_apart()?;
        }
        let instance = self.instance.unwrap_or_else(any_name);
        let parts = Parts {
            store: self.store,
            time: self.time,
            group: self.group.unwrap_or_else(|| {
                let names: Vec<_> = config.limits().iter().map(SharedLimit::name).collect();
                names.join("+").into()
            }),
            instance,
            keys: self.keys,
            counters: Arc::default(),
        };
        Ok(SharedLimits::new(parts.assemble(config, None)))
    }
}

impl fmt::Debug for SharedLimitsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SharedLimitsBuilder");
        debug.field("store", &self.store).field("config", &self.config).finish_non_exhaustive()
    }
}
