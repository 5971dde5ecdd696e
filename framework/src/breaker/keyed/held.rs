//! A key found once and used several times: what a client's call does with all its attempts.

use std::borrow::Borrow;
use std::hash::Hash;

use crate::breaker::{CircuitBreaker, Leave, NotAdmitted};
use crate::clock::Moment;
use crate::event::{State, Transition};
use crate::outcome::AttemptEnd;
use crate::sync::{Arc, Ordering};

use super::order::KeyedBreaker;
use super::{Keyed, KeyedConfig};

/// A key that is not evicted while this is held; or the overflow breaker.
#[derive(Debug)]
pub(crate) struct Held<K>(Option<Arc<KeyedBreaker<K>>>);

impl<K> Held<K> {
    /// The overflow breaker, for a key that cannot have one of its own.
    pub(crate) fn overflow() -> Self {
        Self(None)
    }

    /// The key, `None` if it shares the overflow breaker.
    pub(crate) fn key(&self) -> Option<&K> {
        self.0.as_ref().map(|entry| &entry.key)
    }

    /// Tells keys apart while they are held. All that share the overflow breaker are one.
    pub(crate) fn address(&self) -> usize {
        self.0.as_ref().map_or(0, |entry| Arc::as_ptr(entry).addr())
    }
}

/// How many keys there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Census {
    /// With a breaker of their own.
    pub(crate) keys: usize,
    /// Open or half-open.
    pub(crate) tripped: usize,
}

impl<K: Hash + Eq + Clone> Keyed<K> {
    /// Finds a key, or makes room for it. `is_new` is set if it was not there.
    #[inline]
    pub(crate) fn hold<Q>(&self, key: &Q, now: Moment, is_new: &mut bool) -> Held<K>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let known = self.keys.look(key, |entry| {
            entry.touch(now);
            Arc::clone(entry)
        });
        if known.is_some() {
            return Held(known);
        }
        *is_new = true;
        Held(self.entry(key, now))
    }

    fn breaker<'a>(&'a self, held: &'a Held<K>) -> &'a CircuitBreaker {
        held.0.as_ref().map_or(&self.overflow, |entry| &entry.breaker)
    }

    /// Whether an attempt would be admitted now. Begins every attempt, so it counts those that overflow.
    ///
    /// # Errors
    /// [`NotAdmitted`] if it would not.
    #[inline]
    pub(crate) fn check(&self, held: &Held<K>, now: Moment) -> Result<(), NotAdmitted> {
        match &held.0 {
            Some(entry) => entry.touch(now),
            None => drop(self.overflowed.fetch_add(1, Ordering::Relaxed)),
        }
        self.check_held(held, now)
    }

    /// The same for an attempt that has begun: not a use of the key.
    ///
    /// # Errors
    /// [`NotAdmitted`] if it would not.
    #[inline]
    pub(crate) fn check_held(&self, held: &Held<K>, now: Moment) -> Result<(), NotAdmitted> {
        self.breaker(held).check(now)
    }

    /// Admits an attempt. The move that this made, if any, is left in `moved`.
    ///
    /// # Errors
    /// [`NotAdmitted`]: the key's breaker is open or has all probes out.
    #[inline]
    pub(crate) fn admit_held(
        &self,
        held: &Held<K>,
        now: Moment,
        moved: &mut Option<Transition>,
    ) -> Result<Leave, NotAdmitted> {
        self.breaker(held).let_in(now, moved)
    }

    /// Counts how an admitted attempt ended while so many others were in flight, and returns the move that this made, if
    /// any.
    #[inline]
    pub(crate) fn record_held(
        &self,
        held: &Held<K>,
        admission: Leave,
        (attempt_end, in_flight): (AttemptEnd, u32),
        now: Moment,
    ) -> Option<Transition> {
        let transition = self.breaker(held).note_among(admission, attempt_end, in_flight, now)?;
        Some(match &held.0 {
            Some(entry) => self.settle(entry, transition),
            None => transition,
        })
    }

    /// Takes back the admission of an attempt that comes to nothing.
    pub(crate) fn take_back_held(&self, held: &Held<K>, admission: Leave) {
        self.breaker(held).take_back(admission);
    }

    /// Goes by other settings from now on. Keys keep their states and what they have counted, as
    /// [`CircuitBreaker::reconfigure`] says; if there may be fewer keys than there are, they go as new ones come.
    pub(crate) fn reconfigure(&self, config: KeyedConfig, now: Moment) {
        let breaker = std::sync::Arc::new(config.breaker().clone());
        self.config.store(std::sync::Arc::new(config));
        // New keys take their settings from it, with the order locked: a caller that does so before is listed.
        self.overflow.reconfigure(std::sync::Arc::clone(&breaker), now);
        let entries = self.order.lock().all();
        for entry in entries {
            if let Some(transition) =
                entry.breaker.reconfigure(std::sync::Arc::clone(&breaker), now)
            {
                self.settle(&entry, transition);
            }
        }
    }

    /// How many keys there are now, and how many of them are not closed.
    pub(crate) fn census(&self) -> Census {
        let order = self.order.lock();
        Census { keys: order.len(), tripped: order.tripped_len() }
    }

    /// Whether nothing needs looking after: no key is there, and the overflow breaker is closed.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.census().keys == 0 && self.overflow.state() == State::Closed
    }
}
