//! Breakers by key in front of a dependency: a shard, host or tenant that fails is cut off alone.
//!
//! An attempt of a method with a key passes two breakers: the dependency's own, then its key's. Its outcome
//! teaches the key's. The dependency's learns from it only as a probe, for it must have somebody to close it,
//! or if `count_for_dependency` says so: else one bad shard of ten would soon refuse the calls of all.

use std::sync::atomic::{AtomicBool, AtomicU64};

use once_cell::race::OnceBox;
use serde::Serialize;

use crate::breaker::{CircuitBreaker, Config, Held, Keyed, Keys, Leave, NotAdmitted};
use crate::clock::Moment;
use crate::event::{Sampler, State, Transition};
use crate::outcome::{AttemptEnd, Outcome};
use crate::policy::Policy;
use crate::sync::Ordering;

use super::refusals::Refused;
use super::waiter::KeyId;

/// A longer key has no breaker of its own, but shares the overflow breaker. In bytes.
pub const MAX_KEY_BYTES: usize = 256;
/// How many open keys a snapshot names.
pub const MAX_OPEN_KEYS_NAMED: usize = 32;

/// The key of one call, held with all its attempts.
#[derive(Debug)]
pub struct HeldKey(pub(super) Held<String>);

impl HeldKey {
    /// For the waiting room.
    pub(super) fn id(&self) -> KeyId {
        KeyId(self.0.address())
    }
}

/// The breakers of a dependency's keys; nothing but a few words before the first key comes.
#[derive(Debug)]
pub(crate) struct KeyBreakers {
    pub(super) breakers: OnceBox<Keyed<String>>,
    pub(super) is_off: AtomicBool,
    count_for_dependency: AtomicBool,
    /// The actor looks them over by itself, until they are at rest.
    pub(super) is_monitored: AtomicBool,
    /// Refusals of keys' breakers that the dependency's, which was told to observe by hand, kept back.
    overruled: AtomicU64,
    moves: OnceBox<Sampler>,
}

impl KeyBreakers {
    pub(super) fn new(policy: &Policy) -> Self {
        let breakers = Self {
            breakers: OnceBox::new(),
            is_off: AtomicBool::new(false),
            count_for_dependency: AtomicBool::new(false),
            is_monitored: AtomicBool::new(false),
            overruled: AtomicU64::new(0),
            moves: OnceBox::new(),
        };
        breakers.note(policy);
        breakers
    }

    fn note(&self, policy: &Policy) {
        self.is_off.store(policy.keyed().is_none(), Ordering::Relaxed);
        let count = policy.keyed().is_some_and(|keys| keys.count_for_dependency());
        self.count_for_dependency.store(count, Ordering::Relaxed);
    }

    /// Goes by `next` from now on. Keys keep their states; switched off, they keep them for later.
    pub(super) fn reconfigure(&self, before: &Policy, next: &Policy, now: Moment) {
        self.note(next);
        let is_same = before.breaker() == next.breaker() && before.keyed() == next.keyed();
        if let (Some(breakers), false) = (self.breakers.get(), is_same) {
            breakers.reconfigure(settings(next).into(), now);
        }
    }

    /// Of their moves, which are told of.
    pub(super) fn moves(&self) -> &Sampler {
        self.moves.get_or_init(Box::default)
    }

    /// The look that comes first.
    #[inline]
    pub(crate) fn check(
        &self,
        key: &HeldKey,
        whole: &CircuitBreaker,
        now: Moment,
    ) -> Result<(), Refused> {
        let Some(breakers) = self.breakers.get() else { return Ok(()) };
        heed(breakers.check(&key.0, now), whole)
    }

    /// The look of an attempt that has been let in by [`KeyBreakers::check`] and waits.
    pub(crate) fn check_again(
        &self,
        key: &HeldKey,
        whole: &CircuitBreaker,
        now: Moment,
    ) -> Result<(), Refused> {
        let Some(breakers) = self.breakers.get() else { return Ok(()) };
        heed(breakers.check_held(&key.0, now), whole)
    }

    /// The look that counts, of an attempt that `whole`, the dependency's breaker, has let in. `None`: let through, and
    /// not to be learned from.
    pub(crate) fn admit(
        &self,
        key: &HeldKey,
        (whole, leave): (&CircuitBreaker, Leave),
        now: Moment,
        moved: &mut Option<Transition>,
    ) -> Result<Option<Leave>, NotAdmitted> {
        let Some(breakers) = self.breakers.get() else { return Ok(None) };
        // Refused by the one, it would not have come before the other: it is not to count twice.
        if leave.is_withheld() {
            return Ok(None);
        }
        match breakers.admit_held(&key.0, now, moved) {
            Ok(admission) => Ok(Some(admission)),
            Err(_) if whole.lets_all_through() => {
                // Held closed by hand, or disabled, it counts nothing.
                self.overruled.fetch_add(u64::from(!leave.is_uncounted()), Ordering::Relaxed);
                Ok(None)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Counts how an attempt on `key` ended, and says what the dependency's own breaker is to learn of it.
    pub(super) fn record(
        &self,
        key: &HeldKey,
        (own, whole): (Leave, Leave),
        (attempt_end, in_flight): (AttemptEnd, u32),
        now: Moment,
    ) -> (AttemptEnd, Option<Transition>) {
        let moved = self
            .breakers
            .get()
            .and_then(|it| it.record_held(&key.0, own, (attempt_end, in_flight), now));
        if whole.is_probe() || self.count_for_dependency.load(Ordering::Relaxed) {
            return (attempt_end, moved);
        }
        (AttemptEnd::from(Outcome::Ignored), moved)
    }

    /// Takes back the admission of an attempt on `key` that comes to nothing.
    pub(super) fn take_back(&self, key: &HeldKey, own: Leave) {
        if let Some(breakers) = self.breakers.get() {
            breakers.take_back_held(&key.0, own);
        }
    }

    /// A key of the gate under the model checker, which has no dependency around it.
    #[cfg(all(test, seawall_loom))]
    pub(crate) fn hold(&self, policy: &Policy, key: &str, now: Moment) -> HeldKey {
        let breakers = self.breakers.get_or_init(|| Box::new(Keyed::new(settings(policy), now)));
        HeldKey(breakers.hold(key, now, &mut false))
    }

    /// As they are now; `None` before the first key.
    pub(super) fn snapshot(&self) -> Option<KeysSnapshot> {
        let breakers = self.breakers.get()?;
        let census = breakers.census();
        Some(KeysSnapshot {
            keys: census.keys,
            open: census.tripped,
            open_keys: breakers
                .open_keys(MAX_OPEN_KEYS_NAMED)
                .into_iter()
                .map(|(key, state)| OpenKey { key, state })
                .collect(),
            overflow: breakers.overflow_state(),
            evicted: breakers.evicted_total(),
            overflowed: breakers.overflowed_total(),
            refusals_withheld: breakers.refusals_withheld_total()
                + self.overruled.load(Ordering::Relaxed),
            stale_results: breakers.stale_results_total(),
        })
    }
}

/// Behind a breaker that lets every call through by hand, keys refuse nothing.
#[inline]
fn heed(looked: Result<(), NotAdmitted>, whole: &CircuitBreaker) -> Result<(), Refused> {
    match looked {
        Err(refusal) if !whole.lets_all_through() => Err(refusal.into()),
        _ => Ok(()),
    }
}

pub(super) fn settings(policy: &Policy) -> (Config, Keys) {
    (policy.breaker().for_key(), policy.keyed().unwrap_or_default())
}

/// A key whose breaker is not closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OpenKey {
    /// The key.
    pub key: String,
    /// Open or half-open.
    pub state: State,
}

/// The breakers of a dependency's keys at one instant.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct KeysSnapshot {
    /// Keys that have a breaker of their own.
    pub keys: usize,
    /// How many of them are open or half-open.
    pub open: usize,
    /// Up to [`MAX_OPEN_KEYS_NAMED`] of those, with their states, in no order.
    pub open_keys: Vec<OpenKey>,
    /// The state of the breaker that keys share for which there is no room.
    pub overflow: State,
    /// Keys that were evicted, for room or as idle, since the start.
    pub evicted: u64,
    /// Attempts that went to the shared breaker since the start.
    pub overflowed: u64,
    /// Attempts that they would have refused, had they not been told only to observe, since the start; each is one that
    /// the dependency's own breaker would have let through.
    pub refusals_withheld: u64,
    /// Answers that came too late to count for their key, since the start.
    pub stale_results: u64,
}
