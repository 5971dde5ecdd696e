//! A breaker for each key: shard, host, tenant, endpoint. One that fails is cut off alone.
//!
//! ```
//! use seawall::breaker::{Config, Keyed};
//! use seawall::clock::Moment;
//! use seawall::{Outcome, State};
//!
//! let hosts: Keyed<String> = Keyed::new(Config::default(), Moment::ZERO);
//! for _ in 0..5 {
//!     let call = hosts.admit("db-3", Moment::ZERO).0?;
//!     hosts.record(call, Outcome::Failure, Moment::ZERO);
//! }
//! assert_eq!(hosts.state("db-3"), Some(State::Open));
//! assert!(hosts.admit("db-4", Moment::ZERO).0.is_ok());
//! # Ok::<(), seawall::breaker::NotAdmitted>(())
//! ```
//!
//! **Memory is bounded**, whatever keys come. At `max_keys` a new key takes the place of a closed one
//! that is not in use: the least recently used of the 16 that are looked at, so no insertion goes
//! through all keys. The evicted key starts over, closed with an empty window.
//!
//! **An open key is not forgotten.** A key that still refuses calls is never evicted, idle or not, nor is one that
//! lets them back in slowly (`ramp_for`). One whose open time is over, however long the server asked for, may be, after
//! `idle_after` more without a call. A key with an attempt in flight is never evicted, so that every outcome reaches
//! the breaker that admitted it.
//!
//! **When nothing may be evicted**, because the keys are all open, or the 16 closed ones looked at are
//! in use or ramping up, the new key's call goes to one *overflow* breaker that all such keys share, counted in
//! [`Keyed::overflowed_total`]. A client that sends random keys thus neither exhausts memory nor flushes
//! anybody's open state; they share the fate of one another, and of other new keys for as long as the
//! bound is reached. Set `max_keys` above the number of real keys.
//!
//! A known key is found by one read lock on its shard of the map and without allocating; a new key,
//! a breaker's move and a poll also take one mutex for all keys, for a bounded time.
//! An entry is some hundred bytes, its window, and up to 256 past moves of 16 bytes for a key that flaps.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;

use arc_swap::ArcSwap;

use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::event::{State, Transition};
use crate::outcome::AttemptEnd;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

use super::admission::{Leave, NotAdmitted};
use super::report::BreakerReport;
use super::shared_counters::SharedCounters;
use super::state::CircuitBreaker;
use map::Map;
use order::{KeyedBreaker, Order};

mod config;
mod held;
mod map;
mod order;
mod polled;

pub use config::{KeyedBuilder, KeyedConfig, Keys, KeysBuilder, MAX_IDLE_AFTER, MAX_KEYS};
pub(crate) use held::Held;
pub use polled::{Moved, Polled};

#[cfg(all(test, not(seawall_loom)))]
mod tests;

/// Leave for one attempt on one key. Hand it back to [`Keyed::record`]. Until then its key is not
/// evicted; dropped instead, it lets go of the key, and a probe's place comes back after the probe life.
#[derive(Debug)]
#[must_use = "an admission that is never recorded holds its probe place until the probe life is over"]
pub struct KeyedAdmission<K> {
    /// `None`: the overflow breaker's.
    entry: Option<Arc<KeyedBreaker<K>>>,
    admission: Leave,
}

impl<K> KeyedAdmission<K> {
    /// The key, `None` if it shares the overflow breaker.
    #[must_use]
    pub fn key(&self) -> Option<&K> {
        self.entry.as_ref().map(|entry| &entry.key)
    }

    /// Whether this attempt finds out if the key has recovered.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.admission.is_probe()
    }
}

/// A circuit breaker for each key, bounded in number. Shared by reference between threads; never
/// waits; is told the time.
///
/// What happens at the bound: a closed key gives way; if none may, new keys share one breaker.
/// Keys hash by SipHash with a seed of its own, so nobody can choose keys that collide. If a key's
/// `Hash`, `Eq` or `Clone` panics, the panic reaches the caller, and nothing is broken.
pub struct Keyed<K> {
    config: ArcSwap<KeyedConfig>,
    keys: Map<K, Arc<KeyedBreaker<K>>>,
    /// Locked before a shard of the map, never after.
    order: Mutex<Order<K>>,
    overflow: CircuitBreaker,
    /// Of the overflow breaker, of all keys that there are, and of all that there were.
    shared_counters: Arc<SharedCounters>,
    evicted: AtomicU64,
    overflowed: AtomicU64,
}

impl<K: Hash + Eq + Clone> Keyed<K> {
    /// No key yet. A [`Config`](super::Config) alone gives the defaults: 10,000 keys, 10 minutes.
    #[must_use]
    pub fn new(config: impl Into<KeyedConfig>, now: Moment) -> Self {
        let config = config.into();
        let shared_counters = Arc::new(SharedCounters::new());
        let mut overflow = CircuitBreaker::new(config.breaker().clone(), now);
        overflow.shared_counters = Some(Arc::clone(&shared_counters));
        Self {
            overflow,
            shared_counters,
            config: ArcSwap::from_pointee(config),
            keys: Map::new(),
            order: Mutex::default(),
            evicted: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
        }
    }

    /// The same with a source of chance of its own for `open_jitter`; without it all processes jitter alike.
    #[must_use]
    pub fn with_entropy(mut self, entropy: Entropy) -> Self {
        self.overflow.entropy = entropy;
        self
    }

    /// Its settings, as they are now.
    #[must_use]
    pub fn config(&self) -> std::sync::Arc<KeyedConfig> {
        self.config.load_full()
    }

    /// Admits an attempt on `key`, as a probe if its breaker is not closed. A key seen for the first
    /// time gets a closed breaker, or the overflow breaker if there is no room. And the transition that this
    /// made, if any.
    ///
    /// # Errors
    /// [`NotAdmitted`]: the key's breaker, or the overflow breaker, is open or has all probes out.
    #[inline]
    pub fn admit<Q>(
        &self,
        key: &Q,
        now: Moment,
    ) -> (Result<KeyedAdmission<K>, NotAdmitted>, Option<Transition>)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let mut moved = None;
        (self.let_in(key, now, &mut moved), moved)
    }

    /// The same, with the transition left in `moved`.
    #[inline]
    pub(in crate::breaker) fn let_in<Q>(
        &self,
        key: &Q,
        now: Moment,
        moved: &mut Option<Transition>,
    ) -> Result<KeyedAdmission<K>, NotAdmitted>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        match self.keys.look(key, |entry| admit_to(entry, now, moved)) {
            Some(admitted) => admitted,
            None => self.admit_new(key, now, moved),
        }
    }

    #[cold]
    fn admit_new<Q>(
        &self,
        key: &Q,
        now: Moment,
        moved: &mut Option<Transition>,
    ) -> Result<KeyedAdmission<K>, NotAdmitted>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        match self.entry(key, now) {
            Some(entry) => admit_to(&entry, now, moved),
            None => {
                self.overflowed.fetch_add(1, Ordering::Relaxed);
                let admission = self.overflow.let_in(now, moved)?;
                Ok(KeyedAdmission { entry: None, admission })
            }
        }
    }

    /// The key's entry, made if it was not there. `None`: there is no room.
    fn entry<Q>(&self, key: &Q, now: Moment) -> Option<Arc<KeyedBreaker<K>>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        // Dropped after the lock: users' keys go with them.
        let mut _gone = [None, None];
        let config = self.config.load();
        let mut order = self.order.lock();
        // Somebody may have been quicker; from here on nobody else adds a key.
        if let Some(entry) = self.keys.look(key, Arc::clone) {
            return Some(entry);
        }
        // Two for one, until those are gone that a lower bound has no room for.
        for gone in &mut _gone {
            if order.len() >= config.max_keys() {
                *gone = order.make_room(&self.keys, now, config.idle_after());
                self.evicted.fetch_add(u64::from(gone.is_some()), Ordering::Relaxed);
            }
        }
        if order.len() >= config.max_keys() {
            return None;
        }
        let key = key.to_owned();
        // The settings are shared; the chance is not, or all keys would jitter alike.
        let entropy = Entropy::seeded(self.overflow.entropy.next_u64());
        let mut breaker = CircuitBreaker::late(self.overflow.config(), now).with_entropy(entropy);
        breaker.shared_counters = Some(Arc::clone(&self.shared_counters));
        let entry = Arc::new(KeyedBreaker::new(key.clone(), breaker, now));
        // First the map: it hashes, which is the user's code and may panic.
        self.keys.insert(key, Arc::clone(&entry));
        order.add(Arc::clone(&entry));
        Some(entry)
    }

    /// Counts how an admitted attempt ended, for the key it was admitted on, and returns the move
    /// that this made, if any.
    #[inline]
    pub fn record(
        &self,
        admission: KeyedAdmission<K>,
        attempt_end: impl Into<AttemptEnd>,
        now: Moment,
    ) -> Option<Transition> {
        let Some(entry) = &admission.entry else {
            return self.overflow.note(admission.admission, attempt_end, now);
        };
        entry.touch(now);
        let transition = entry.breaker.note(admission.admission, attempt_end, now)?;
        Some(self.settle(entry, transition))
    }

    #[cold]
    fn settle(&self, entry: &Arc<KeyedBreaker<K>>, transition: Transition) -> Transition {
        self.order.lock().settle(entry, transition.at);
        transition
    }

    /// Closes a key's breaker with an empty window, by hand. Does nothing for a key without one.
    pub fn reset<Q>(&self, key: &Q, now: Moment) -> Option<Transition>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = self.keys.look(key, Arc::clone)?;
        let transition = entry.breaker.reset(now)?;
        Some(self.settle(&entry, transition))
    }

    /// A key's state as last published, `None` if it has no breaker of its own. Not a use of the key.
    #[must_use]
    pub fn state<Q>(&self, key: &Q) -> Option<State>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.keys.look(key, |entry| entry.breaker.state())
    }

    /// Everything about a key's breaker at `now`, `None` if it has none of its own. Not a use of the key.
    #[must_use]
    pub fn report<Q>(&self, key: &Q, now: Moment) -> Option<BreakerReport>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.keys.look(key, |entry| entry.breaker.report(now))
    }

    /// Everything about the breaker that new keys share when there is no room.
    #[must_use]
    pub fn overflow_report(&self, now: Moment) -> BreakerReport {
        self.overflow.report(now)
    }

    /// The state of the breaker that new keys share when there is no room.
    #[must_use]
    pub fn overflow_state(&self) -> State {
        self.overflow.state()
    }

    /// Up to `limit` of the keys that are open or half-open, in no order.
    #[must_use]
    pub fn open_keys(&self, limit: usize) -> Vec<(K, State)> {
        let tripped = self.order.lock().tripped(limit);
        let keys = tripped.iter().map(|entry| (entry.key.clone(), entry.breaker.state()));
        // Between the two looks one may have closed.
        keys.filter(|(_, state)| *state != State::Closed).collect()
    }

    /// How many keys have a breaker of their own; at most `max_keys`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.lock().len()
    }

    /// Whether no key has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys have been evicted, for room or as idle, since the start.
    #[must_use]
    pub fn evicted_total(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// How many attempts, refused ones too, went to the overflow breaker since the start.
    #[must_use]
    pub fn overflowed_total(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// How many attempts the keys' breakers would have refused, had they not been told only to observe, since the start.
    #[must_use]
    pub fn refusals_withheld_total(&self) -> u64 {
        self.shared_counters.withheld()
    }

    /// How many answers came too late to count for their key, since the start.
    #[must_use]
    pub fn stale_results_total(&self) -> u64 {
        self.shared_counters.stale()
    }

    /// Transitions breakers whose open time is over on to half-open, whether or not anybody calls, and
    /// evicts idle keys. Looks at the next 256 keys that are open or half-open and the next 256 closed
    /// ones; called every so often it comes round to all. Nothing but memory depends on it being called.
    pub fn poll(&self, now: Moment) -> Polled<K> {
        let idle_after = self.config.load().idle_after();
        let sweep = self.order.lock().sweep(&self.keys, now, idle_after);
        self.evicted.fetch_add(sweep.gone.len() as u64, Ordering::Relaxed);
        let mut moved: Vec<_> = sweep
            .moved
            .iter()
            .map(|(entry, transition)| Moved {
                key: Some(entry.key.clone()),
                transition: *transition,
            })
            .collect();
        if let Some(transition) = self.overflow.poll(now).0 {
            moved.push(Moved { key: None, transition });
        }
        Polled { moved, evicted: sweep.gone.len() }
    }
}

#[cfg(test)]
impl<K: Hash + Eq + Clone> Keyed<K> {
    /// With nobody at work: map and order hold the same.
    pub(in crate::breaker) fn assert_whole(&self) {
        self.order.lock().assert_whole(&self.keys);
    }
}

/// Admits an attempt on an entry that the caller keeps from being evicted meanwhile.
#[inline]
fn admit_to<K>(
    entry: &Arc<KeyedBreaker<K>>,
    now: Moment,
    moved: &mut Option<Transition>,
) -> Result<KeyedAdmission<K>, NotAdmitted> {
    entry.touch(now);
    // Open to half-open is the only move this can make: the entry stays in its list.
    let admission = entry.breaker.let_in(now, moved)?;
    Ok(KeyedAdmission { entry: Some(Arc::clone(entry)), admission })
}

impl<K> fmt::Debug for Keyed<K> {
    /// Without the keys: there may be a million.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("config", &self.config)
            .field("keys", &self.order.lock().len())
            .field("evicted", &self.evicted.load(Ordering::Relaxed))
            .field("overflowed", &self.overflowed.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}
