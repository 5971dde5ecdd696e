//! How shared limits are set up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use crate::constraint::{Constraints, InvalidSettings};
use crate::entropy::Entropy;
use crate::limit::KeyedConfig;
use crate::time::Time;

use super::deciding::Inner;
use super::exact::Exact;
use super::layer::Layer;
use super::leased::Leased;
use super::limits::SharedLimits;
use super::members::Members;
use super::settings::{self, Mode, SharedLimit};
use super::store::Store;

const DECIDE_WITHIN: Duration = Duration::from_millis(50);
const LEASE_TERM: Duration = Duration::from_secs(1);
/// Signs of life in a lease's length.
const BEATS_A_TERM: u32 = 3;

/// Sets up [`SharedLimits`]. Made by [`SharedLimits::builder`].
#[must_use]
pub struct SharedLimitsBuilder {
    store: Arc<dyn Store>,
    limits: Vec<SharedLimit>,
    decide_within: Duration,
    term: Duration,
    expected: u64,
    instance: Option<Arc<str>>,
    keys: KeyedConfig,
    time: Time,
}

impl SharedLimitsBuilder {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            limits: Vec::new(),
            decide_within: DECIDE_WITHIN,
            term: LEASE_TERM,
            expected: 1,
            instance: None,
            keys: KeyedConfig::default(),
            time: Time::usual(),
        }
    }

    /// Adds a limit; the widest first, the narrowest last.
    pub fn limit(mut self, limit: SharedLimit) -> Self {
        self.limits.push(limit);
        self
    }

    /// How long the store may take to decide, connecting included; then [`OnFailure`](super::OnFailure) does. From 1 ms to 10 s;
    /// default 50 ms.
    pub fn decide_within(self, limit: Duration) -> Self {
        Self { decide_within: limit, ..self }
    }

    /// How long a lease lasts: what is not used so long is given back, and a store that has lost its state listens so long before
    /// it leases again. An instance gives a sign of life three times in it, and is taken for dead a lease's length after its last.
    /// From 100 ms to 1 min; default 1 s.
    pub fn lease_term(self, term: Duration) -> Self {
        Self { term, ..self }
    }

    /// How many instances there are, until the store has said so for the first time. Default 1.
    pub fn expected_instances(self, count: u64) -> Self {
        Self { expected: count, ..self }
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
    /// Every setting that is out of range; no limit or more than 16; a name that is taken or none; on a Cluster, exact limits of
    /// different subjects, which it cannot decide in one step.
    pub fn build(self) -> Result<SharedLimits, InvalidSettings> {
        let mut check = Constraints::default();
        check.note(settings::check(&self.limits, self.store.joins_subjects()));
        let in_range = |value: Duration, from: u64, to: u64| {
            (Duration::from_millis(from)..=Duration::from_millis(to)).contains(&value)
        };
        let ok = in_range(self.decide_within, 1, 10_000);
        check.require(ok, "decide_within", self.decide_within, "from 1ms to 10s");
        let ok = in_range(self.term, 100, 60_000);
        check.require(ok, "lease_term", self.term, "from 100ms to 1min");
        check.require(self.expected >= 1, "expected_instances", self.expected, "at least 1");
        check.finish(())?;
        Ok(SharedLimits::new(self.into_inner()))
    }

    fn into_inner(self) -> Inner {
        let now = self.time.now();
        let instance = self.instance.unwrap_or_else(|| {
            let chance = Entropy::system();
            format!("{:016x}{:016x}", chance.next_u64(), chance.next_u64()).into()
        });
        let layer = |limit: SharedLimit| {
            let is_leased = limit.mode == Mode::Leased;
            let mut layer = Layer::new(limit, self.keys, now);
            layer.leased = is_leased.then(|| {
                Leased::new(
                    (Arc::clone(&self.store), self.time.clone()),
                    layer.limit.clone(),
                    Arc::clone(&instance),
                    (self.decide_within, self.term),
                    self.keys.max_keys(),
                )
            });
            layer
        };
        let layers: Box<[Layer]> = self.limits.into_iter().map(layer).collect();
        let (exact_at, here_at) = (0..layers.len()).partition(|at| layers[*at].is_exact());
        Inner {
            exact: Exact::new(Arc::clone(&self.store), self.time.clone()),
            members: Members::new(instance, self.expected, self.term / BEATS_A_TERM),
            store: self.store,
            time: self.time,
            layers,
            exact_at,
            here_at,
            decide_within: self.decide_within,
            is_tended: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            decisions: [AtomicU64::new(0), AtomicU64::new(0)],
        }
    }
}

impl fmt::Debug for SharedLimitsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SharedLimitsBuilder");
        debug.field("store", &self.store).field("limits", &self.limits).finish_non_exhaustive()
    }
}
