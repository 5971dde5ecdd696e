//! One method: what its author said of it, how its calls go by that and by the policy, and what came of them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::bulkhead::Limit;
use crate::clock::nanos;
use crate::policy::Policy;
use crate::retry::{BudgetConfig, BudgetMode};

use super::stats::MethodStats;

/// What the trait's author said about one method, in `#[call(…)]`. A constant: policies are laid over it at spawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodSpec {
    /// The method's name.
    pub name: &'static str,
    /// Safe to repeat: without it nothing is retried, whatever a policy says.
    pub idempotent: bool,
    /// The attempt's timeout.
    pub timeout: Option<Duration>,
    /// From here on an attempt is slow.
    pub slow_call: Option<Duration>,
    /// How many attempts at most, the first one included.
    pub max_attempts: Option<u32>,
    /// Whether a fallback stands by, so that time is kept for it out of the deadline.
    pub fallback: bool,
    /// Whether it blocks, so that it needs threads of its own. The permit of an attempt without an answer stays with its thread.
    pub blocking: bool,
    /// How many permits an attempt needs.
    pub weight: u32,
}

impl MethodSpec {
    /// One of which nothing is said.
    pub const NONE: Self = Self {
        name: "",
        idempotent: false,
        timeout: None,
        slow_call: None,
        max_attempts: None,
        fallback: false,
        blocking: false,
        weight: 1,
    };
}

/// How one method's calls are run: every layer of settings laid over the next, at spawn and whenever
/// the policy changes. Each is read by itself: a call that a change overtakes may go by some of both.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    deadline: AtomicU64,
    attempts: AtomicU64,
    timeout: AtomicU64,
    slow_call: AtomicU64,
    max_attempts: AtomicU32,
    flags: AtomicU32,
}

/// Refusals by our own guards are retried too.
const RETRIES_REJECTIONS: u32 = 1;
/// An attempt that takes long may get another beside it.
const HEDGES: u32 = 2;
/// The number of permits is found by how attempts end.
const TUNES: u32 = 4;
/// The retry budget goes by how attempts end.
const WATCHED: u32 = 8;

impl Plan {
    /// Built-in < `[defaults]` < `[name]` (all three in `policy`) < `#[call]` < `[name.methods.method]`.
    fn lay(&self, policy: &Policy, spec: &MethodSpec) {
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
        let slow_call = method.slow_call().or(spec.slow_call).or(policy.breaker().slow_call());
        // An attempt that has used its timeout up is slow, whatever was said for longer ones.
        let slow_call = slow_call.unwrap_or(timeout).min(timeout);
        let max_attempts = if spec.idempotent { max_attempts.max(1) } else { 1 };
        for (place, length) in [
            (&self.deadline, deadline),
            (&self.attempts, deadline - reserve),
            (&self.timeout, timeout),
            (&self.slow_call, slow_call),
        ] {
            place.store(nanos(length), Ordering::Relaxed);
        }
        self.max_attempts.store(max_attempts, Ordering::Relaxed);
        let budget = policy.retry().budget().map(BudgetConfig::mode);
        let listener = budget.filter(|mode| *mode != BudgetMode::Share);
        let flags = [
            (RETRIES_REJECTIONS, policy.retry().retry_rejections()),
            (HEDGES, spec.idempotent && policy.retry().hedge().is_some()),
            (TUNES, policy.bulkhead().limit() != Limit::Fixed),
            (WATCHED, listener.is_some()),
        ];
        let flags = flags.iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag).sum();
        self.flags.store(flags, Ordering::Relaxed);
    }

    #[inline]
    fn has(&self, flag: u32) -> bool {
        self.flags.load(Ordering::Relaxed) & flag != 0
    }

    /// The whole call.
    #[inline]
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_nanos(self.deadline.load(Ordering::Relaxed))
    }
    /// What its attempts, waits and backoffs have of that, in nanoseconds; the rest is kept for the fallback.
    #[inline]
    pub(crate) fn attempts_nanos(&self) -> u64 {
        self.attempts.load(Ordering::Relaxed)
    }
    /// Each attempt.
    #[inline]
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_nanos(self.timeout.load(Ordering::Relaxed))
    }
    /// From here on, in nanoseconds, an attempt is slow, and dropped after it counts against the dependency.
    #[inline]
    pub(crate) fn slow_nanos(&self) -> u64 {
        self.slow_call.load(Ordering::Relaxed)
    }
    /// Whether refusals by our own guards are retried too.
    #[inline]
    pub(crate) fn retries_rejections(&self) -> bool {
        self.has(RETRIES_REJECTIONS)
    }
    /// Whether an attempt that takes long may get another beside it.
    #[inline]
    pub(crate) fn hedges(&self) -> bool {
        self.has(HEDGES)
    }
    /// Whether the number of permits is found by how attempts end.
    #[inline]
    pub(crate) fn tunes(&self) -> bool {
        self.has(TUNES)
    }
    /// Whether the retry budget goes by how attempts end.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.has(WATCHED)
    }
    pub(crate) fn max_attempts(&self) -> u32 {
        self.max_attempts.load(Ordering::Relaxed)
    }
}

/// A method as the calls of one dependency go, whichever client they come by. Made by the first call of its trait.
#[derive(Debug)]
// What every call reads lies together, in the line of the cache that it begins with.
#[repr(C, align(64))]
pub(crate) struct Method {
    pub(crate) plan: Plan,
    weight: u32,
    is_blocking: bool,
    is_idempotent: bool,
    pub(crate) stats: MethodStats,
    name: &'static str,
}

impl Method {
    pub(super) fn new(spec: &MethodSpec, policy: &Policy) -> Self {
        let method = Self {
            plan: Plan::default(),
            weight: spec.weight,
            is_blocking: spec.blocking,
            is_idempotent: spec.idempotent,
            stats: MethodStats::default(),
            name: spec.name,
        };
        method.replan(policy, spec);
        method
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// How many permits an attempt needs.
    #[inline]
    pub(crate) fn weight(&self) -> u32 {
        self.weight
    }

    /// Whether it runs on threads of its own.
    pub(crate) fn is_blocking(&self) -> bool {
        self.is_blocking
    }

    /// Whether its author has said that it may be repeated.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    /// Lays another policy over it. `spec`: what its author said about it.
    pub(super) fn replan(&self, policy: &Policy, spec: &MethodSpec) {
        self.plan.lay(policy, spec);
        self.stats.observe(policy.retry().hedge().and_then(|hedge| hedge.percentile()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicyFile;

    #[test]
    fn a_method_is_three_lines_of_the_cache() {
        assert_eq!(size_of::<Method>(), 192);
    }

    const SPEC: MethodSpec = MethodSpec {
        name: "balance",
        idempotent: true,
        timeout: Some(Duration::from_millis(300)),
        slow_call: Some(Duration::from_millis(200)),
        max_attempts: Some(5),
        ..MethodSpec::NONE
    };

    fn plan(text: &str, spec: &MethodSpec) -> Plan {
        let plan = Plan::default();
        plan.lay(&PolicyFile::parse(text, "test.toml").unwrap().policy("bank"), spec);
        plan
    }

    #[test]
    fn each_layer_of_settings_lies_over_the_one_before() {
        let bare = MethodSpec { timeout: None, slow_call: None, max_attempts: None, ..SPEC };
        let built_in = plan("", &bare);
        assert_eq!((built_in.timeout(), built_in.max_attempts()), (Duration::from_secs(10), 3));
        let defaults = "[defaults]\ntimeout = \"4s\"\nretry = { max_attempts = 2 }\n";
        let by_defaults = plan(defaults, &bare);
        assert_eq!(
            (by_defaults.timeout(), by_defaults.max_attempts()),
            (Duration::from_secs(4), 2)
        );
        let named = "[bank]\ntimeout = \"2s\"\nretry = { max_attempts = 4 }\n";
        let by_name = plan(&format!("{defaults}{named}"), &bare);
        assert_eq!((by_name.timeout(), by_name.max_attempts()), (Duration::from_secs(2), 4));
        let by_call = plan(&format!("{defaults}{named}"), &SPEC);
        assert_eq!((by_call.timeout(), by_call.max_attempts()), (Duration::from_millis(300), 5));
        let method = "[bank.methods.balance]\ntimeout = \"1s\"\nmax_attempts = 6\n";
        let by_method = plan(&format!("{defaults}{named}{method}"), &SPEC);
        assert_eq!((by_method.timeout(), by_method.max_attempts()), (Duration::from_secs(1), 6));
    }

    #[test]
    fn a_slow_call_is_what_the_last_layer_says_and_at_most_the_timeout() {
        let slow = |text: &str, spec: &MethodSpec| {
            Duration::from_nanos(plan(text, spec).slow_nanos()).as_millis()
        };
        let bare = MethodSpec { timeout: None, slow_call: None, ..SPEC };
        let said = MethodSpec { timeout: None, ..SPEC };
        assert_eq!(slow("", &bare), 10_000, "the timeout, unless anybody says otherwise");
        let defaults = "[defaults]\nbreaker = { slow_call = \"4s\" }\n";
        assert_eq!(slow(defaults, &bare), 4_000);
        let named = &format!("{defaults}[bank]\nbreaker = {{ slow_call = \"3s\" }}\n");
        assert_eq!(slow(named, &bare), 3_000);
        assert_eq!(slow(named, &said), 200);
        let method = &format!("{named}[bank.methods.balance]\nslow_call = \"1s\"\n");
        assert_eq!(slow(method, &said), 1_000);
        assert_eq!(slow(method, &SPEC), 300, "cut short by the timeout in `#[call]`");
        assert_eq!(slow(named, &MethodSpec { slow_call: None, ..SPEC }), 300);
    }

    #[test]
    fn what_is_not_idempotent_is_attempted_once_whatever_anybody_says() {
        let spec = MethodSpec { idempotent: false, ..SPEC };
        assert_eq!(plan("[bank]\nretry = { max_attempts = 9 }\n", &spec).max_attempts(), 1);
    }

    #[test]
    fn a_fallback_has_time_of_its_own_but_never_most_of_it() {
        let spec = MethodSpec { fallback: true, ..SPEC };
        let roomy = plan("[bank]\ndeadline = \"2s\"\nfallback_timeout = \"500ms\"\n", &spec);
        assert_eq!(roomy.attempts_nanos(), 1_500_000_000);
        let unmarked = plan("[bank]\ndeadline = \"2s\"\nfallback_timeout = \"500ms\"\n", &SPEC);
        assert_eq!(unmarked.attempts_nanos(), 2_000_000_000);
        let tight = plan("[bank]\ndeadline = \"100ms\"\n", &spec);
        assert_eq!(tight.attempts_nanos(), 50_000_000);
        assert_eq!(tight.timeout(), Duration::from_millis(100));
    }

    #[test]
    fn time_is_kept_for_a_fallback_and_never_more_than_half() {
        let with_fallback = MethodSpec { fallback: true, timeout: None, slow_call: None, ..SPEC };
        let attempts = |text: &str| {
            let plan = plan(text, &with_fallback);
            (plan.deadline(), Duration::from_nanos(plan.attempts_nanos()))
        };
        let (second, ms) = (Duration::from_secs(1), Duration::from_millis(1));
        let kept = "[bank]\ndeadline = \"1s\"\nfallback_timeout = \"100ms\"\n";
        assert_eq!(attempts(kept), (second, 900 * ms));
        let short = "[bank.methods.balance]\ndeadline = \"150ms\"\n";
        assert_eq!(attempts(&format!("{kept}{short}")), (150 * ms, 75 * ms));
    }
}
