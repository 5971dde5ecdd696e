//! What decides about a request.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use crate::clock::Moment;
use crate::limit::headers::QuotaPolicy;
use crate::limit::{Algorithm, Decision, KeyedLimiter, RateLimiter};

use super::counting::Taken;
use super::key::{Head, Key, KeyValue};
use super::policies::Policies;

/// What is said to a request.
#[derive(Clone, Debug)]
pub enum Answer<'a> {
    /// It is not limited, and its answer gets no fields.
    Free,
    /// A limiter has decided.
    Decided {
        /// What.
        decision: Decision,
        /// The policy that it is announced by. `None`: the layer's.
        policy: Option<&'a QuotaPolicy>,
    },
    /// One of several limits has decided, each of which has a policy: all are announced in `RateLimit-Policy`, the other
    /// fields are this one's.
    Among {
        /// What.
        decision: Decision,
        /// The policies of all.
        policies: Cow<'a, Policies>,
        /// Which of them has decided. Beyond the last: the layer's policy.
        at: usize,
        /// Of a refusal, a bit for each that refuses: the first policy's is the lowest. They are the problem's
        /// `violated-policies`; the one that has decided is one of them in any case.
        refusing: u32,
    },
    /// It is refused, because nobody can tell whose it is.
    Unidentified,
}

impl From<Decision> for Answer<'_> {
    fn from(decision: Decision) -> Self {
        Self::Decided { decision, policy: None }
    }
}

/// Limits requests. Called in the request's own task: it must not block.
pub trait Limit: Send + Sync {
    /// Takes `cost` for a request, or refuses it.
    fn check(&self, head: &Head<'_>, now: Moment, cost: u64) -> Answer<'_>;
    /// Gives back what was taken for a request that does not count after all; see
    /// [`RateLimitLayer::count_if`](super::RateLimitLayer::count_if). Default: it is not given back.
    fn refund(&self, head: &Head<'_>, taken: Taken, now: Moment) {
        let _ = (head, taken, now);
    }
    /// How many keys it holds now, for metrics. Default `None`: it has none.
    fn key_count(&self) -> Option<usize> {
        None
    }
}

impl<A: Algorithm> Limit for RateLimiter<A> {
    fn check(&self, _: &Head<'_>, now: Moment, cost: u64) -> Answer<'_> {
        RateLimiter::check(self, now, cost).into()
    }
    fn refund(&self, _: &Head<'_>, taken: Taken, now: Moment) {
        RateLimiter::refund(self, now, taken.cost, taken.at);
    }
}

impl<L: Limit + ?Sized> Limit for Arc<L> {
    fn check(&self, head: &Head<'_>, now: Moment, cost: u64) -> Answer<'_> {
        L::check(self, head, now, cost)
    }
    fn refund(&self, head: &Head<'_>, taken: Taken, now: Moment) {
        L::refund(self, head, taken, now);
    }
    fn key_count(&self) -> Option<usize> {
        L::key_count(self)
    }
}

/// A limiter for each key. Bounding the number of keys is its business.
pub trait KeyedCheck<K>: Send + Sync {
    /// Takes `cost` from `key`, or nothing, and tells how things are now.
    fn check_key(&self, key: &K, now: Moment, cost: u64) -> Decision;
    /// Gives back what was taken from `key`. Default: it is not given back.
    fn refund_key(&self, key: &K, taken: Taken, now: Moment) {
        let _ = (key, taken, now);
    }
    /// How many keys it holds now, for metrics. Default `None`: it does not say.
    fn key_count(&self) -> Option<usize> {
        None
    }
}

impl<K, A, S> KeyedCheck<K> for KeyedLimiter<K, A, S>
where
    K: Hash + Eq + Clone + Send + Sync,
    A: Algorithm,
    S: BuildHasher + Send + Sync,
{
    fn check_key(&self, key: &K, now: Moment, cost: u64) -> Decision {
        self.check(key, now, cost)
    }
    fn refund_key(&self, key: &K, taken: Taken, now: Moment) {
        self.refund(key, now, taken.cost, taken.at);
    }
    fn key_count(&self) -> Option<usize> {
        Some(self.len())
    }
}

impl<K, C: KeyedCheck<K> + ?Sized> KeyedCheck<K> for Arc<C> {
    fn check_key(&self, key: &K, now: Moment, cost: u64) -> Decision {
        C::check_key(self, key, now, cost)
    }
    fn refund_key(&self, key: &K, taken: Taken, now: Moment) {
        C::refund_key(self, key, taken, now);
    }
    fn key_count(&self) -> Option<usize> {
        C::key_count(self)
    }
}

/// What becomes of a request that has no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unkeyed {
    /// All of them share one limiter, the one of [`KeyValue::Shared`].
    #[default]
    Shared,
    /// It is refused with `403 Forbidden`.
    Refuse,
    /// It passes, unlimited.
    Pass,
}

/// A limit for each key.
pub struct PerKey<C> {
    limiters: C,
    key: Key,
    unkeyed: Unkeyed,
}

impl<C: KeyedCheck<KeyValue>> PerKey<C> {
    /// A limit for each `key`, of which `limiters` keeps count.
    #[must_use]
    pub fn new(limiters: C, key: Key) -> Self {
        Self { limiters, key, unkeyed: Unkeyed::default() }
    }

    /// What becomes of a request that has no key. Default [`Unkeyed::Shared`].
    #[must_use]
    pub fn unkeyed(mut self, unkeyed: Unkeyed) -> Self {
        self.unkeyed = unkeyed;
        self
    }
}

impl<C: KeyedCheck<KeyValue>> Limit for PerKey<C> {
    fn check(&self, head: &Head<'_>, now: Moment, cost: u64) -> Answer<'_> {
        match (self.key.of(head), self.unkeyed) {
            (Some(key), _) => self.limiters.check_key(&key, now, cost).into(),
            (None, Unkeyed::Shared) => self.limiters.check_key(&KeyValue::Shared, now, cost).into(),
            (None, Unkeyed::Refuse) => Answer::Unidentified,
            (None, Unkeyed::Pass) => Answer::Free,
        }
    }

    fn refund(&self, head: &Head<'_>, taken: Taken, now: Moment) {
        match (self.key.of(head), self.unkeyed) {
            (Some(key), _) => self.limiters.refund_key(&key, taken, now),
            (None, Unkeyed::Shared) => self.limiters.refund_key(&KeyValue::Shared, taken, now),
            (None, Unkeyed::Refuse | Unkeyed::Pass) => {}
        }
    }

    fn key_count(&self) -> Option<usize> {
        self.limiters.key_count()
    }
}

impl<C> fmt::Debug for PerKey<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PerKey");
        debug.field("key", &self.key).field("unkeyed", &self.unkeyed).finish_non_exhaustive()
    }
}
