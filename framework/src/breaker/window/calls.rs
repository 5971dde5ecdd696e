//! The last N calls: a ring of words that any number of threads write without a lock.
//!
//! A window of N good calls is the same window after one more. So while it is full and nothing in it is bad, a good call writes
//! nothing: one load of `bad` says so. It takes its place in the order of all calls at that load, before the next bad one, which
//! changes the same word.
//!
//! Otherwise a writer takes a sequence number. A bad call is added to the counts and leaves its number in its slot,
//! with what was bad about it; and while anything is counted, each writer looks at the slot of the call
//! that just left the window, N before its own, and if a bad one stands there takes it out and
//! subtracts it.
//!
//! A writer that slept until its call had left the window takes it out itself. The counts are never
//! less than what stands in the slots, and a suspicion only: a recount by sequence numbers decides. So where they are zero
//! there is nothing in the slots, and nobody has to take it out by going on.

use std::sync::OnceLock;

use crate::sync::{AtomicU64, Ordering};

use super::tally::{Mark, Noted, Tally};

/// Sequence numbers have 48 bits: nine years at a million calls a second.
const LOW: u64 = (1 << 48) - 1;
const TAG_SHIFT: u32 = 48;
/// What stands in a slot below the sequence number.
const FAILED: u64 = 1;
const SLOW: u64 = 2;
const KIND_BITS: u32 = 2;
/// In the word of both counts: the generation has not had as many calls yet as the window holds.
const FILLING: u64 = 1 << 47;
/// Both counts.
const SUM: u64 = FILLING - 1;
/// One slow call. Failures have 24 bits and slow calls 23, enough for four times the largest window.
const ONE_SLOW: i64 = 1 << 24;

/// The window: its ring, and what is counted in that.
#[derive(Clone, Copy, Debug)]
pub(in crate::breaker) struct Calls<'a> {
    ring: &'a Ring,
    counts: Counts<'a>,
}

#[derive(Debug)]
pub(in crate::breaker) struct Ring {
    size: u64,
    /// Sequence number plus one of the bad call in this place, and what was bad about it (2 bits);
    /// zero for none. A power of two of them, at least `size`.
    slots: OnceLock<Box<[AtomicU64]>>,
    /// What is counted in one that has taken another's place. The breaker's first ring goes by the counts that lie in the breaker
    /// itself, and a writer that still holds that ring changes them.
    later: Option<Box<(Bad, Numbers)>>,
}

/// What is counted in it.
#[derive(Clone, Copy, Debug)]
pub(in crate::breaker) struct Counts<'a> {
    pub(in crate::breaker) bad: &'a Bad,
    pub(in crate::breaker) numbers: &'a Numbers,
}

/// Generation (16 bits), [`FILLING`], and the sum of what is bad in the window (47 bits): failures + slow calls × 2^24.
/// Written when it changes, and read by every call.
#[derive(Debug)]
pub(in crate::breaker) struct Bad(AtomicU64);

/// Written by every call but a good one in a full window of good ones.
#[derive(Debug)]
pub(in crate::breaker) struct Numbers {
    /// Generation (16 bits) and the next sequence number (48).
    head: AtomicU64,
    /// The sequence number with which the window is full: that of the generation's first call, and the window's size.
    full_at: AtomicU64,
}

#[cfg(all(test, not(seawall_loom)))]
thread_local! {
    /// How often this thread has looked for a slot.
    pub(in crate::breaker) static LOOKED_AT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

fn tag(generation: u32) -> u64 {
    u64::from(generation & 0xFFFF) << TAG_SHIFT
}

impl Ring {
    /// The first ring of a breaker. It takes its memory at the first bad call, unless somebody looks at a slot before.
    pub(super) fn new(size: u32) -> Self {
        Self { size: u64::from(size), slots: OnceLock::new(), later: None }
    }

    /// The same, to take another's place: it has counts of its own.
    pub(super) fn later(self) -> Self {
        Self { later: Some(Box::new((Bad::new(), Numbers::new(self.size)))), ..self }
    }

    /// The window of this ring. `first`: the breaker's own counts.
    #[inline]
    pub(super) fn calls<'a>(&'a self, first: Counts<'a>) -> Calls<'a> {
        let later = self.later.as_deref();
        let counts = later.map_or(first, |(bad, numbers)| Counts { bad, numbers });
        Calls { ring: self, counts }
    }

    #[inline]
    pub(super) fn slots(&self) -> &[AtomicU64] {
        self.slots
            .get_or_init(|| (0..self.size.next_power_of_two()).map(|_| AtomicU64::new(0)).collect())
    }

    pub(in crate::breaker) fn size(&self) -> u64 {
        self.size
    }

    /// The place of a sequence number.
    #[inline]
    fn slot(&self, sequence: u64) -> &AtomicU64 {
        #[cfg(all(test, not(seawall_loom)))]
        LOOKED_AT.with(|looks| looks.set(looks.get() + 1));
        let slots = self.slots();
        // In bounds: masked by a power of two less one.
        &slots[sequence as usize & (slots.len() - 1)]
    }
}

impl Bad {
    /// That of an empty window.
    pub(in crate::breaker) fn new() -> Self {
        Self(AtomicU64::new(FILLING))
    }

    /// Whether a good call changes nothing: the window is full of good ones.
    #[inline]
    pub(in crate::breaker) fn is_full_and_good(&self, generation: u32) -> bool {
        self.0.load(Ordering::Acquire) == tag(generation)
    }
}

impl Numbers {
    /// Those of an empty window of this size.
    pub(in crate::breaker) fn new(size: u64) -> Self {
        Self { head: AtomicU64::new(0), full_at: AtomicU64::new(size) }
    }
}

impl Counts<'_> {
    /// Counts a good one; among bad ones it has to go on to [`Calls::record_good_among_bad`], else there is
    /// nothing to take out of the window, and nothing to trip over.
    #[inline]
    pub(in crate::breaker) fn note_good(self, generation: u32) -> Noted {
        if self.bad.is_full_and_good(generation) {
            return Noted::Quietly;
        }
        self.number(tag(generation))
    }

    /// Counts a good one where that changes the window.
    #[inline(never)]
    fn number(self, tag: u64) -> Noted {
        // Of another generation it is none of ours.
        let Some(sequence) = self.take_sequence(tag) else { return Noted::Quietly };
        // A second load, after the number was taken. A bad call's writer adds to this word first and looks at the numbers
        // then, so one of the two sees the other.
        let bad = self.bad.0.load(Ordering::Acquire);
        if bad & !FILLING != tag {
            return Noted::AmongBad(sequence);
        }
        if bad != tag && sequence + 1 >= self.numbers.full_at.load(Ordering::Acquire) {
            // If that fails, a bad call has come, or a new generation. After the bad one somebody else will do this.
            let _ = self.bad.0.compare_exchange(bad, tag, Ordering::AcqRel, Ordering::Acquire);
        }
        Noted::Quietly
    }

    #[inline]
    fn take_sequence(self, tag: u64) -> Option<u64> {
        let mut head = self.numbers.head.load(Ordering::Acquire);
        loop {
            if head & !LOW != tag {
                return None;
            }
            let next = tag | (head + 1) & LOW;
            match self.numbers.head.compare_exchange_weak(
                head,
                next,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(head & LOW),
                Err(seen) => head = seen,
            }
        }
    }

    /// Adds to the counts and returns their sum; `None` if the generation is over.
    #[inline]
    fn add(self, tag: u64, delta: i64) -> Option<i64> {
        let mut word = self.bad.0.load(Ordering::Acquire);
        loop {
            if word & !LOW != tag {
                return None;
            }
            let next = word & !SUM | word.wrapping_add_signed(delta) & SUM;
            if delta == 0 {
                return Some(signed(word));
            }
            match self.bad.0.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(signed(next)),
                Err(seen) => word = seen,
            }
        }
    }
}

impl Calls<'_> {
    /// What the window holds with this outcome in it, if any of that is bad; `None` for another
    /// generation's, too.
    #[inline]
    pub(super) fn record(self, generation: u32, mark: Mark) -> Option<Tally> {
        if !mark.is_bad() {
            return self.record_good(generation);
        }
        let tag = tag(generation);
        let sequence = self.counts.take_sequence(tag)?;
        self.record_among_bad(tag, sequence, mark)
    }

    /// The same for a good one.
    #[inline]
    pub(super) fn record_good(self, generation: u32) -> Option<Tally> {
        match self.counts.note_good(generation) {
            Noted::AmongBad(sequence) => self.record_good_among_bad(generation, sequence),
            Noted::Quietly | Noted::Not => None,
        }
    }

    /// The rest of it, once something is bad.
    pub(in crate::breaker) fn record_good_among_bad(
        self,
        generation: u32,
        sequence: u64,
    ) -> Option<Tally> {
        self.record_among_bad(tag(generation), sequence, Mark::default())
    }

    /// The rest of any.
    #[inline(never)]
    fn record_among_bad(self, tag: u64, sequence: u64, mark: Mark) -> Option<Tally> {
        let base = self.base();
        let mut delta = 0;
        if mark.is_bad() {
            delta += self.put_in(tag, sequence, base, mark)?;
        }
        if let Some(left) = sequence.checked_sub(self.ring.size) {
            delta -= take_out(self.ring.slot(left), left, base);
        }
        // Looked at only now: of several writers the last sees all of them, even if its
        // own sequence number was the first.
        let bad = self.counts.add(tag, delta)?;
        let next = self.counts.numbers.head.load(Ordering::Acquire) & LOW;
        Some(tally(next.saturating_sub(base).min(self.ring.size), bad))
    }

    /// Counts a bad call and leaves it in its slot; what that changes in the counts besides.
    ///
    /// Counted first, so that the counts are never less than what stands in the slots: a reader that finds
    /// them at zero need not look there.
    fn put_in(self, tag: u64, sequence: u64, base: u64, mark: Mark) -> Option<i64> {
        let kinds = if mark.failed { FAILED } else { 0 } | if mark.slow { SLOW } else { 0 };
        self.counts.add(tag, weight(kinds))?;
        let slot = self.ring.slot(sequence);
        let displaced = slot.fetch_max((sequence + 1) << KIND_BITS | kinds, Ordering::AcqRel);
        if displaced >> KIND_BITS > sequence {
            // Somebody a lap ahead has this place: the call left the window long ago.
            return Some(-weight(kinds));
        }
        // Whatever it displaced was counted before.
        let mut delta = -weight_since(displaced, base);
        // The writer that follows N calls later took its number either before this look at the head, and is
        // seen here, or after it, and sees what was just counted: both are read-modify-writes of
        // one word. (Loads would do, all of them SeqCst, but the model checker knows no SeqCst.)
        let next = self.counts.numbers.head.fetch_add(0, Ordering::AcqRel) & LOW;
        if next.saturating_sub(self.ring.size) > sequence {
            delta -= take_out(slot, sequence, base);
        }
        Some(delta)
    }

    /// Counts the slots themselves: the window as it stood at one sequence number.
    ///
    /// Never more that is bad than there was: an outcome still on its way counts as good (its
    /// writer will look again), and so does one that is overwritten meanwhile. Oldest first, because
    /// that is where writers overwrite.
    pub(super) fn recount(self) -> Tally {
        let next = self.counts.numbers.head.load(Ordering::Acquire) & LOW;
        let oldest = self.base().max(next.saturating_sub(self.ring.size));
        // Where there are no slots, nothing bad has been seen.
        let bad = self.ring.slots.get().map_or(0, |_| {
            let each = (oldest..next).map(|sequence| {
                let found = self.ring.slot(sequence).load(Ordering::Acquire);
                if found >> KIND_BITS == sequence + 1 { weight(found) } else { 0 }
            });
            each.sum()
        });
        tally(next.saturating_sub(oldest), bad)
    }

    pub(super) fn start(self, generation: u32) {
        let tag = tag(generation);
        // Nobody of the new generation is about yet, and the old one's writers are shut out by the
        // head's tag first, so what they still hold in hand meets counts of another tag.
        let mut head = self.counts.numbers.head.load(Ordering::Acquire);
        while let Err(seen) = self.counts.numbers.head.compare_exchange_weak(
            head,
            tag | head & LOW,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            head = seen;
        }
        self.counts.numbers.full_at.store((head & LOW) + self.ring.size, Ordering::Release);
        self.counts.bad.0.swap(tag | FILLING, Ordering::AcqRel);
    }

    /// The first sequence number of this generation.
    fn base(self) -> u64 {
        self.counts.numbers.full_at.load(Ordering::Acquire) - self.ring.size
    }

    /// The counts that writers keep: failures and slow calls.
    #[cfg(test)]
    pub(in crate::breaker) fn running(self) -> (u64, u64) {
        let tally = tally(0, signed(self.counts.bad.0.load(Ordering::Acquire)));
        (tally.failures, tally.slow)
    }
}

/// Takes the bad call of `sequence`, or one before it, out of its slot; what it had added to the counts.
#[inline]
fn take_out(slot: &AtomicU64, sequence: u64, base: u64) -> i64 {
    let mut found = slot.load(Ordering::Acquire);
    while found != 0 && found >> KIND_BITS <= sequence + 1 {
        match slot.compare_exchange_weak(found, 0, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return weight_since(found, base),
            Err(seen) => found = seen,
        }
    }
    0
}

/// What a slot's call adds to the counts.
fn weight(slot: u64) -> i64 {
    let failed = i64::from(slot & FAILED != 0);
    let slow = if slot & SLOW != 0 { ONE_SLOW } else { 0 };
    failed + slow
}

/// The same, if it is one of this generation.
fn weight_since(slot: u64, base: u64) -> i64 {
    // Stored plus one, so above the base is at or after it.
    if slot >> KIND_BITS > base { weight(slot) } else { 0 }
}

/// The sum, which is signed.
fn signed(word: u64) -> i64 {
    (word << 17) as i64 >> 17
}

/// The sum taken apart: a count that is below zero for a moment has borrowed from the other.
fn tally(calls: u64, bad: i64) -> Tally {
    let failures = bad << 40 >> 40;
    let slow = (bad - failures) >> 24;
    let count = |signed: i64| u64::try_from(signed).unwrap_or(0);
    Tally { calls, failures: count(failures), slow: count(slow) }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use super::*;

    #[test]
    fn counting_again_makes_no_ring() {
        let (ring, bad_sum, numbers) = (Ring::new(10), Bad::new(), Numbers::new(10));
        let counts = Counts { bad: &bad_sum, numbers: &numbers };
        let window = ring.calls(counts);
        (0..3).for_each(|_| assert_eq!(window.record(0, Mark::default()), None));
        assert_eq!((window.recount().calls, ring.slots.get().is_some()), (3, false));
        let bad = Mark { failed: true, ..Mark::default() };
        assert_eq!(window.record(0, bad), Some(Tally { calls: 4, failures: 1, slow: 0 }));
        assert_eq!((window.recount().failures, ring.slots.get().is_some()), (1, true));
    }

    #[test]
    fn good_calls_leave_a_full_window_of_good_ones_as_it_is() {
        let (ring, bad_sum, numbers) = (Ring::new(3), Bad::new(), Numbers::new(3));
        let counts = Counts { bad: &bad_sum, numbers: &numbers };
        let window = ring.calls(counts);
        let (bad, good) = (Mark { failed: true, ..Mark::default() }, Mark::default());
        let head = || numbers.head.load(Ordering::Acquire) & LOW;
        let numbers = |generation| {
            let each = (0..5).map(|_| {
                assert_eq!(window.record(generation, good), None);
                head()
            });
            each.collect::<Vec<_>>()
        };
        assert_eq!(numbers(0), [1, 2, 3, 3, 3], "a number each until it is full");
        assert_eq!(window.record(0, bad), Some(Tally { calls: 3, failures: 1, slow: 0 }));
        let among_bad = [good, good, good].map(|mark| window.record(0, mark).map(|it| it.failures));
        assert_eq!(among_bad, [Some(1), Some(1), Some(0)], "until the bad one has left it");
        assert_eq!(numbers(0), [7; 5]);
        window.start(1);
        assert_eq!(numbers(0), [7; 5], "none of theirs");
        assert_eq!(numbers(1), [8, 9, 10, 10, 10], "each generation fills it anew");
        // One that fills it with a bad call in it leaves that to those who come when it is gone.
        window.start(2);
        assert_eq!(window.record(2, bad), Some(Tally { calls: 1, failures: 1, slow: 0 }));
        assert_eq!(
            [good, good].map(|mark| window.record(2, mark).map(|it| it.calls)),
            [Some(2), Some(3)]
        );
        assert_eq!((window.record(2, good).map(|it| it.failures), head()), (Some(0), 14));
        assert_eq!(numbers(2), [15, 15, 15, 15, 15]);
    }

    #[test]
    fn a_bad_call_that_has_left_the_window_before_it_is_counted_is_not_counted() {
        let (ring, bad_sum, numbers) = (Ring::new(2), Bad::new(), Numbers::new(2));
        let counts = Counts { bad: &bad_sum, numbers: &numbers };
        let window = ring.calls(counts);
        let (bad, good) = (Mark { failed: true, ..Mark::default() }, Mark::default());
        let slow_writer = counts.take_sequence(tag(0)).unwrap();
        // Three more calls pass by while its writer is held up: a bad one, and two that take both out of the window.
        assert!(window.record(0, bad).is_some());
        assert_eq!(
            [window.record(0, good), window.record(0, good)].map(|it| it.map(|it| it.failures)),
            [Some(1), Some(0)]
        );
        let tally = window.record_among_bad(tag(0), slow_writer, bad).unwrap();
        assert_eq!((tally.calls, tally.failures), (2, 0));
        assert_eq!((window.running(), window.recount()), ((0, 0), tally));
    }
}
