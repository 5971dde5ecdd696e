//! Builds a policy, and says everything that is wrong with it at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::mistakes::{InvalidPolicy, Mistakes};
use super::parts::IntoConfig;
use super::settings::{
    DEFAULT_DEADLINE, DEFAULT_FALLBACK_TIMEOUT, DEFAULT_TIMEOUT, MAX_DURATION, MIN_DURATION,
    MethodPolicy, Policy,
};
use crate::constraint::InvalidSettings;
use crate::{backpressure, breaker, bulkhead, limit, retry};

/// Builds a [`Policy`], checking every setting.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    deadline: Option<Duration>,
    timeout: Option<Duration>,
    fallback_timeout: Option<Duration>,
    breaker: breaker::Config,
    keyed: Keying,
    retry: retry::Config,
    bulkhead: bulkhead::Config,
    mailbox: backpressure::Config,
    oneway: backpressure::OneWayConfig,
    rate_limit: Option<limit::Config>,
    rate_limit_max_wait: Duration,
    quota: Option<limit::PacerConfig>,
    methods: BTreeMap<String, MethodPolicy>,
    mistakes: Mistakes,
}

impl Policy {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// How long a whole call may take; 1 ms to 30 days.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
    /// How long each attempt may take; 1 ms to 30 days, at most the deadline.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
    /// How much of the deadline is kept for a fallback that waits; zero to less than the deadline.
    #[must_use]
    pub fn fallback_timeout(mut self, timeout: Duration) -> Self {
        self.fallback_timeout = Some(timeout);
        self
    }
    /// The circuit breaker's settings.
    #[must_use]
    pub fn breaker(mut self, breaker: impl IntoConfig<breaker::Config>) -> Self {
        self.breaker = self.mistakes.group("breaker", breaker);
        self
    }
    /// How many keys get a breaker of their own, and for how long. It matters to methods that name a key.
    #[must_use]
    pub fn keyed(mut self, keys: impl IntoConfig<breaker::Keys>) -> Self {
        self.keyed = Keying::Checked(keys.into_config());
        self
    }
    /// No breakers by key: methods that name a key pass the dependency's own breaker alone.
    #[must_use]
    pub fn without_keys(mut self) -> Self {
        self.keyed = Keying::Off;
        self
    }
    /// What is retried, how often and after how long.
    #[must_use]
    pub fn retry(mut self, retry: impl IntoConfig<retry::Config>) -> Self {
        self.retry = self.mistakes.group("retry", retry);
        self
    }
    /// How many calls may be with the dependency at once.
    #[must_use]
    pub fn bulkhead(mut self, bulkhead: impl IntoConfig<bulkhead::Config>) -> Self {
        self.bulkhead = self.mistakes.group("bulkhead", bulkhead);
        self
    }
    /// How many calls may wait for a permit, and what happens to the next.
    #[must_use]
    pub fn mailbox(mut self, mailbox: impl IntoConfig<backpressure::Config>) -> Self {
        self.mailbox = self.mistakes.group("mailbox", mailbox);
        self
    }
    /// How calls of one-way methods wait, of which nobody waits for the answer.
    #[must_use]
    pub fn oneway(mut self, oneway: impl IntoConfig<backpressure::OneWayConfig>) -> Self {
        self.oneway = self.mistakes.group("oneway", oneway);
        self
    }
    /// How many attempts the dependency is sent.
    #[must_use]
    pub fn rate_limit(mut self, limit: impl IntoConfig<limit::Config>) -> Self {
        self.rate_limit = Some(self.mistakes.group("rate_limit", limit));
        self
    }
    /// How long an attempt may wait for its turn under the rate limit; at most an hour and the deadline. Zero, the
    /// default: whatever is above the limit is refused at once.
    #[must_use]
    pub fn rate_limit_max_wait(mut self, max_wait: Duration) -> Self {
        self.rate_limit_max_wait = max_wait;
        self
    }
    /// Goes by the quota that answers tell of, through the methods' `quota`: slows down before the dependency has to refuse.
    #[must_use]
    pub fn quota(mut self, pacer: impl IntoConfig<limit::PacerConfig>) -> Self {
        self.quota = Some(self.mistakes.group("quota", pacer));
        self
    }
    /// What is different for one method.
    #[must_use]
    pub fn method(mut self, name: impl Into<String>, method: MethodPolicy) -> Self {
        self.methods.insert(name.into(), method);
        self
    }

    /// The checked settings.
    ///
    /// # Errors
    /// Every setting, of every part, that is out of range or contradicts another.
    pub fn build(self) -> Result<Policy, InvalidPolicy> {
        let deadline = self.deadline.unwrap_or(DEFAULT_DEADLINE);
        let mut mistakes = self.mistakes;
        let is_keyed = matches!(self.keyed, Keying::Checked(_));
        let keyed = match self.keyed {
            Keying::Usual => Some(breaker::Keys::default()),
            Keying::Off => None,
            Keying::Checked(keys) => Some(mistakes.group("breaker.keyed", keys)),
        };
        // A deadline out of range is one mistake; what is derived from it must not make more.
        let sound = deadline.clamp(MIN_DURATION, MAX_DURATION);
        let policy = Policy {
            deadline,
            // What nobody asked for gives way to what somebody did.
            timeout: self.timeout.unwrap_or(DEFAULT_TIMEOUT.min(sound)),
            fallback_timeout: self
                .fallback_timeout
                .unwrap_or(DEFAULT_FALLBACK_TIMEOUT.min(sound / 2)),
            breaker: Arc::new(self.breaker),
            keyed,
            retry: self.retry,
            bulkhead: self.bulkhead,
            mailbox: self.mailbox,
            oneway: self.oneway,
            rate_limit: self.rate_limit,
            rate_limit_max_wait: self.rate_limit_max_wait,
            quota: self.quota,
            methods: self.methods,
        };
        if is_keyed {
            mistakes.keys(&policy);
        }
        mistakes.times(&policy);
        mistakes.waits(&policy);
        if deadline == sound {
            mistakes.within_deadline(&policy);
        }
        for (name, method) in &policy.methods {
            mistakes.method(&policy, name, method);
        }
        mistakes.none_in(policy)
    }
}

#[derive(Clone, Debug, Default)]
enum Keying {
    #[default]
    Usual,
    Off,
    Checked(Result<breaker::Keys, InvalidSettings>),
}
