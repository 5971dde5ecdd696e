//! Permits and the length of the line for them, in one word.
//!
//! Limit, permits out and waiters stand together (21 bits each), so that "one is free and nobody is
//! waiting" is a single comparison: a newcomer can never slip past a waiter, and the call that gives a permit
//! back knows whether somebody must be called up. Who the waiters are is not known here: the line
//! itself is kept by the owner of these permits, under a lock of its own.

use crate::sync::{AtomicU64, Ordering};

const WIDTH: u32 = 21;
const MASK: u64 = (1 << WIDTH) - 1;
const ACTIVE: u64 = 1;
const WAITER: u64 = 1 << WIDTH;
const LIMIT_SHIFT: u32 = 2 * WIDTH;

/// The longest line that the word can count; nobody joins a line this long.
pub const MAX_WAITERS: u32 = MASK as u32;

/// What became of somebody who came for a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// A permit was free, and is now theirs.
    Acquired,
    /// They are counted as waiting.
    Waiting,
    /// The line is as long as it can be.
    Overflow,
}

/// A counted set of permits. A permit is a plain unit here: hold it in a guard.
#[derive(Debug)]
pub struct Permits(AtomicU64);

#[derive(Clone, Copy)]
struct Word(u64);

impl Word {
    fn active(self) -> u64 {
        self.0 & MASK
    }
    fn waiters(self) -> u64 {
        self.0 >> WIDTH & MASK
    }
    fn limit(self) -> u64 {
        self.0 >> LIMIT_SHIFT
    }
    fn has_free(self) -> bool {
        self.active() < self.limit()
    }
}

impl Permits {
    /// `limit` permits, all free; more than 2,097,151 are not to be had.
    #[must_use]
    pub fn new(limit: u32) -> Self {
        Self(AtomicU64::new(u64::from(limit).min(MASK) << LIMIT_SHIFT))
    }

    #[inline]
    fn load(&self) -> Word {
        Word(self.0.load(Ordering::Acquire))
    }

    /// Applies `change` until it lands or declines.
    #[inline]
    fn update(&self, change: impl Fn(Word) -> Option<u64>) -> bool {
        let mut word = self.load();
        while let Some(next) = change(word) {
            match self.0.compare_exchange_weak(word.0, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(seen) => word = Word(seen),
            }
        }
        false
    }

    /// Takes a permit if one is free and nobody is waiting.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.update(|word| (word.waiters() == 0 && word.has_free()).then_some(word.0 + ACTIVE))
    }

    /// How many permits are out, ordered against [`Permits::try_acquire`]: a caller whose permit this does not see
    /// takes it after this call, and then sees everything that happened before this call.
    ///
    /// A read-modify-write and not a load: it stands in the word's one order of changes, so that the caller's own
    /// change either precedes it, and is read here, or follows it and synchronizes with it. A load would need a
    /// sequentially consistent fence on the path of every call.
    pub fn active_and_fence(&self) -> u32 {
        Word(self.0.fetch_add(0, Ordering::AcqRel)).active() as u32
    }

    /// Takes one more permit, whether one is free or not: for the holder of a permit that is about to give that back.
    pub fn add(&self) {
        // One for each permit that is out, at most; so the count stays within its bits.
        self.0.fetch_add(ACTIVE, Ordering::AcqRel);
    }

    /// Gives a permit back. True: somebody is waiting, and the caller must call them up.
    #[inline]
    #[must_use = "somebody may be waiting for this permit"]
    pub fn release(&self) -> bool {
        // A permit is given back by the call that took it, so the count is at least one.
        Word(self.0.fetch_sub(ACTIVE, Ordering::AcqRel)).waiters() > 0
    }

    /// Takes a permit or joins the line, in one step. Called with the line locked.
    pub fn acquire_or_join(&self) -> Joined {
        let mut word = self.load();
        loop {
            let (next, joined) = if word.waiters() == 0 && word.has_free() {
                (word.0 + ACTIVE, Joined::Acquired)
            } else if word.waiters() < MASK {
                (word.0 + WAITER, Joined::Waiting)
            } else {
                return Joined::Overflow;
            };
            match self.0.compare_exchange_weak(word.0, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return joined,
                Err(seen) => word = Word(seen),
            }
        }
    }

    /// Moves one from waiting to holding a permit, if one is free. Called with the line locked.
    pub fn grant(&self) -> bool {
        self.update(|word| {
            (word.waiters() > 0 && word.has_free()).then(|| word.0 - WAITER + ACTIVE)
        })
    }

    /// `count` waiters left the line without a permit. Called with the line locked.
    pub fn leave(&self, count: u32) {
        self.update(|word| {
            let count = u64::from(count).min(word.waiters());
            Some(word.0 - count * WAITER)
        });
    }

    /// Changes the limit. Permits that are out stay out; fewer come free until the count is right.
    /// True: there are waiters that a raised limit may have room for.
    #[must_use = "a raised limit may have room for somebody who waits"]
    pub fn set_limit(&self, limit: u32) -> bool {
        let limit = u64::from(limit).min(MASK);
        self.update(|word| Some(word.0 & !(MASK << LIMIT_SHIFT) | limit << LIMIT_SHIFT));
        self.load().waiters() > 0
    }

    /// Lowers the limit, but not below what is out. What it is now.
    pub fn lower_limit(&self, to: u32) -> u32 {
        self.update(|word| {
            let limit = u64::from(to).max(word.active());
            (limit < word.limit()).then_some(word.0 & !(MASK << LIMIT_SHIFT) | limit << LIMIT_SHIFT)
        });
        self.limit()
    }

    /// Permits out.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.load().active() as u32
    }

    /// How many are waiting.
    #[must_use]
    pub fn waiters(&self) -> u32 {
        self.load().waiters() as u32
    }

    /// Permits in all.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.load().limit() as u32
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_newcomer_never_passes_a_waiter() {
        let permits = Permits::new(1);
        assert!(permits.try_acquire());
        assert_eq!(permits.acquire_or_join(), Joined::Waiting);
        assert!(permits.release(), "somebody is waiting");
        assert!(!permits.try_acquire(), "the free permit is the waiter's");
        assert_eq!(permits.acquire_or_join(), Joined::Waiting, "and the next one queues behind");
        assert!(permits.grant());
        assert_eq!((permits.active(), permits.waiters()), (1, 1));
    }

    #[test]
    fn a_lowered_limit_takes_no_permit_away() {
        let permits = Permits::new(3);
        assert!(permits.try_acquire() && permits.try_acquire() && permits.try_acquire());
        assert!(!permits.set_limit(1));
        assert_eq!(permits.active(), 3);
        assert!(!permits.release());
        assert!(!permits.try_acquire());
        assert!(!permits.release());
        assert!(!permits.release());
        assert!(permits.try_acquire());
    }

    proptest! {
        /// Against three plain numbers.
        #[test]
        fn equals_a_naive_count(limit in 0u32..5, steps in prop::collection::vec((0u8..7, 0u32..5), 0..200)) {
            let permits = Permits::new(limit);
            let (mut limit, mut active, mut waiters) = (limit, 0u32, 0u32);
            for (step, n) in steps {
                match step {
                    0 => {
                        let free = waiters == 0 && active < limit;
                        prop_assert_eq!(permits.try_acquire(), free);
                        active += u32::from(free);
                    }
                    1 if active > 0 => {
                        prop_assert_eq!(permits.release(), waiters > 0);
                        active -= 1;
                    }
                    2 => {
                        let free = waiters == 0 && active < limit;
                        let joined = permits.acquire_or_join();
                        prop_assert_eq!(joined, if free { Joined::Acquired } else { Joined::Waiting });
                        if free { active += 1 } else { waiters += 1 }
                    }
                    3 => {
                        let granted = waiters > 0 && active < limit;
                        prop_assert_eq!(permits.grant(), granted);
                        if granted { waiters -= 1; active += 1 }
                    }
                    4 => { permits.leave(n); waiters -= n.min(waiters) }
                    5 => { limit = n; prop_assert_eq!(permits.set_limit(n), waiters > 0) }
                    6 => { limit = limit.min(n.max(active)); prop_assert_eq!(permits.lower_limit(n), limit) }
                    _ => {}
                }
                prop_assert_eq!((permits.limit(), permits.active(), permits.waiters()), (limit, active, waiters));
            }
        }
    }
}
