//! What a set of shared limits is set by, checked.

use std::time::Duration;

use super::one::{Mode, SharedLimit};
use crate::constraint::{Constraints, InvalidSettings};
use crate::limit::layered::MAX_LAYERS;
use crate::limit::quota::{Config, Rate};

/// The most that a shared limit may allow at once: 2^32.
pub const MAX_SHARED_LIMIT: u64 = 1 << 32;
/// The fastest rate of a shared limit, a second: 100 million.
pub const MAX_SHARED_RATE: f64 = 1e8;
/// The longest that a bucket of a shared limit may take to fill: 366 days.
pub const MAX_SHARED_FILL: Duration = Duration::from_secs(366 * 24 * 3600);

/// Longer names are refused, in bytes.
const LONGEST_NAME: usize = 64;

/// The settings of limits that a request passes all of or none of, checked. Built by [`SharedConfig::builder`], or read from
/// a policy file's `[limits.name]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedConfig {
    limits: Vec<SharedLimit>,
    decide_within: Duration,
    lease_term: Duration,
    expected_instances: u64,
}

impl SharedConfig {
    /// Starts from the defaults, without a limit.
    pub fn builder() -> SharedConfigBuilder {
        SharedConfigBuilder(Self {
            limits: Vec::new(),
            decide_within: Duration::from_millis(50),
            lease_term: Duration::from_secs(1),
            expected_instances: 1,
        })
    }
    /// The limits, the widest first.
    pub fn limits(&self) -> &[SharedLimit] {
        &self.limits
    }
    /// How long the store may take to decide. Default 50 ms.
    #[must_use]
    pub fn decide_within(&self) -> Duration {
        self.decide_within
    }
    /// How long a lease lasts. Default 1 s.
    #[must_use]
    pub fn lease_term(&self) -> Duration {
        self.lease_term
    }
    /// How many instances there are, until the store has said so for the first time. Default 1.
    #[must_use]
    pub fn expected_instances(&self) -> u64 {
        self.expected_instances
    }

    /// What a Cluster cannot do: it decides only limits of one subject in one step.
    pub(crate) fn check_apart(&self) -> Result<(), InvalidSettings> {
        let mut check = Constraints::default();
        let exact = || self.limits.iter().filter(|limit| limit.mode == Mode::Exact);
        if exact().count() > 1 {
            for limit in exact() {
                let allowed = "leased or a local share: on a Cluster only limits of one subject are decided together";
                let said = (&limit.name, limit.mode);
                check.agree(limit.is_by_subject(), ("mode", "per"), said, allowed);
            }
        }
        check.finish(())
    }
}

/// Builds a [`SharedConfig`], checking every setting.
#[derive(Clone, Debug)]
#[must_use]
pub struct SharedConfigBuilder(SharedConfig);

impl SharedConfigBuilder {
    /// Adds a limit; the widest first, the narrowest last.
    pub fn limit(mut self, limit: SharedLimit) -> Self {
        self.0.limits.push(limit);
        self
    }

    /// How long the store may take to decide, connecting included; then what `on_failure` says is done. From 1 ms to 10 s.
    pub fn decide_within(mut self, limit: Duration) -> Self {
        self.0.decide_within = limit;
        self
    }

    /// How long a lease lasts: what is not used so long is given back, and a store that has lost its state listens so long before
    /// it leases again. An instance gives a sign of life three times in it, and is taken for dead a lease's length after its last.
    /// From 100 ms to 1 min.
    pub fn lease_term(mut self, term: Duration) -> Self {
        self.0.lease_term = term;
        self
    }

    /// How many instances there are, until the store has said so for the first time; at least 1.
    pub fn expected_instances(mut self, count: u64) -> Self {
        self.0.expected_instances = count;
        self
    }

    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range; no limit or more than 16; a name that is taken, or is not 1 to 64 letters, digits, `_`, `-`
    /// or `.`; a tier by another algorithm than its limit.
    pub fn build(self) -> Result<SharedConfig, InvalidSettings> {
        let config = self.0;
        let mut check = Constraints::default();
        let in_range = |value: Duration, from: u64, to: u64| {
            (Duration::from_millis(from)..=Duration::from_millis(to)).contains(&value)
        };
        let ok = in_range(config.decide_within, 1, 10_000);
        check.require(ok, "decide_within", config.decide_within, "from 1ms to 10s");
        let ok = in_range(config.lease_term, 100, 60_000);
        check.require(ok, "lease_term", config.lease_term, "from 100ms to 1min");
        let expected = config.expected_instances;
        check.require(expected >= 1, "expected_instances", expected, "at least 1");
        let (count, limits) = (config.limits.len(), &config.limits);
        let allowed = format!("from 1 to {MAX_LAYERS} limits");
        check.require((1..=MAX_LAYERS).contains(&count), "limits", count, allowed);
        for (at, limit) in limits.iter().enumerate() {
            check_one(&mut check, limit);
            let is_new = limits[..at].iter().all(|before| before.name != limit.name);
            check.require(is_new, "name", &limit.name, "a name that no other limit of these has");
        }
        check.finish(config)
    }
}

fn check_one(check: &mut Constraints, limit: &SharedLimit) {
    let allowed = "1 to 64 letters, digits, `_`, `-` or `.`";
    check.require(is_name(&limit.name), "name", &limit.name, allowed);
    for config in limit.configs() {
        check_config(check, config);
        let is_same = config.name() == limit.config.name();
        let allowed = format!("by {}, as the limit itself", limit.config.name());
        check.require(is_same, "tiers", config.name(), allowed);
        let lease = limit.lease.unwrap_or(1);
        let allowed = format!("from 1 to the limit, {}", config.limit());
        check.require((1..=config.limit()).contains(&lease), "lease", lease, allowed);
    }
}

/// Notes what of these settings no store can count exactly.
fn check_config(check: &mut Constraints, config: &Config) {
    let most = format!("at most {MAX_SHARED_LIMIT} where it is shared");
    match config {
        Config::FixedWindow(quota) | Config::SlidingWindow(quota) | Config::SlidingLog(quota) => {
            check.require(quota.limit() <= MAX_SHARED_LIMIT, "limit", quota.limit(), most);
            let is_whole = quota.window().as_nanos() % 1_000 == 0;
            let allowed = "in whole microseconds where it is shared";
            check.require(is_whole, "window", quota.window(), allowed);
        }
        Config::TokenBucket(rate) | Config::LeakyBucket(rate) => check_rate(check, rate, most),
    }
}

fn check_rate(check: &mut Constraints, rate: &Rate, most: String) {
    let (capacity, per_second) = (rate.capacity(), rate.per_second());
    check.require(capacity <= MAX_SHARED_LIMIT, "capacity", capacity, most);
    let allowed = format!("at most {MAX_SHARED_RATE} where it is shared");
    check.require(per_second <= MAX_SHARED_RATE, "per_second", per_second, allowed);
    let fills_in_time = capacity as f64 / per_second <= MAX_SHARED_FILL.as_secs_f64();
    let allowed = "fast enough to fill the bucket in 366 days where it is shared";
    check.agree(fills_in_time, ("per_second", "capacity"), per_second, allowed);
}

/// Whether this can be part of a key, a label and a policy file alike.
pub(crate) fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_plain)
}
