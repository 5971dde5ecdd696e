//! A limiter for each key: user, address, tenant, endpoint.
//! What is promised, and what it costs, is in the [guide](super::guide).

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use crate::clock::Moment;
use crate::entropy::SecretHash;
use crate::sync::{AtomicU64, Ordering};

use super::algorithm::{Algorithm, Decision, Refusal};
use shards::Shards;

mod config;
mod group;
pub(super) mod shards;

pub use config::{KeyedBuilder, KeyedConfig, MAX_KEYS};
pub use group::OverflowGroup;

#[cfg(all(test, not(seawall_loom)))]
mod tests;

/// A rate limiter for each key, bounded in number. Shared by reference between threads; never waits
/// for time to pass; is told the time.
pub struct KeyedLimiter<K, A: Algorithm, S = SecretHash> {
    algorithm: A,
    config: KeyedConfig,
    keys: Shards<K, A::State, S>,
    /// What stands in for the keys that have no state of their own, each for its part of them.
    overflow: Box<[A::State]>,
    overflowed: AtomicU64,
}

/// A cost to give back at `now`, that was taken for `taken_for`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refund {
    pub(super) now: Moment,
    pub(super) cost: u64,
    pub(super) taken_for: Moment,
}

/// Where a cost was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TakenFrom {
    /// The key's own state.
    Own,
    /// The state that keys without room share.
    Overflow,
}

impl<K: Hash + Eq, A: Algorithm> KeyedLimiter<K, A> {
    /// A limiter that nobody has used.
    #[must_use]
    pub fn new(algorithm: A, config: KeyedConfig, now: Moment) -> Self {
        Self::with_hasher(algorithm, config, SecretHash::default(), now)
    }
}

impl<K: Hash + Eq, A: Algorithm, S: BuildHasher> KeyedLimiter<K, A, S> {
    /// The same with a hasher of your choice: worth it only where keys are not chosen by users, since
    /// a client that finds keys that collide makes each look-up of them slow.
    #[must_use]
    pub fn with_hasher(algorithm: A, config: KeyedConfig, hasher: S, now: Moment) -> Self {
        let overflows = Shards::<K, A::State, S>::overflows(config.max_keys());
        Self {
            keys: Shards::new(config.max_keys(), hasher),
            overflow: (0..overflows).map(|_| algorithm.start(now)).collect(),
            overflowed: AtomicU64::new(0),
            algorithm,
            config,
        }
    }

    /// The settings of each key's limiter.
    #[must_use]
    pub fn algorithm(&self) -> &A {
        &self.algorithm
    }

    /// How many keys there may be.
    #[must_use]
    pub fn config(&self) -> &KeyedConfig {
        &self.config
    }

    /// Takes `cost` from `key`, or nothing.
    ///
    /// # Errors
    /// There is not enough: when there will be. A refusal changes nothing.
    #[inline]
    pub fn try_take<Q>(&self, key: &Q, now: Moment, cost: u64) -> Result<(), Refusal>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.decide(key, now, |state, _| self.algorithm.try_take(state, now, cost))
    }

    /// Takes `cost` from `key`, or nothing, and tells how things are now.
    pub fn check<Q>(&self, key: &Q, now: Moment, cost: u64) -> Decision
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.decide(key, now, |state, _| self.algorithm.check(state, now, cost))
    }

    /// What [`KeyedLimiter::check`] would say, but takes nothing and makes no key.
    #[must_use]
    pub fn peek<Q>(&self, key: &Q, now: Moment, cost: u64) -> Decision
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let peek = |state: &A::State| self.algorithm.peek(state, now, cost);
        // A new key begins with what the overflow has left, wherever it finds room.
        self.keys.read(key, peek).unwrap_or_else(|| peek(self.overflow_of(key)))
    }

    /// Takes `cost` from `key` now or ahead of time, and tells how long to wait before using it; see
    /// [`Algorithm::reserve`]. A key that finds no room takes now or not at all.
    ///
    /// # Errors
    /// It would take longer than `max_wait`: how long. Nothing is taken.
    pub fn reserve<Q>(
        &self,
        key: &Q,
        now: Moment,
        cost: u64,
        max_wait: Duration,
    ) -> Result<Duration, Refusal>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        self.decide(key, now, |state, place| {
            // What is ahead of time could not be told to a key that gets room later.
            let max_wait = if place == TakenFrom::Own { max_wait } else { Duration::ZERO };
            self.algorithm.reserve(state, now, cost, max_wait)
        })
    }

    /// Gives `cost` back to `key` that was taken for `taken_for` and not used; see
    /// [`Algorithm::refund`]. Does nothing for a key without a state of its own: that is either as
    /// good as new, or shares what others have spent.
    pub fn refund<Q>(&self, key: &Q, now: Moment, cost: u64, taken_for: Moment)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.keys.read(key, |state| self.algorithm.refund(state, now, cost, taken_for));
    }

    /// What `key` has left, in whole units.
    #[must_use]
    pub fn remaining<Q>(&self, key: &Q, now: Moment) -> u64
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.peek(key, now, 0).remaining
    }

    /// Forgets what `key` has spent. Whether it had spent anything that still counted. A key that has found no room keeps what it
    /// shares with others.
    pub fn reset<Q>(&self, key: &Q, now: Moment) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let has_spent = |state: &A::State| !self.algorithm.is_fresh(state, now);
        if self.keys.read(key, has_spent) != Some(true) {
            return false;
        }
        // Nobody may go for it: it is there, or has just gone by itself.
        self.keys.write(
            key,
            |_| false,
            || self.algorithm.start(now),
            |state| {
                let Some(state) = state else { return false };
                *state = self.algorithm.start(now);
                true
            },
        )
    }

    /// Keys that have spent something which still counts at `now`: `at_most` so many, in no order. For people who look; it goes
    /// through all keys.
    #[must_use]
    pub fn spenders(&self, now: Moment, at_most: usize) -> Vec<K>
    where
        K: Clone,
    {
        self.keys.some(at_most, |state| !self.algorithm.is_fresh(state, now))
    }

    /// Whether `key` has a state of its own.
    #[must_use]
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.keys.read(key, |_| ()).is_some()
    }

    /// How many keys have a state of their own; at most `max_keys`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys have been forgotten since the start.
    #[must_use]
    pub fn evicted_total(&self) -> u64 {
        self.keys.evicted()
    }

    /// How many requests, refused ones too, of keys that found no room, since the start.
    #[must_use]
    pub fn overflowed_total(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Forgets keys that are as good as new, and gives memory back. Looks at the next 4,096 places, a
    /// few thousand keys, in some 20 µs; called every so often it comes round to all. How many went.
    ///
    /// It need not be called: keys go by themselves as others come. It is for what is left when no new
    /// ones do, and nothing but memory depends on it.
    pub fn sweep(&self, now: Moment) -> usize {
        self.keys.sweep(|state| self.algorithm.is_fresh(state, now))
    }

    /// Decides on the key's state, made if it is not there, or on the overflow's; nobody forgets it
    /// meanwhile.
    #[inline]
    pub(super) fn decide<Q, R>(
        &self,
        key: &Q,
        now: Moment,
        decide: impl Fn(&A::State, TakenFrom) -> R,
    ) -> R
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        match self.keys.read(key, |state| decide(state, TakenFrom::Own)) {
            Some(decided) => decided,
            None => self.decide_new(key, now, decide),
        }
    }

    #[cold]
    fn decide_new<Q, R>(
        &self,
        key: &Q,
        now: Moment,
        decide: impl Fn(&A::State, TakenFrom) -> R,
    ) -> R
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let may_go = |state: &A::State| self.algorithm.is_fresh(state, now);
        // With the key's shard locked: when it gets room later, what it took here is known.
        self.keys.write(
            key,
            may_go,
            || self.newcomer(key, now),
            |state| match state {
                Some(state) => decide(state, TakenFrom::Own),
                None => {
                    self.overflowed.fetch_add(1, Ordering::Relaxed);
                    decide(self.overflow_of(key), TakenFrom::Overflow)
                }
            },
        )
    }

    /// What stands in for a key without a state of its own.
    fn overflow_of<Q>(&self, key: &Q) -> &A::State
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        &self.overflow[self.keys.part(key, self.overflow.len())]
    }

    /// The state of a key that has none. It may have been using its overflow until now, so whatever
    /// that has spent it may have spent.
    fn newcomer<Q>(&self, key: &Q, now: Moment) -> A::State
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let state = self.algorithm.start(now);
        let overflow = self.overflow_of(key);
        if !self.algorithm.is_fresh(overflow, now) {
            let left = self.algorithm.peek(overflow, now, 0).remaining;
            let spent = self.algorithm.limit().saturating_sub(left);
            // A new state has its whole limit, so this is never refused.
            let _ = self.algorithm.try_take(&state, now, spent);
        }
        state
    }

    /// Gives a cost back where it was taken.
    pub(super) fn refund_at<Q>(&self, key: &Q, place: TakenFrom, refund: Refund)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Refund { now, cost, taken_for } = refund;
        match place {
            TakenFrom::Own => self.refund(key, now, cost, taken_for),
            TakenFrom::Overflow => {
                self.algorithm.refund(self.overflow_of(key), now, cost, taken_for);
            }
        }
    }
}

impl<K: Hash + Eq, A: Algorithm, S: BuildHasher> fmt::Debug for KeyedLimiter<K, A, S> {
    /// Without the keys: there may be millions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedLimiter")
            .field("algorithm", &self.algorithm)
            .field("config", &self.config)
            .field("keys", &self.len())
            .field("evicted", &self.evicted_total())
            .field("overflowed", &self.overflowed_total())
            .finish_non_exhaustive()
    }
}
