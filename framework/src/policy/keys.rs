//! Every key of a policy file, once: its name, the kind of its value, and the builder's method that takes the value.
//!
//! A new key is one row here, and a setting with its check in the part's own `config`.

use super::builder::Builder;
use super::decode::Setting;
use super::schema::{Field, Kind};
use super::settings::MethodPolicy;
use crate::breaker::adaptive;
use crate::limit::PacerBuilder;
use crate::{backpressure, breaker, bulkhead, retry};

/// One key of a section whose settings a builder of type `B` takes.
#[derive(Clone, Copy)]
pub(super) struct PolicyKey<B> {
    field: Field,
    set: fn(B, Setting) -> B,
}

/// `name: Kind`, or `name: Kind => method` where the builder's method has another name.
macro_rules! key {
    ($name:ident: $kind:ident) => {
        key!($name: $kind => $name)
    };
    ($name:ident: $kind:ident => $method:ident) => {
        PolicyKey {
            field: Field { name: stringify!($name), kind: Kind::$kind },
            set: |builder, setting| match setting {
                Setting::$kind(value) => builder.$method(value),
                _ => builder,
            },
        }
    };
}

/// A key with keys of its own, which are assembled apart.
const fn nested<B>(name: &'static str, kind: Kind) -> PolicyKey<B> {
    PolicyKey { field: Field { name, kind }, set: |builder, _| builder }
}

impl<B> PolicyKey<B> {
    /// Gives every value that `get` knows to the builder.
    pub(super) fn apply(keys: &[Self], builder: B, get: impl Fn(&str) -> Option<Setting>) -> B {
        keys.iter().fold(builder, |builder, key| match get(key.field.name) {
            Some(setting) => (key.set)(builder, setting),
            None => builder,
        })
    }
}

/// The keys as the decoder needs them.
const fn fields<B, const N: usize>(keys: &[PolicyKey<B>; N]) -> [Field; N] {
    let mut fields = [keys[0].field; N];
    let mut at = 1;
    while at < N {
        fields[at] = keys[at].field;
        at += 1;
    }
    fields
}

/// `[name]`.
pub(super) const SECTION_KEYS: [PolicyKey<Builder>; 11] = [
    key!(deadline: Duration),
    key!(timeout: Duration),
    key!(fallback_timeout: Duration),
    nested("breaker", Kind::Table(BREAKER)),
    nested("retry", Kind::Shorthand(&fields(&RETRY_KEYS))),
    nested("bulkhead", Kind::Table(&fields(&BULKHEAD_KEYS))),
    nested("mailbox", Kind::Table(&fields(&MAILBOX_KEYS))),
    nested("oneway", Kind::Table(&fields(&ONEWAY_KEYS))),
    nested("rate_limit", Kind::Optional(RATE_LIMIT)),
    nested("quota", Kind::Switch(PACER)),
    nested("methods", Kind::Methods),
];
pub(super) const SECTION: &[Field] = &fields(&SECTION_KEYS);
/// `[defaults]`: a section without the last key, because methods are a dependency's own.
pub(super) const DEFAULTS: &[Field] = SECTION.split_at(SECTION.len() - 1).0;

const FAILURES: PolicyKey<breaker::Builder> = PolicyKey {
    field: Field { name: "failures", kind: Kind::CountOrOff },
    set: |builder, setting| match setting {
        Setting::Count(failures) => builder.failures(failures),
        _ => builder.without_failures(),
    },
};

const UNANSWERED: PolicyKey<breaker::Builder> = PolicyKey {
    field: Field { name: "unanswered", kind: Kind::CountOrOff },
    set: |builder, setting| match setting {
        Setting::Count(attempts) => builder.unanswered(attempts),
        _ => builder.without_unanswered(),
    },
};

pub(super) const BREAKER_KEYS: [PolicyKey<breaker::Builder>; 25] = [
    FAILURES,
    key!(failures_within: Duration),
    UNANSWERED,
    key!(max_failures: Count),
    key!(failure_rate: Number),
    key!(slow_call_rate: Number),
    key!(min_calls: Count),
    key!(window: Window => windows),
    nested("adaptive", Kind::Switch(&fields(&ADAPTIVE_KEYS))),
    key!(first_open_for: Duration),
    key!(open_for: Duration),
    key!(half_open_calls: Count),
    key!(success_threshold: Count),
    key!(slow_call: Duration),
    key!(probe_life: Duration),
    key!(half_open: HalfOpen),
    key!(open_growth: Number),
    key!(max_open_for: Duration),
    key!(open_jitter: Number),
    key!(healthy_after: Duration),
    key!(ramp_from: Number),
    key!(ramp_for: Duration),
    key!(mode: Enforcement => enforcement),
    key!(use_retry_after: Flag),
    nested("keyed", Kind::Optional(&fields(&KEYED_KEYS))),
];
pub(super) const BREAKER: &[Field] = &fields(&BREAKER_KEYS);

pub(super) const KEYED_KEYS: [PolicyKey<breaker::KeysBuilder>; 3] = [
    key!(max_keys: Count => max_keys_u32),
    key!(idle_after: Duration),
    key!(count_for_dependency: Flag),
];

pub(super) const ADAPTIVE_KEYS: [PolicyKey<adaptive::Builder>; 8] = [
    key!(min: Number),
    key!(max: Number),
    key!(spreads: Number),
    key!(alpha: Number),
    key!(min_calls: Count),
    key!(window: Duration),
    key!(half_life: Duration),
    key!(utc_offset: UtcOffset),
];

pub(super) const RETRY_KEYS: [PolicyKey<retry::Builder>; 11] = [
    key!(max_attempts: Count),
    key!(base_delay: Duration),
    key!(max_delay: Duration),
    key!(max_elapsed: Duration),
    key!(factor: Number),
    key!(backoff: Backoff),
    key!(jitter: Jitter),
    key!(jitter_share: Number),
    nested("budget", Kind::Shorthand(&fields(&BUDGET_KEYS))),
    nested("hedge", Kind::Optional(&fields(&HEDGE_KEYS))),
    key!(retry_rejections: Flag),
];

pub(super) const BUDGET_KEYS: [PolicyKey<retry::BudgetBuilder>; 8] = [
    key!(ratio: Number),
    key!(min_per_second: Number),
    key!(window: Duration),
    key!(mode: BudgetMode),
    key!(tokens: Count),
    key!(retry_cost: Count),
    key!(timeout_cost: Count),
    key!(accepts_multiple: Number),
];

pub(super) const HEDGE_KEYS: [PolicyKey<retry::HedgeBuilder>; 3] =
    [key!(after: Duration), key!(percentile: Number), key!(max: Count)];

pub(super) const BULKHEAD_KEYS: [PolicyKey<bulkhead::Builder>; 5] = [
    key!(max_concurrent: Count),
    key!(max_wait: Duration),
    key!(limit: Limit),
    key!(grace: Duration),
    key!(threads: Count),
];

pub(super) const MAILBOX_KEYS: [PolicyKey<backpressure::Builder>; 4] =
    [key!(capacity: Count), key!(on_full: OnFull), key!(priorities: Flag), key!(order: Order)];

pub(super) const ONEWAY_KEYS: [PolicyKey<backpressure::OneWayBuilder>; 8] = [
    key!(capacity: Count),
    key!(on_full: OneWay),
    key!(max_wait: Duration),
    key!(sample_every: Count),
    key!(sample_above: Number),
    key!(per_second: Number),
    key!(max_age: Duration),
    key!(concurrency: Count),
];

/// One of the tables, and how long an attempt may wait for a token. Assembled by hand, because a limit has no defaults.
pub(super) const RATE_LIMIT: &[Field] = &[
    Field { name: "fixed_window", kind: Kind::Filled(QUOTA) },
    Field { name: "sliding_log", kind: Kind::Filled(QUOTA) },
    Field { name: "sliding_window", kind: Kind::Filled(QUOTA) },
    Field { name: "token_bucket", kind: Kind::Filled(TOKEN_BUCKET) },
    Field { name: "leaky_bucket", kind: Kind::Filled(LEAKY_BUCKET) },
    Field { name: "max_wait", kind: Kind::Duration },
];

/// `[limits.name]`: limits that several instances keep to together.
pub(super) const LIMITS: &[Field] = &[
    Field { name: "store", kind: Kind::Store },
    Field { name: "namespace", kind: Kind::Text },
    Field { name: "decide_within", kind: Kind::Duration },
    Field { name: "lease_term", kind: Kind::Duration },
    Field { name: "expected_instances", kind: Kind::BigCount },
    Field { name: "mode", kind: Kind::Mode },
    Field { name: "on_failure", kind: Kind::OnFailure },
    Field { name: "dependencies", kind: Kind::Names },
    Field { name: "layers", kind: Kind::Named(LAYER) },
];

/// `[limits.name.layers.layer]`: one of the tables that say how much, and more.
pub(super) const LAYER: &[Field] = &[
    RATE_LIMIT[0],
    RATE_LIMIT[1],
    RATE_LIMIT[2],
    RATE_LIMIT[3],
    RATE_LIMIT[4],
    Field { name: "per", kind: Kind::Per },
    Field { name: "mode", kind: Kind::Mode },
    Field { name: "on_failure", kind: Kind::OnFailure },
    Field { name: "lease", kind: Kind::BigCount },
    Field { name: "tiers", kind: Kind::Named(TIER) },
];

/// `[limits.name.layers.layer.tiers.tier]`.
pub(super) const TIER: &[Field] = RATE_LIMIT.split_at(RATE_LIMIT.len() - 1).0;

const QUOTA: &[Field] = &[
    Field { name: "limit", kind: Kind::BigCount },
    Field { name: "window", kind: Kind::Duration },
];

const TOKEN_BUCKET: &[Field] = &[
    Field { name: "capacity", kind: Kind::BigCount },
    Field { name: "refill_per_second", kind: Kind::Number },
];

const LEAKY_BUCKET: &[Field] = &[
    Field { name: "capacity", kind: Kind::BigCount },
    Field { name: "leak_per_second", kind: Kind::Number },
];

/// How attempts are paced by the dependency's own quota.
pub(super) const PACER_KEYS: [PolicyKey<PacerBuilder>; 3] =
    [key!(slow_below: Number), key!(max_wait: Duration), key!(horizon: Duration)];
pub(super) const PACER: &[Field] = &fields(&PACER_KEYS);

/// `[name.methods.method]`.
pub(super) const METHOD_KEYS: [PolicyKey<MethodPolicy>; 4] = [
    key!(timeout: Duration => with_timeout),
    key!(deadline: Duration => with_deadline),
    key!(slow_call: Duration => with_slow_call),
    key!(max_attempts: Count => with_max_attempts),
];
pub(super) const METHOD: &[Field] = &fields(&METHOD_KEYS);
