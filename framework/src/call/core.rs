//! What a client holds of its dependency: the guards, and one plan per method.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::nanos;
use crate::policy::Policy;

use super::dependency::Dependency;
use super::stats::MethodStats;

/// What the trait's author said about one method, in `#[call(…)]`. A constant: policies are laid over it at spawn.
#[derive(Clone, Copy, Debug)]
pub struct MethodSpec {
    /// The method's name.
    pub name: &'static str,
    /// Safe to repeat: without it nothing is retried, whatever a policy says.
    pub idempotent: bool,
    /// The attempt's timeout.
    pub timeout: Option<Duration>,
    /// How many attempts at most, the first one included.
    pub max_attempts: Option<u32>,
    /// Whether a fallback stands by, so that time is kept for it out of the deadline.
    pub fallback: bool,
}

/// How one method's calls are run: every layer of settings laid over the next, once, at spawn.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The whole call.
    pub(crate) deadline: Duration,
    /// What its attempts, waits and backoffs have of that; the rest is kept for the fallback.
    pub(crate) attempts_nanos: u64,
    /// Each attempt.
    pub(crate) timeout: Duration,
    /// Dropped after this long an attempt counts against the dependency.
    pub(crate) slow_call: Duration,
    pub(crate) max_attempts: u32,
}

impl Plan {
    /// Built-in < `[defaults]` < `[name]` (all three in `policy`) < `#[call]` < `[name.methods.method]`.
    fn new(policy: &Policy, spec: &MethodSpec) -> Self {
        let method = policy.method(spec.name);
        let deadline = method.deadline().unwrap_or(policy.deadline());
        let timeout = method.timeout().or(spec.timeout).unwrap_or(policy.timeout()).min(deadline);
        let max_attempts =
            method.max_attempts().or(spec.max_attempts).unwrap_or(policy.retry().max_attempts());
        let reserve = if spec.fallback {
            // Never more than half: a call must have time to be a call.
            policy.fallback_timeout().min(deadline / 2)
        } else {
            Duration::ZERO
        };
        Self {
            deadline,
            attempts_nanos: nanos(deadline - reserve),
            timeout,
            slow_call: policy.breaker().slow_call().unwrap_or(timeout),
            max_attempts: if spec.idempotent { max_attempts.max(1) } else { 1 },
        }
    }
}

#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) plan: Plan,
    pub(crate) stats: Arc<MethodStats>,
}

/// A dependency as one trait sees it. Clients share it; with the last one goes the `tenancy`.
pub struct Core {
    dependency: Arc<Dependency>,
    methods: Box<[Method]>,
    /// Whatever must live as long as somebody may call: dropped with the last client.
    _tenancy: Box<dyn Any + Send + Sync>,
}

impl Core {
    /// Lays the policy over the trait.
    #[must_use]
    pub fn new(
        dependency: Arc<Dependency>,
        methods: &[MethodSpec],
        tenancy: Box<dyn Any + Send + Sync>,
    ) -> Self {
        let methods = methods
            .iter()
            .map(|spec| Method {
                plan: Plan::new(dependency.policy(), spec),
                stats: dependency.method_stats(spec.name),
            })
            .collect();
        Self { dependency, methods, _tenancy: tenancy }
    }

    /// The dependency.
    #[must_use]
    #[inline]
    pub fn dependency(&self) -> &Arc<Dependency> {
        &self.dependency
    }

    /// The method of this index. Generated code names only indices that its own list has.
    #[inline]
    pub(crate) fn method(&self, index: usize) -> &Method {
        &self.methods[index]
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("dependency", &self.dependency).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicyFile;

    const SPEC: MethodSpec = MethodSpec {
        name: "balance",
        idempotent: true,
        timeout: Some(Duration::from_millis(300)),
        max_attempts: Some(5),
        fallback: false,
    };

    fn plan(text: &str, spec: &MethodSpec) -> Plan {
        Plan::new(&PolicyFile::parse(text, "test.toml").unwrap().policy("bank"), spec)
    }

    #[test]
    fn each_layer_of_settings_lies_over_the_one_before() {
        let bare = MethodSpec { timeout: None, max_attempts: None, ..SPEC };
        let built_in = plan("", &bare);
        assert_eq!((built_in.timeout, built_in.max_attempts), (Duration::from_secs(10), 3));
        let defaults = "[defaults]\ntimeout = \"4s\"\nretry = { max_attempts = 2 }\n";
        let by_defaults = plan(defaults, &bare);
        assert_eq!((by_defaults.timeout, by_defaults.max_attempts), (Duration::from_secs(4), 2));
        let named = "[bank]\ntimeout = \"2s\"\nretry = { max_attempts = 4 }\n";
        let by_name = plan(&format!("{defaults}{named}"), &bare);
        assert_eq!((by_name.timeout, by_name.max_attempts), (Duration::from_secs(2), 4));
        let by_call = plan(&format!("{defaults}{named}"), &SPEC);
        assert_eq!((by_call.timeout, by_call.max_attempts), (Duration::from_millis(300), 5));
        let method = "[bank.methods.balance]\ntimeout = \"1s\"\nmax_attempts = 6\n";
        let by_method = plan(&format!("{defaults}{named}{method}"), &SPEC);
        assert_eq!((by_method.timeout, by_method.max_attempts), (Duration::from_secs(1), 6));
    }

    #[test]
    fn what_is_not_idempotent_is_attempted_once_whatever_anybody_says() {
        let spec = MethodSpec { idempotent: false, ..SPEC };
        assert_eq!(plan("[bank]\nretry = { max_attempts = 9 }\n", &spec).max_attempts, 1);
    }

    #[test]
    fn a_fallback_has_time_of_its_own_but_never_most_of_it() {
        let spec = MethodSpec { fallback: true, ..SPEC };
        let roomy = plan("[bank]\ndeadline = \"2s\"\nfallback_timeout = \"500ms\"\n", &spec);
        assert_eq!(roomy.attempts_nanos, 1_500_000_000);
        let unmarked = plan("[bank]\ndeadline = \"2s\"\nfallback_timeout = \"500ms\"\n", &SPEC);
        assert_eq!(unmarked.attempts_nanos, 2_000_000_000);
        let tight = plan("[bank]\ndeadline = \"100ms\"\n", &spec);
        assert_eq!(tight.attempts_nanos, 50_000_000);
        assert_eq!(tight.timeout, Duration::from_millis(100));
    }
}
