//! What every series of a dependency says: one table, which the page and the publisher both read.

use crate::dependency::{MethodSnapshot, Snapshot};
use crate::error::RejectedBy;
use crate::event::{Cause, State};
use crate::outcome::{AttemptKind, CallOutcome, Outcome};

use super::names::{self, Metric};

/// The labels of a series beside its dependency and its method.
pub(super) type Labels = [(&'static str, &'static str)];

/// What a series says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// Of a counter: all of them, from the start.
    Total(u64),
    /// Of a gauge.
    Level(f64),
}

/// Takes the series of a family one by one, always in the same order.
pub(super) type Tell<'a> = dyn FnMut(&Labels, Value) + 'a;

/// The series of one metric.
pub(super) struct Family {
    pub(super) metric: &'static Metric,
    pub(super) read: Read,
}

/// Where their values are.
pub(super) enum Read {
    /// With the dependency.
    Dependency(fn(&Snapshot, &mut Tell<'_>)),
    /// With each of its methods.
    Method(fn(&MethodSnapshot, &mut Tell<'_>)),
    /// With each method, in the buckets of its latency.
    Latency,
    /// With the dependency, in the buckets of its retry delays.
    RetryDelay,
}

use Read::{Dependency, Latency, Method, RetryDelay};
use Value::{Level, Total};

const fn of(metric: &'static Metric, read: Read) -> Family {
    Family { metric, read }
}

fn flag(on: bool) -> Value {
    Level(f64::from(u8::from(on)))
}

/// Every metric of [`names::ALL`], by name.
pub(super) static FAMILIES: [Family; names::ALL.len()] = [
    of(&names::ACTOR_RESTARTS, Dependency(|it, tell| tell(&[], Total(it.restarts)))),
    of(&names::ACTOR_UNATTENDED, Dependency(|it, tell| tell(&[], flag(it.unattended)))),
    of(&names::ATTEMPTS, Method(attempts)),
    of(&names::BREAKER_BASELINE, Dependency(baseline)),
    of(&names::BREAKER_KEYS, Dependency(|it, tell| keys(it, tell, |k| Level(k.keys as f64)))),
    of(&names::BREAKER_KEYS_EVICTED, Dependency(|it, tell| keys(it, tell, |k| Total(k.evicted)))),
    of(&names::BREAKER_KEYS_OPEN, Dependency(|it, tell| keys(it, tell, |k| Level(k.open as f64)))),
    of(
        &names::BREAKER_KEYS_OVERFLOWED,
        Dependency(|it, tell| keys(it, tell, |k| Total(k.overflowed))),
    ),
    of(&names::BREAKER_OPENINGS, Dependency(openings)),
    of(&names::BREAKER_RAMP, Dependency(ramp)),
    of(&names::BREAKER_STATE, Dependency(states)),
    of(&names::BREAKER_THRESHOLD, Dependency(threshold)),
    of(&names::BREAKER_TRANSITIONS, Dependency(transitions)),
    of(
        &names::REFUSALS_WITHHELD,
        Dependency(|it, tell| tell(&[], Total(it.breaker.refusals_withheld))),
    ),
    of(&names::BULKHEAD_ACTIVE, Dependency(|it, tell| tell(&[], Level(it.active.into())))),
    of(&names::BULKHEAD_KEPT, Dependency(kept_permits)),
    of(&names::BULKHEAD_LIMIT, Dependency(|it, tell| tell(&[], Level(it.limit.into())))),
    of(&names::CALL_DURATION, Latency),
    of(&names::CALLS, Method(calls)),
    of(&names::FALLBACKS, Method(fallbacks)),
    of(&names::MAILBOX_BLOCKED, Dependency(|it, tell| tell(&[], Total(it.mailbox.blocked)))),
    of(&names::MAILBOX_DEPTH, Dependency(|it, tell| tell(&[], Level(it.mailbox.waiting.into())))),
    of(&names::MAILBOX_DROPPED, Dependency(|it, tell| tell(&[], Total(it.mailbox.dropped)))),
    of(&names::MAILBOX_FILL_RATIO, Dependency(|it, tell| tell(&[], Level(it.fill_ratio)))),
    of(&names::MAILBOX_SHED, Dependency(shed_share)),
    of(&names::REJECTIONS, Dependency(rejections)),
    of(&names::RETRIES, Dependency(|it, tell| tell(&[], Total(it.retries)))),
    of(&names::RETRY_DELAY, RetryDelay),
    of(&names::STALE_RESULTS, Dependency(|it, tell| tell(&[], Total(it.breaker.stale_results)))),
];

fn calls(method: &MethodSnapshot, tell: &mut Tell<'_>) {
    for outcome in CallOutcome::EVERY {
        tell(&[(names::OUTCOME, outcome.as_str())], Total(method.calls(outcome)));
    }
}

fn attempts(method: &MethodSnapshot, tell: &mut Tell<'_>) {
    for kind in AttemptKind::EVERY {
        let total = |outcome: Outcome| method.attempts_of(kind, outcome);
        // Few methods are ever retried, and fewer are hedged.
        if kind != AttemptKind::Original && Outcome::EVERY.into_iter().all(|it| total(it) == 0) {
            continue;
        }
        for outcome in Outcome::EVERY {
            let labels = [(names::OUTCOME, outcome.as_str()), (names::KIND, kind.as_str())];
            tell(&labels, Total(total(outcome)));
        }
    }
}

fn fallbacks(method: &MethodSnapshot, tell: &mut Tell<'_>) {
    for (reason, count) in method.fallbacks() {
        tell(&[(names::REASON, reason)], Total(count));
    }
}

fn kept_permits(it: &Snapshot, tell: &mut Tell<'_>) {
    it.kept_permits.into_iter().for_each(|kept| tell(&[], Level(kept.into())));
}

fn shed_share(it: &Snapshot, tell: &mut Tell<'_>) {
    it.shed_share.into_iter().for_each(|share| tell(&[], Level(share)));
}

fn rejections(it: &Snapshot, tell: &mut Tell<'_>) {
    for by in RejectedBy::EVERY {
        tell(&[(names::BY, by.as_str())], Total(it.rejections(by)));
    }
}

fn states(it: &Snapshot, tell: &mut Tell<'_>) {
    for state in State::EVERY {
        tell(&[(names::STATE, state.as_str())], flag(state == it.state()));
    }
}

fn transitions(it: &Snapshot, tell: &mut Tell<'_>) {
    for (from, to) in names::LEGAL_MOVES {
        let count = it.breaker.transition_counts[from.index()][to.index()];
        tell(&[(names::FROM, from.as_str()), (names::TO, to.as_str())], Total(count));
    }
}

fn openings(it: &Snapshot, tell: &mut Tell<'_>) {
    for (cause, count) in Cause::OPENING.iter().zip(it.breaker.openings) {
        tell(&[(names::CAUSE, cause)], Total(count));
    }
}

/// Nothing before the first call that has a key.
fn keys(it: &Snapshot, tell: &mut Tell<'_>, value: fn(&crate::dependency::KeysSnapshot) -> Value) {
    if let Some(keys) = &it.keys {
        tell(&[], value(keys));
    }
}

/// What only an adaptive breaker has.
fn threshold(it: &Snapshot, tell: &mut Tell<'_>) {
    if let Some(reading) = it.adaptive {
        tell(&[], Level(reading.threshold));
    }
}

fn baseline(it: &Snapshot, tell: &mut Tell<'_>) {
    if let Some(reading) = it.adaptive {
        tell(&[], Level(reading.baseline));
    }
}

/// What only a breaker with a slow start has.
fn ramp(it: &Snapshot, tell: &mut Tell<'_>) {
    if let Some(ramp) = it.ramp {
        tell(&[], Level(ramp));
    }
}
