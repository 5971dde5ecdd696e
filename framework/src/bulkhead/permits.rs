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

/// The most permits that can be taken at once.
pub const MAX_WEIGHT: u32 = 1_000;

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

/// A word that had free permits when it was looked at.
#[derive(Clone, Copy)]
pub(crate) struct Seen(u64);

/// What became of a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is the caller's.
    Free,
    /// It is not.
    None,
    /// Somebody was quicker. The caller has one too many, to be given back at once as any other.
    InExcess,
}

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
    /// Whether so many are free; of more than there are at all, whether all are.
    #[inline]
    fn has_free(self, weight: u64) -> bool {
        self.active() + weight <= self.limit() || (self.active() == 0 && self.limit() > 0)
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
        self.try_acquire_many(1)
    }

    /// Takes so many permits, if they are free and nobody is waiting; more than [`MAX_WEIGHT`] never are. Where there are not so many
    /// at all, they are free when all are: the caller then has more than the limit, and others wait for it.
    #[inline]
    pub fn try_acquire_many(&self, weight: u32) -> bool {
        weight <= MAX_WEIGHT && self.take(weight)
    }

    /// The same, of a weight that is known not to be too large.
    #[inline]
    pub(crate) fn take(&self, weight: u32) -> bool {
        let weight = u64::from(weight);
        self.update(|word| {
            (word.waiters() == 0 && word.has_free(weight)).then_some(word.0 + weight * ACTIVE)
        })
    }

    /// The word, if so many permits are free and nobody is waiting, for [`Permits::take_seen`].
    #[inline]
    pub(crate) fn look(&self, weight: u32) -> Option<Seen> {
        let word = self.load();
        let is_free = word.waiters() == 0 && word.has_free(weight.into());
        is_free.then_some(Seen(word.0))
    }

    /// Takes so many permits that were seen to be free, if they still are.
    #[inline]
    pub(crate) fn take_seen(&self, seen: Seen, weight: u32) -> bool {
        let next = seen.0 + u64::from(weight) * ACTIVE;
        let taken = self.0.compare_exchange(seen.0, next, Ordering::AcqRel, Ordering::Acquire);
        taken.is_ok() || self.take(weight)
    }

    /// Takes one if it is free and nobody is waiting, by an addition, which need not wait for what a look found: a fifth less than
    /// [`Permits::take`] where nothing else is done. One that turns out not to be free is in excess then.
    #[inline]
    pub(crate) fn take_one(&self) -> Taken {
        let is_free = |word: Word| word.waiters() == 0 && word.has_free(1);
        if !is_free(self.load()) {
            return Taken::None;
        }
        // There are at most a million permits, and one more for each thread that was too late: they stay within their bits.
        let before = Word(self.0.fetch_add(ACTIVE, Ordering::AcqRel));
        if is_free(before) { Taken::Free } else { Taken::InExcess }
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

    /// Takes so many more permits, whether they are free or not: for the holder of as many that is about to give those back.
    pub fn add(&self, weight: u32) {
        // As many as are out, at most; so the count stays within its bits.
        self.0.fetch_add(u64::from(weight) * ACTIVE, Ordering::AcqRel);
    }

    /// Gives a permit back. True: somebody is waiting, and the caller must call them up.
    #[inline]
    #[must_use = "somebody may be waiting for this permit"]
    pub fn release(&self) -> bool {
        self.release_many(1)
    }

    /// Gives so many back, that were taken. True: somebody is waiting, and the caller must call them up.
    #[inline]
    #[must_use = "somebody may be waiting for these permits"]
    pub fn release_many(&self, weight: u32) -> bool {
        // Permits are given back by the call that took them, so there are as many.
        let given = u64::from(weight) * ACTIVE;
        Word(self.0.fetch_sub(given, Ordering::AcqRel)).waiters() > 0
    }

    /// Takes so many permits or joins the line, in one step. Called with the line locked.
    pub fn acquire_or_join(&self, weight: u32) -> Joined {
        let (mut word, weight) = (self.load(), u64::from(weight));
        loop {
            let (next, joined) = if word.waiters() == 0 && word.has_free(weight) {
                (word.0 + weight * ACTIVE, Joined::Acquired)
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

    /// Moves one from waiting to holding so many permits, if they are free. Called with the line locked.
    pub fn grant(&self, weight: u32) -> bool {
        let weight = u64::from(weight);
        self.update(|word| {
            (word.waiters() > 0 && word.has_free(weight)).then(|| word.0 - WAITER + weight * ACTIVE)
        })
    }

    /// Takes so many permits, if they are free, for one who is counted as waiting and stays so. Called with the line locked.
    pub(crate) fn take_in_turn(&self, weight: u32) -> bool {
        let weight = u64::from(weight);
        self.update(|word| word.has_free(weight).then_some(word.0 + weight * ACTIVE))
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
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_newcomer_never_passes_a_waiter() {
        let permits = Permits::new(1);
        assert!(permits.try_acquire());
        assert_eq!(permits.acquire_or_join(1), Joined::Waiting);
        assert!(permits.release(), "somebody is waiting");
        assert!(!permits.try_acquire(), "the free permit is the waiter's");
        assert_eq!(permits.acquire_or_join(1), Joined::Waiting, "and the next one queues behind");
        assert!(permits.grant(1));
        assert_eq!((permits.active(), permits.waiters()), (1, 1));
    }

    #[test]
    fn what_was_seen_to_be_free_is_taken_if_it_still_is() {
        let permits = Permits::new(5);
        let (first, second) = (permits.look(3).unwrap(), permits.look(3).unwrap());
        assert!(permits.take_seen(first, 3) && !permits.take_seen(second, 3));
        assert!(permits.take_seen(second, 2) && permits.look(1).is_none());
        assert_eq!(permits.active(), 5);
    }

    #[test]
    fn one_is_taken_if_it_is_free_and_nobody_waits() {
        let permits = Permits::new(1);
        assert_eq!((permits.take_one(), permits.take_one()), (Taken::Free, Taken::None));
        assert_eq!(permits.active(), 1, "a look is enough");
        assert_eq!(permits.acquire_or_join(1), Joined::Waiting);
        assert!(permits.release());
        assert_eq!(permits.take_one(), Taken::None, "it is free, and another's");
        assert_eq!(Permits::new(0).take_one(), Taken::None);
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

    #[test]
    fn the_heaviest_is_let_in_and_more_waiters_than_can_be_counted_are_not() {
        let permits = Permits::new(MAX_WEIGHT + 1);
        assert!(!permits.try_acquire_many(MAX_WEIGHT + 1));
        assert!(permits.try_acquire_many(MAX_WEIGHT));
        let crowded = Permits::new(1);
        crowded.0.fetch_add(MASK * WAITER, Ordering::Relaxed);
        assert!(matches!(crowded.acquire_or_join(1), Joined::Overflow));
        crowded.leave(1);
        assert!(matches!(crowded.acquire_or_join(1), Joined::Waiting));
    }

    #[test]
    fn a_heavy_one_waits_for_all_that_it_needs_and_for_no_more_than_there_are() {
        let permits = Permits::new(3);
        assert!(permits.try_acquire());
        assert!(!permits.try_acquire_many(3));
        assert!(permits.try_acquire_many(2));
        assert_eq!(permits.active(), 3);
        assert!(!permits.release_many(2) && !permits.release());
        assert!(permits.try_acquire_many(5), "nobody else is there");
        assert_eq!((permits.active(), permits.try_acquire()), (5, false));
        assert_eq!(permits.acquire_or_join(2), Joined::Waiting);
        assert!(permits.release_many(5));
        assert!(permits.grant(2) && permits.try_acquire() && !permits.try_acquire());
        assert!(!Permits::new(0).try_acquire_many(2), "none at all");
    }

    proptest! {
        /// Against three plain numbers.
        #[test]
        fn equals_a_naive_count(limit in 0u32..5, steps in prop::collection::vec((0u8..8, 0u32..5), 0..200)) {
            let permits = Permits::new(limit);
            let (mut limit, mut active, mut waiters) = (limit, 0u32, 0u32);
            for (step, n) in steps {
                let weight = n.max(1);
                let has_free = limit > 0 && active + weight.min(limit) <= limit;
                match step {
                    0 => {
                        let free = waiters == 0 && has_free;
                        prop_assert_eq!(permits.try_acquire_many(weight), free);
                        active += if free { weight } else { 0 };
                    }
                    1 if active >= weight => {
                        prop_assert_eq!(permits.release_many(weight), waiters > 0);
                        active -= weight;
                    }
                    2 => {
                        let free = waiters == 0 && has_free;
                        let joined = permits.acquire_or_join(weight);
                        prop_assert_eq!(joined, if free { Joined::Acquired } else { Joined::Waiting });
                        if free { active += weight } else { waiters += 1 }
                    }
                    3 => {
                        let granted = waiters > 0 && has_free;
                        prop_assert_eq!(permits.grant(weight), granted);
                        if granted { waiters -= 1; active += weight }
                    }
                    4 => { permits.leave(n); waiters -= n.min(waiters) }
                    5 => { limit = n; prop_assert_eq!(permits.set_limit(n), waiters > 0) }
                    7 => {
                        prop_assert_eq!(permits.take_in_turn(weight), has_free);
                        active += if has_free { weight } else { 0 };
                    }
                    6 => { limit = limit.min(n.max(active)); prop_assert_eq!(permits.lower_limit(n), limit) }
                    _ => {}
                }
                prop_assert_eq!((permits.limit(), permits.active(), permits.waiters()), (limit, active, waiters));
            }
        }
    }
}
