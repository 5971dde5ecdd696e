//! How shared limits are set up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use crate::constraint::InvalidSettings;
use crate::entropy::Entropy;
use crate::limit::{KeyedConfig, Mode, SharedConfig, SharedConfigBuilder, SharedLimit};
use crate::time::Time;

use super::deciding::Inner;
use super::exact::Exact;
use super::layer::Layer;
use super::leased::Leased;
use super::limits::SharedLimits;
use super::members::Members;
use super::store::Store;

/// Signs of life in a lease's length.
const BEATS_A_TERM: u32 = 3;

/// Sets up [`SharedLimits`]. Made by [`SharedLimits::builder`].
#[must_use]
pub struct SharedLimitsBuilder {
    store: Arc<dyn Store>,
    config: SharedConfigBuilder,
    instance: Option<Arc<str>>,
    keys: KeyedConfig,
    time: Time,
}

impl SharedLimitsBuilder {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            config: SharedConfig::builder(),
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
        Ok(SharedLimits::new(self.into_inner(config)))
    }

    fn into_inner(self, config: &SharedConfig) -> Inner {
        let now = self.time.now();
        let instance = self.instance.unwrap_or_else(|| {
            let chance = Entropy::system();
            format!("{:016x}{:016x}", chance.next_u64(), chance.next_u64()).into()
        });
        let layer = |limit: &SharedLimit| {
            let is_leased = limit.mode == Mode::Leased;
            let mut layer = Layer::new(limit.clone(), self.keys, now);
            layer.leased = is_leased.then(|| {
                Leased::new(
                    (Arc::clone(&self.store), self.time.clone()),
                    layer.limit.clone(),
                    Arc::clone(&instance),
                    (config.decide_within(), config.lease_term()),
                    self.keys.max_keys(),
                )
            });
            layer
        };
        let layers: Box<[Layer]> = config.limits().iter().map(layer).collect();
        let (exact_at, here_at) = (0..layers.len()).partition(|at| layers[*at].is_exact());
        Inner {
            exact: Exact::new(Arc::clone(&self.store), self.time.clone()),
            members: Members::new(
                instance,
                config.expected_instances(),
                config.lease_term() / BEATS_A_TERM,
            ),
            store: self.store,
            time: self.time,
            layers,
            exact_at,
            here_at,
            decide_within: config.decide_within(),
            is_tended: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            decisions: [AtomicU64::new(0), AtomicU64::new(0)],
        }
    }
}

impl fmt::Debug for SharedLimitsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SharedLimitsBuilder");
        debug.field("store", &self.store).field("config", &self.config).finish_non_exhaustive()
    }
}
