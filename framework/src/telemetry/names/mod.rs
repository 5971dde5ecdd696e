//! Every metric: its name, kind, unit, labels and meaning. Dashboards and alerts hang on these; changing
//! one is a breaking change.
//!
//! Base units, `_total` for counters, ratios from 0 to 1. Every series has the label `dependency`.

use metrics::{KeyName, Recorder, SharedString, Unit};

use crate::event::State;

mod watched;

pub use watched::{
    LIMIT_DEGRADED, LIMIT_INSTANCES, LIMIT_KEYS, LIMIT_LEASED, LIMIT_REMEMBERED, LIMIT_REQUESTS,
    LIMIT_ROUND_TRIPS, LIMIT_SCRIPT_RELOADS, LIMIT_UNDECIDED, OF_LIMITS, OF_POOLS, OF_QUEUES,
    POOL_ABANDONED, POOL_ACTIVE, POOL_QUEUED, POOL_THREADS, POOL_WORKS, QUEUE_DEPTH,
    QUEUE_FILL_RATIO, QUEUE_ITEMS,
};

/// The label that every series has: the dependency's name.
pub const DEPENDENCY: &str = "dependency";
/// The label for a method of the annotated trait.
pub const METHOD: &str = "method";
/// The label for how a call ([`crate::outcome::CallOutcome`]) or attempt ([`crate::outcome::Outcome`]) ended.
pub const OUTCOME: &str = "outcome";
/// The label for the guard that refused, a [`crate::error::RejectedBy`].
pub const BY: &str = "by";
/// The label for a breaker's state.
pub const STATE: &str = "state";
/// The label for the state that a breaker left.
pub const FROM: &str = "from";
/// The label for the state that a breaker went into.
pub const TO: &str = "to";

/// The label for a limit in front of a server, by the name that it is watched under.
pub const LIMIT: &str = "limit";
/// The label for a queue, by the name that it is watched under.
pub const QUEUE: &str = "queue";
/// The label for a pool of threads, by its name.
pub const POOL: &str = "pool";
/// The label for what became of a queue's items (`received`, `processed`, `dropped`, `merged` or `blocked`), or of a pool's works
/// (`received`, `completed`, `panicked`, `rejected` or `withdrawn`).
pub const END: &str = "end";
/// The label for a limit's policy: a tier's name, a layer's, the cap's.
pub const POLICY: &str = "policy";
/// The label for what a limit decided: `allowed` or `refused`.
pub const DECISION: &str = "decision";
/// The label for why a breaker opened, one of [`Cause::OPENING`](crate::event::Cause::OPENING).
pub const CAUSE: &str = "cause";

/// The label for why an attempt was made, an [`AttemptKind`](crate::outcome::AttemptKind).
pub const KIND: &str = "kind";

/// The label for why a fallback answered: how the call would have ended, or the guard that had refused it.
pub const REASON: &str = "reason";

/// What a metric's values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Only grows, from zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets, with a sum and a count.
    Histogram,
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What its values mean.
    pub kind: Kind,
    /// What they are counted in; `None` for a ratio or a flag.
    pub unit: Option<Unit>,
    /// What it tells.
    pub help: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Counter, unit: Some(Unit::Count), help, labels }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit: Some(Unit::Count), help, labels }
}

const fn flag(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit: None, help, labels }
}

/// Calls that have ended. Each call ends once, in one outcome.
pub const CALLS: Metric = counter(
    "seawall_calls_total",
    &[DEPENDENCY, METHOD, OUTCOME],
    "Calls that have ended, by how they ended for the caller.",
);
/// Attempts that have ended. Those of a kind other than `original` show from the first of that kind on.
pub const ATTEMPTS: Metric = counter(
    "seawall_attempts_total",
    &[DEPENDENCY, METHOD, OUTCOME, KIND],
    "Attempts that were dispatched to the dependency and have ended, by how they ended and why they were made.",
);
/// Calls that a fallback has answered. A reason shows from the first such call on.
pub const FALLBACKS: Metric = counter(
    "seawall_fallbacks_total",
    &[DEPENDENCY, METHOD, REASON],
    "Calls that a fallback has answered, by how they would have ended or the guard that had refused them.",
);
/// How long calls took, in seconds; refused and unavailable calls are left out.
pub const CALL_DURATION: Metric = Metric {
    name: "seawall_call_duration_seconds",
    kind: Kind::Histogram,
    unit: Some(Unit::Seconds),
    help: "How long calls took, waits, attempts and backoffs included; refused calls are left out.",
    labels: &[DEPENDENCY, METHOD],
};
/// The breaker's state: 1 for the one that it is in, 0 for the others.
pub const BREAKER_STATE: Metric = flag(
    "seawall_breaker_state",
    &[DEPENDENCY, STATE],
    "The circuit breaker's state: 1 for the state it is in, 0 for the others. Open means that calls are refused.",
);
/// The breaker's moves; there is a series for each of [`LEGAL_MOVES`] from the start.
pub const BREAKER_TRANSITIONS: Metric = counter(
    "seawall_breaker_transitions_total",
    &[DEPENDENCY, FROM, TO],
    "Moves of the circuit breaker from one state to another.",
);
/// Why the breaker opened; there is a series for each cause from the start.
pub const BREAKER_OPENINGS: Metric = counter(
    "seawall_breaker_openings_total",
    &[DEPENDENCY, CAUSE],
    "How often the circuit breaker opened, by cause.",
);
/// Refused attempts. A call that is retried after a refusal can be refused again, and then counts twice.
pub const REJECTIONS: Metric = counter(
    "seawall_rejections_total",
    &[DEPENDENCY, BY],
    "Attempts that a guard refused before the dependency saw them, by guard.",
);
/// Attempts after one that failed.
pub const RETRIES: Metric = counter(
    "seawall_retries_total",
    &[DEPENDENCY],
    "Attempts after one of their call that failed.",
);
/// How long calls were to wait before a retry, in seconds.
pub const RETRY_DELAY: Metric = Metric {
    name: "seawall_retry_delay_seconds",
    kind: Kind::Histogram,
    unit: Some(Unit::Seconds),
    help: "How long calls were to wait before a retry: backoffs with their jitter, and what servers asked for.",
    labels: &[DEPENDENCY],
};
/// Answers from an earlier generation of the breaker, and of probes that had outlived their life.
pub const STALE_RESULTS: Metric = counter(
    "seawall_stale_results_total",
    &[DEPENDENCY],
    "Answers that the circuit breaker did not count: admitted before its last move, or probes past their life.",
);
/// Attempts that an observing breaker would have refused.
pub const REFUSALS_WITHHELD: Metric = counter(
    "seawall_breaker_withheld_total",
    &[DEPENDENCY],
    "Attempts that the circuit breaker would have refused, had it not been told only to observe.",
);
/// Keys with a breaker of their own. Keys are never labels: they come in with calls.
pub const BREAKER_KEYS: Metric =
    gauge("seawall_breaker_keys", &[DEPENDENCY], "Keys that have a circuit breaker of their own.");
/// Keys that are cut off, or being tried again.
pub const BREAKER_KEYS_OPEN: Metric = gauge(
    "seawall_breaker_keys_open",
    &[DEPENDENCY],
    "Keys whose own circuit breaker is open or half-open.",
);
/// Keys that were forgotten.
pub const BREAKER_KEYS_EVICTED: Metric = counter(
    "seawall_breaker_keys_evicted_total",
    &[DEPENDENCY],
    "Keys whose circuit breaker was given up, as idle or for room.",
);
/// Attempts on keys that found no room.
pub const BREAKER_KEYS_OVERFLOWED: Metric = counter(
    "seawall_breaker_keys_overflowed_total",
    &[DEPENDENCY],
    "Attempts that went to the circuit breaker shared by keys that find no room: raise max_keys.",
);
/// The share of failures at which an adaptive breaker opens at this hour; other breakers have no such series.
pub const BREAKER_THRESHOLD: Metric = flag(
    "seawall_breaker_threshold",
    &[DEPENDENCY],
    "The share of failures at which an adaptive circuit breaker opens at this hour of the week, from 0 to 1.",
);
/// The share of failures that is normal at this hour, to an adaptive breaker; others have no such series.
pub const BREAKER_BASELINE: Metric = flag(
    "seawall_breaker_baseline",
    &[DEPENDENCY],
    "The share of failures that an adaptive circuit breaker has learned to be normal at this hour of the week, from 0 to 1.",
);
/// The share of calls that a breaker's slow start lets through; breakers without one have no such series.
pub const BREAKER_RAMP: Metric = flag(
    "seawall_breaker_ramp",
    &[DEPENDENCY],
    "The share of calls that a closed circuit breaker lets through while its traffic comes back, from 0 to 1; 1 otherwise.",
);
/// Permits out.
pub const BULKHEAD_ACTIVE: Metric =
    gauge("seawall_bulkhead_active", &[DEPENDENCY], "Attempts that are with the dependency now.");
/// Permits that are kept back.
pub const BULKHEAD_KEPT: Metric = gauge(
    "seawall_bulkhead_kept",
    &[DEPENDENCY],
    "Permits of attempts that ended without an answer, which are kept back for a grace.",
);
/// Permits in all.
pub const BULKHEAD_LIMIT: Metric = gauge(
    "seawall_bulkhead_limit",
    &[DEPENDENCY],
    "Attempts that may be with the dependency at once.",
);
/// The share of calls that is shed by priority.
pub const MAILBOX_SHED: Metric = flag(
    "seawall_mailbox_shed_ratio",
    &[DEPENDENCY],
    "The share of calls without a permit that is shed by priority now, from 0 to 1.",
);
/// Calls waiting in the mailbox.
pub const MAILBOX_DEPTH: Metric =
    gauge("seawall_mailbox_depth", &[DEPENDENCY], "Calls waiting in the mailbox now.");
/// The share of the mailbox that is taken, 0 to 1.
pub const MAILBOX_FILL_RATIO: Metric = flag(
    "seawall_mailbox_fill_ratio",
    &[DEPENDENCY],
    "The share of the mailbox that is taken, from 0 to 1.",
);
/// Calls that left the mailbox without a permit.
pub const MAILBOX_DROPPED: Metric = counter(
    "seawall_mailbox_dropped_total",
    &[DEPENDENCY],
    "Calls that came to the mailbox and got no permit: refused, dropped, given up or flushed.",
);
/// Calls that had to wait for room in the mailbox.
pub const MAILBOX_BLOCKED: Metric = counter(
    "seawall_mailbox_blocked_total",
    &[DEPENDENCY],
    "Calls that found the mailbox full and had to wait for room in it.",
);
/// How often the actor was rebuilt.
pub const ACTOR_RESTARTS: Metric = counter(
    "seawall_actor_restarts_total",
    &[DEPENDENCY],
    "How often the dependency's actor failed and was rebuilt on the same state.",
);
/// 1 while the actor keeps failing and is left alone.
pub const ACTOR_UNATTENDED: Metric = flag(
    "seawall_actor_unattended",
    &[DEPENDENCY],
    "1 while the dependency's actor keeps failing and is left alone; calls go on under the last policy.",
);

/// Every metric of a dependency.
pub static ALL: [Metric; 29] = [
    CALLS,
    ATTEMPTS,
    FALLBACKS,
    CALL_DURATION,
    BREAKER_STATE,
    BREAKER_TRANSITIONS,
    BREAKER_OPENINGS,
    REJECTIONS,
    RETRIES,
    RETRY_DELAY,
    STALE_RESULTS,
    REFUSALS_WITHHELD,
    BREAKER_KEYS,
    BREAKER_KEYS_OPEN,
    BREAKER_KEYS_EVICTED,
    BREAKER_KEYS_OVERFLOWED,
    BREAKER_THRESHOLD,
    BREAKER_BASELINE,
    BREAKER_RAMP,
    BULKHEAD_ACTIVE,
    BULKHEAD_KEPT,
    BULKHEAD_LIMIT,
    MAILBOX_DEPTH,
    MAILBOX_FILL_RATIO,
    MAILBOX_SHED,
    MAILBOX_DROPPED,
    MAILBOX_BLOCKED,
    ACTOR_RESTARTS,
    ACTOR_UNATTENDED,
];

/// Every move that a breaker can make, by itself or by hand. The one that is missing: nothing goes from
/// closed to half-open.
pub const LEGAL_MOVES: [(State, State); 5] = [
    (State::Closed, State::Open),
    (State::Open, State::HalfOpen),
    (State::HalfOpen, State::Closed),
    (State::HalfOpen, State::Open),
    (State::Open, State::Closed),
];

/// Tells a recorder what every metric means.
pub fn describe<R: Recorder + ?Sized>(recorder: &R) {
    for metric in ALL.iter().chain(&OF_LIMITS).chain(&OF_QUEUES).chain(&OF_POOLS) {
        let name = KeyName::from_const_str(metric.name);
        let help = SharedString::const_str(metric.help);
        match metric.kind {
            Kind::Counter => recorder.describe_counter(name, metric.unit, help),
            Kind::Gauge => recorder.describe_gauge(name, metric.unit, help),
            Kind::Histogram => recorder.describe_histogram(name, metric.unit, help),
        }
    }
}
