//! A dependency at one instant, as data.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use crate::backpressure::Counts;
use crate::blocking::PoolCounts;
use crate::breaker::BreakerReport;
use crate::breaker::adaptive::Reading;
use crate::error::RejectedBy;
use crate::event::State;
use crate::outcome::{AttemptKind, CallOutcome, Outcome};

use super::by_hand::ByHand;
use super::keys::KeysSnapshot;
use super::latency::Latency;
use super::named::{by_call_outcome, by_guard, by_kind, by_outcome, by_reason, reasons};
use super::queues::QueueSnapshot;
use super::shared::Dependency;
use super::stats::{MethodCounts, REASONS};
use super::traits::{Trait, called, names};

/// A dependency at one instant.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its name.
    pub dependency: String,
    /// Its breaker. `refusals_withheld` and `stale_results` are those of its keys' breakers, too.
    pub breaker: BreakerReport,
    /// The order by hand that its breaker stands under, until a reset.
    pub by_hand: Option<ByHand>,
    /// The breakers of its keys; `None` before the first call with a key.
    pub keys: Option<KeysSnapshot>,
    /// What its breaker goes by at this hour, if it is adaptive.
    pub adaptive: Option<Reading>,
    /// The share of calls that its breaker's slow start lets through now, 0 to 1; 1 while there is none, `None` if its
    /// settings have none.
    pub ramp: Option<f64>,
    /// Calls that are with the dependency, and permits that are kept back.
    pub active: u32,
    /// Permits that are kept back: their attempts ended without an answer, and the dependency may still be busy with them.
    /// `None`: its policy has no `bulkhead.grace`.
    pub kept_permits: Option<u32>,
    /// How many may be.
    pub limit: u32,
    /// Its threads for methods that block; `None`: it has no such method.
    pub pool: Option<PoolCounts>,
    /// What its mailbox has seen, and who is waiting in it.
    pub mailbox: Counts,
    /// How many may wait.
    pub capacity: u32,
    /// The share of the mailbox that is taken, 0 to 1.
    pub fill_ratio: f64,
    /// The share of calls without a permit that is shed by priority, 0 to 1; `None`: its policy has no `mailbox.priorities`.
    pub shed_share: Option<f64>,
    /// See [`Snapshot::rejections`].
    #[serde(serialize_with = "by_guard")]
    pub(super) rejections: [u64; RejectedBy::ALL.len()],
    /// Attempts that the dependency saw after one of their call that failed.
    pub retries: u64,
    /// Attempts that were made beside one of their call that had no answer yet.
    pub hedges: u64,
    /// How long calls were to wait before a retry: backoffs, and what servers asked for.
    pub retry_delays: Latency,
    /// How often its actor was rebuilt.
    pub restarts: u64,
    /// Whether its actor keeps failing and is left alone.
    pub unattended: bool,
    /// Calls waiting for a permit, an answer or the end of a backoff.
    pub pending: u64,
    /// The queues of its one-way methods that have been called.
    pub queues: Vec<QueueSnapshot>,
    /// Its methods, by name.
    pub methods: Vec<MethodSnapshot>,
}

/// A method at one instant.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MethodSnapshot {
    /// Its name.
    pub name: &'static str,
    /// See [`MethodSnapshot::calls`].
    #[serde(serialize_with = "by_call_outcome")]
    pub(crate) calls: [u64; CallOutcome::ALL.len()],
    /// See [`MethodSnapshot::attempts`].
    #[serde(serialize_with = "by_outcome")]
    pub(crate) attempts: [u64; Outcome::ALL.len()],
    /// See [`MethodSnapshot::attempts_of`]: those that were not the first of their call.
    #[serde(serialize_with = "by_kind")]
    attempts_again: [[u64; Outcome::ALL.len()]; AttemptKind::ALL.len() - 1],
    /// See [`MethodSnapshot::rejected`].
    #[serde(serialize_with = "by_guard")]
    pub(crate) rejected: [u64; RejectedBy::ALL.len()],
    /// See [`MethodSnapshot::fallbacks`].
    #[serde(serialize_with = "by_reason")]
    fallbacks: [u64; REASONS],
    /// How long calls took that were not refused.
    pub latency: Latency,
}

impl MethodSnapshot {
    pub(super) fn new(name: &'static str, counts: MethodCounts) -> Self {
        let MethodCounts { calls, attempts, rejected, again, fallbacks, latency } = counts;
        Self { name, calls, attempts, attempts_again: again, rejected, fallbacks, latency }
    }

    /// Calls that have ended so.
    #[must_use]
    pub fn calls(&self, outcome: CallOutcome) -> u64 {
        self.calls[outcome.index()]
    }

    /// Attempts that have ended so.
    #[must_use]
    pub fn attempts(&self, outcome: Outcome) -> u64 {
        self.attempts[outcome.index()]
    }

    /// Attempts of this kind that have ended so.
    #[must_use]
    pub fn attempts_of(&self, kind: AttemptKind, outcome: Outcome) -> u64 {
        let of = |kind: usize| self.attempts_again[kind][outcome.index()];
        match kind {
            // Counted one after the other: for a moment there may be one less.
            AttemptKind::Original => self.attempts(outcome).saturating_sub(of(0) + of(1)),
            AttemptKind::Retry => of(0),
            AttemptKind::Hedge => of(1),
        }
    }

    /// Calls that a fallback has answered, by its reason: how they would have ended, or the guard that had refused them.
    /// Reasons that there were none for are left out.
    pub fn fallbacks(&self) -> impl Iterator<Item = (&'static str, u64)> {
        reasons().zip(self.fallbacks).filter(|(_, count)| *count > 0)
    }

    /// Calls that ended refused by this guard.
    #[must_use]
    pub fn rejected(&self, by: RejectedBy) -> u64 {
        self.rejected[by.index()]
    }
}

impl Dependency {
    /// Everything about it at one instant. Counters are read one by one: each only grows from one
    /// snapshot to the next, but calls in flight may show in one and not yet in another.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = self.now();
        let mut breaker = self.gate().breaker().report(now);
        let keys = self.gate().keys().snapshot();
        // Keys are never labels: what is counted is counted for the dependency.
        if let Some(keys) = &keys {
            breaker.refusals_withheld += keys.refusals_withheld;
            breaker.stale_results += keys.stale_results;
        }
        let adaptive = self.gate().breaker().reading(now);
        let ramp = self.gate().breaker().ramp(now);
        let room = self.gate().waiting_room();
        Snapshot {
            dependency: self.name().to_string(),
            breaker,
            by_hand: self.by_hand.load().as_deref().cloned(),
            keys,
            adaptive,
            ramp,
            active: room.permits().active(),
            kept_permits: self.gate().kept_permits(),
            limit: room.permits().limit(),
            pool: self.pool().map(|pool| pool.counts()),
            queues: QueueSnapshot::all(self.queues()),
            mailbox: room.counts(),
            capacity: room.capacity(),
            fill_ratio: room.fill_ratio(),
            shed_share: room.shed_share(),
            rejections: RejectedBy::EVERY.map(|by| self.refusals(by)),
            retries: self.retried().retries(),
            hedges: self.retried().hedges(),
            retry_delays: self.retried().delays(),
            restarts: self.restarts.load(Ordering::Relaxed).into(),
            unattended: self.unattended.load(Ordering::Relaxed),
            pending: self.pending(),
            methods: methods(&self.traits.lock()),
        }
    }
}

/// By name. Traits may have methods of one name: they count together.
fn methods(traits: &[Trait]) -> Vec<MethodSnapshot> {
    let mut called: Vec<_> = called(traits).collect();
    called.sort_unstable_by_key(|method| method.name());
    let shown = names(traits).into_iter().map(|name| {
        let mut counts = MethodCounts::default();
        let first = called.partition_point(|method| method.name() < name);
        let of_this_name = called[first..].iter().take_while(|method| method.name() == name);
        of_this_name.for_each(|method| method.stats.add_to(&mut counts));
        MethodSnapshot::new(name, counts)
    });
    shown.collect()
}

impl Snapshot {
    /// The breaker's state.
    #[must_use]
    pub fn state(&self) -> State {
        self.breaker.state
    }

    /// Calls that ended so, over all methods.
    #[must_use]
    pub fn calls(&self, outcome: CallOutcome) -> u64 {
        self.methods.iter().map(|method| method.calls(outcome)).sum()
    }

    /// Attempts that ended so, over all methods.
    #[must_use]
    pub fn attempts(&self, outcome: Outcome) -> u64 {
        self.methods.iter().map(|method| method.attempts(outcome)).sum()
    }

    /// Attempts of this kind that ended so, over all methods.
    #[must_use]
    pub fn attempts_of(&self, kind: AttemptKind, outcome: Outcome) -> u64 {
        self.methods.iter().map(|method| method.attempts_of(kind, outcome)).sum()
    }

    /// Calls that ended refused by this guard, over all methods.
    #[must_use]
    pub fn rejected_calls(&self, by: RejectedBy) -> u64 {
        self.methods.iter().map(|method| method.rejected(by)).sum()
    }

    /// Attempts that this guard refused, whatever became of their calls.
    #[must_use]
    pub fn rejections(&self, by: RejectedBy) -> u64 {
        self.rejections[by.index()]
    }

    /// How long calls took, over all methods.
    #[must_use]
    pub fn latency(&self) -> Latency {
        let mut latency = Latency::default();
        for method in &self.methods {
            latency.merge(&method.latency);
        }
        latency
    }

    /// The latency that a share `q` of the calls did not exceed; `None` without calls.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        self.latency().quantile(q)
    }
}
