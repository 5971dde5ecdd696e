//! A dependency's settings, as a value.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::{backpressure, breaker, bulkhead, limit, retry};

/// How long a whole call may take unless told otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);
/// How long an attempt may take unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of the deadline is kept for a fallback that waits, unless told otherwise.
pub const DEFAULT_FALLBACK_TIMEOUT: Duration = Duration::from_millis(100);
/// The shortest deadline or timeout that can be asked for.
pub const MIN_DURATION: Duration = Duration::from_millis(1);
/// The longest deadline, timeout or wait that can be asked for: 30 days.
pub const MAX_DURATION: Duration = Duration::from_secs(30 * 24 * 3600);

/// A dependency's settings, checked: plain data. Built by [`Policy::builder`] or read by
/// [`PolicyFile`](super::PolicyFile); the default holds where nobody says anything.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Policy {
    pub(super) deadline: Duration,
    pub(super) timeout: Duration,
    pub(super) fallback_timeout: Duration,
    /// Shared with the breaker itself, and among clones.
    #[serde(serialize_with = "plainly")]
    pub(super) breaker: Arc<breaker::Config>,
    pub(super) keyed: Option<breaker::Keys>,
    pub(super) retry: retry::Config,
    pub(super) bulkhead: bulkhead::Config,
    pub(super) mailbox: backpressure::Config,
    pub(super) oneway: backpressure::OneWayConfig,
    pub(super) rate_limit: Option<limit::Config>,
    pub(super) rate_limit_max_wait: Duration,
    pub(super) quota: Option<limit::PacerConfig>,
    pub(super) methods: BTreeMap<String, MethodPolicy>,
}

fn plainly<S: Serializer>(config: &Arc<breaker::Config>, to: S) -> Result<S::Ok, S::Error> {
    config.as_ref().serialize(to)
}

impl Policy {
    /// What the windows of all keys' breakers take together, if each has seen a failure. In bytes.
    pub(crate) fn keyed_bytes(&self) -> u64 {
        let max_keys = self.keyed.unwrap_or_default().max_keys() as u64;
        self.breaker.window_bytes().saturating_mul(max_keys)
    }

    /// What a protected server (`Seawall::protect`) goes by that no section says anything of: as many requests at once as it answers in
    /// time, 1,000 at most, found by themselves; 100 of each class wait for up to 250 ms, by their priority; no breaker; 30 s for an
    /// answer.
    #[must_use]
    pub fn for_server() -> Self {
        Self {
            timeout: DEFAULT_DEADLINE,
            breaker: Arc::new(breaker::Config::off()),
            bulkhead: bulkhead::Config::for_server(),
            mailbox: backpressure::Config::for_server(),
            ..Self::default()
        }
    }

    /// What a store of shared limits (`Seawall::guard_store`) goes by that no section says anything of: 1,000 requests at once and
    /// none that waits, 1 s for each whose caller has no earlier deadline, and a breaker that is open for 500 ms the first time and
    /// 1 s from then on.
    #[must_use]
    pub fn for_store() -> Self {
        let patience = Duration::from_secs(1);
        Self {
            deadline: patience,
            timeout: patience,
            breaker: Arc::new(breaker::Config::for_store()),
            bulkhead: bulkhead::Config::for_store(),
            ..Self::default()
        }
    }

    /// How long a whole call may take: every attempt, wait and backoff. Default 30 s. Nothing is waited for longer than
    /// leaves an attempt its timeout, or half of the deadline if that is shorter.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }
    /// How long each attempt may take. Default 10 s, or the deadline if that is shorter.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
    /// How much of the deadline is kept for a fallback that waits. Default 100 ms, or half of the
    /// deadline if that is shorter.
    #[must_use]
    pub fn fallback_timeout(&self) -> Duration {
        self.fallback_timeout
    }
    /// The circuit breaker's settings.
    #[must_use]
    pub fn breaker(&self) -> &breaker::Config {
        &self.breaker
    }
    /// The same, to be kept.
    pub(crate) fn shared_breaker(&self) -> Arc<breaker::Config> {
        Arc::clone(&self.breaker)
    }
    /// How many of the keys that methods name get a breaker of their own, with the breaker's settings, and for
    /// how long; `None`: none. Default 10,000 keys, each forgotten after 10 minutes without use.
    #[must_use]
    pub fn keyed(&self) -> Option<breaker::Keys> {
        self.keyed
    }
    /// What is retried, how often and after how long.
    #[must_use]
    pub fn retry(&self) -> &retry::Config {
        &self.retry
    }
    /// How many calls may be with the dependency at once.
    #[must_use]
    pub fn bulkhead(&self) -> &bulkhead::Config {
        &self.bulkhead
    }
    /// How many calls may wait for a permit, and what happens to the next.
    #[must_use]
    pub fn mailbox(&self) -> &backpressure::Config {
        &self.mailbox
    }
    /// How calls of one-way methods wait, of which nobody waits for the answer.
    #[must_use]
    pub fn oneway(&self) -> &backpressure::OneWayConfig {
        &self.oneway
    }
    /// How many attempts the dependency is sent. Default: as many as there are.
    #[must_use]
    pub fn rate_limit(&self) -> Option<&limit::Config> {
        self.rate_limit.as_ref()
    }
    /// How long an attempt may wait for its turn under the rate limit; one that would have to wait longer, or until it has
    /// not its timeout left, is refused at once. Default zero: whatever is above the limit is refused.
    #[must_use]
    pub fn rate_limit_max_wait(&self) -> Duration {
        self.rate_limit_max_wait
    }
    /// How attempts are paced by the quota that the dependency's answers tell of. Default: they are not.
    #[must_use]
    pub fn quota(&self) -> Option<limit::PacerConfig> {
        self.quota
    }
    /// What was said about single methods, by name. It goes over what the trait's author said in `#[call]`.
    #[must_use]
    pub fn methods(&self) -> &BTreeMap<String, MethodPolicy> {
        &self.methods
    }
    /// What was said about one method; nothing, if nothing was.
    #[must_use]
    pub fn method(&self, name: &str) -> MethodPolicy {
        self.methods.get(name).copied().unwrap_or_default()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            deadline: DEFAULT_DEADLINE,
            timeout: DEFAULT_TIMEOUT,
            fallback_timeout: DEFAULT_FALLBACK_TIMEOUT,
            breaker: Arc::default(),
            keyed: Some(breaker::Keys::default()),
            retry: retry::Config::default(),
            bulkhead: bulkhead::Config::default(),
            mailbox: backpressure::Config::default(),
            oneway: backpressure::OneWayConfig::default(),
            rate_limit: None,
            rate_limit_max_wait: Duration::ZERO,
            quota: None,
            methods: BTreeMap::new(),
        }
    }
}

/// What is different for one method; `None` leaves it as it is for the dependency or in `#[call]`.
/// Checked with the policy that it becomes part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
pub struct MethodPolicy {
    timeout: Option<Duration>,
    deadline: Option<Duration>,
    slow_call: Option<Duration>,
    max_attempts: Option<u32>,
}

impl MethodPolicy {
    /// How long each attempt may take.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }
    /// How long a whole call may take. A timeout inherited from elsewhere is cut short by it.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }
    /// From when on an attempt is slow, in place of the breaker's `slow_call`. One that is inherited from
    /// elsewhere is cut short by the timeout.
    #[must_use]
    pub fn slow_call(&self) -> Option<Duration> {
        self.slow_call
    }
    /// How many attempts a call gets at most, the first one included.
    #[must_use]
    pub fn max_attempts(&self) -> Option<u32> {
        self.max_attempts
    }
    /// With this timeout; 1 ms to 30 days, at most the deadline.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
    /// With this deadline; 1 ms to 30 days.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
    /// With attempts slow from here on; above zero, at most the timeout: this method's, if it is said here
    /// too, or else the dependency's.
    #[must_use]
    pub fn with_slow_call(mut self, after: Duration) -> Self {
        self.slow_call = Some(after);
        self
    }
    /// With this many attempts; 1 to 1,000.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }
}
