//! What can be wrong with a policy: settings out of range, and settings that contradict one another.

use std::fmt;
use std::time::Duration;

use super::parts::IntoConfig;
use super::settings::{MAX_DURATION, MIN_DURATION, MethodPolicy, Policy};
use crate::constraint::InvalidSetting;
use crate::error::debug_as_display;
use crate::{limit, retry};

/// The most memory that the windows of all keys of a dependency may take: 1 GiB.
const MAX_KEYED_BYTES: u64 = 1 << 30;

/// One setting of a policy with a value it cannot have.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicyMistake {
    /// The key with its section, as the policy file spells it: `breaker.open_for`.
    pub key: String,
    /// The value that was given.
    pub value: String,
    /// What would have been allowed.
    pub allowed: String,
    /// The other key that it contradicts, if it would be allowed without that.
    pub contradicts: Option<String>,
}

impl PolicyMistake {
    /// The mistake of a part's setting, as one of the policy.
    pub(super) fn within(section: &str, setting: InvalidSetting) -> Self {
        let InvalidSetting { key, value, allowed, contradicts } = setting;
        let full = |key: &str| format!("{section}.{key}");
        Self { key: full(key), value, allowed, contradicts: contradicts.map(full) }
    }
}

impl fmt::Display for PolicyMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: must be {}", self.key, self.value, self.allowed)
    }
}

/// Everything that is wrong with a policy, all of it at once. Never empty. Its `Debug` is its message.
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidPolicy(Vec<PolicyMistake>);

impl InvalidPolicy {
    /// The mistakes.
    #[must_use]
    pub fn as_slice(&self) -> &[PolicyMistake] {
        &self.0
    }
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for InvalidPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_as_display(self, f)
    }
}

impl std::error::Error for InvalidPolicy {}

/// What has been found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Mistakes(Vec<PolicyMistake>);

impl Mistakes {
    /// The policy, if nothing is wrong with it.
    pub(super) fn none_in(self, policy: Policy) -> Result<Policy, InvalidPolicy> {
        if self.0.is_empty() { Ok(policy) } else { Err(InvalidPolicy(self.0)) }
    }

    /// A part's settings; its defaults, its mistakes noted, if there are any.
    pub(super) fn group<C: Default>(&mut self, section: &str, config: impl IntoConfig<C>) -> C {
        // Whatever an earlier call for the same section got wrong has been replaced.
        self.0.retain(|mistake| {
            !mistake.key.strip_prefix(section).is_some_and(|rest| rest.starts_with('.'))
        });
        config.into_config().unwrap_or_else(|invalid| {
            self.0.extend(invalid.into_iter().map(|it| PolicyMistake::within(section, it)));
            C::default()
        })
    }

    fn require(
        &mut self,
        ok: bool,
        key: impl Into<String>,
        value: impl fmt::Debug,
        allowed: impl Into<String>,
    ) {
        self.unless(ok, (key.into(), None), value, allowed);
    }

    /// Notes unless `ok` that a setting contradicts the one of the key `other`.
    fn agree(
        &mut self,
        ok: bool,
        (key, other): (String, &str),
        value: impl fmt::Debug,
        allowed: impl Into<String>,
    ) {
        self.unless(ok, (key, Some(other)), value, allowed);
    }

    fn unless(
        &mut self,
        ok: bool,
        (key, contradicts): (String, Option<&str>),
        value: impl fmt::Debug,
        allowed: impl Into<String>,
    ) {
        if !ok {
            let (value, allowed) = (format!("{value:?}"), allowed.into());
            let contradicts = contradicts.map(str::to_owned);
            self.0.push(PolicyMistake { key, value, allowed, contradicts });
        }
    }

    /// Within the limits that hold for every deadline and timeout.
    fn range(&mut self, key: impl Into<String>, value: Duration) {
        self.require(
            (MIN_DURATION..=MAX_DURATION).contains(&value),
            key,
            value,
            "from 1ms to 30days",
        );
    }

    pub(super) fn times(&mut self, policy: &Policy) {
        self.range("deadline", policy.deadline);
        self.range("timeout", policy.timeout);
        let slow_call = policy.breaker.slow_call().unwrap_or_default();
        self.agree(
            slow_call <= policy.timeout,
            ("breaker.slow_call".into(), "timeout"),
            slow_call,
            at_most("timeout", policy.timeout),
        );
    }

    /// What the breakers of all keys take together, if each has seen a failure.
    pub(super) fn keys(&mut self, policy: &Policy) {
        let max_keys = policy.keyed.unwrap_or_default().max_keys() as u64;
        let window = policy.breaker.window_bytes();
        self.agree(
            policy.keyed_bytes() <= MAX_KEYED_BYTES,
            ("breaker.keyed.max_keys".into(), "breaker.window"),
            max_keys,
            format!(
                "at most {}: each key's window takes up to {window} bytes, all of them at most 1 GiB",
                MAX_KEYED_BYTES / window.max(1)
            ),
        );
    }

    pub(super) fn waits(&mut self, policy: &Policy) {
        let wait = policy.bulkhead.max_wait();
        self.require(wait <= MAX_DURATION, "bulkhead.max_wait", wait, "at most 30days");
        let grace = policy.bulkhead.grace();
        self.require(grace <= MAX_DURATION, "bulkhead.grace", grace, "at most 30days");
        let turn = policy.rate_limit_max_wait;
        self.require(turn <= limit::MAX_RESERVATION, "rate_limit.max_wait", turn, "at most 1h");
    }

    /// What ends with the deadline at the latest, so that more of it was asked for in vain.
    pub(super) fn within_deadline(&mut self, policy: &Policy) {
        let Policy { deadline, timeout, fallback_timeout, .. } = *policy;
        self.agree(
            timeout <= deadline,
            ("timeout".into(), "deadline"),
            timeout,
            at_most("deadline", deadline),
        );
        self.agree(
            fallback_timeout < deadline,
            ("fallback_timeout".into(), "deadline"),
            fallback_timeout,
            format!("shorter than deadline ({deadline:?}), out of which it is reserved"),
        );
        let [bulkhead, block, rate_limit, quota] = policy.asked_waits();
        for (key, wait) in [bulkhead, rate_limit, quota, block] {
            // One that is too long by itself has been noted already.
            let is_noted = self.0.iter().any(|mistake| mistake.key == key);
            if let (Some(wait), false) = (wait, is_noted) {
                let allowed = at_most("deadline", deadline);
                self.agree(wait <= deadline, (key.into(), "deadline"), wait, allowed);
            }
        }
    }

    pub(super) fn method(&mut self, policy: &Policy, name: &str, method: &MethodPolicy) {
        let key = |last: &str| format!("methods.{name}.{last}");
        // A method's own other key, or else the dependency's.
        let other = |own: bool, last: &str| if own { key(last) } else { last.to_owned() };
        if let Some(deadline) = method.deadline() {
            self.range(key("deadline"), deadline);
        }
        if let Some(timeout) = method.timeout() {
            self.range(key("timeout"), timeout);
            let deadline = method.deadline().unwrap_or(policy.deadline);
            self.agree(
                timeout <= deadline,
                (key("timeout"), &other(method.deadline().is_some(), "deadline")),
                timeout,
                at_most("deadline", deadline),
            );
        }
        if let Some(slow_call) = method.slow_call() {
            let timeout = method.timeout().unwrap_or(policy.timeout);
            self.require(!slow_call.is_zero(), key("slow_call"), slow_call, "longer than zero");
            self.agree(
                slow_call <= timeout,
                (key("slow_call"), &other(method.timeout().is_some(), "timeout")),
                slow_call,
                at_most("timeout", timeout),
            );
        }
        if let Some(attempts) = method.max_attempts() {
            self.require(
                (1..=retry::MAX_ATTEMPTS).contains(&attempts),
                key("max_attempts"),
                attempts,
                format!("from 1 to {}", retry::MAX_ATTEMPTS),
            );
        }
    }
}

fn at_most(key: &str, value: Duration) -> String {
    format!("at most {key} ({value:?})")
}
