//! The last N calls: a ring of words that any number of threads write without a lock.
//!
//! A writer takes a sequence number. A bad call is added to the counts and leaves its number in its slot,
//! with what was bad about it; and while anything is counted, each writer looks at the slot of the call
//! that just left the window, N before its own, and if a bad one stands there takes it out and
//! subtracts it. So a good call among good ones writes nothing but the sequence number.
//!
//! A writer that slept until its call had left the window takes it out itself. The counts are never
//! less than what stands in the slots, and a suspicion only: a recount by sequence numbers decides.

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
/// One slow call, in the word of both counts: each has 24 bits, enough for eight times the largest window.
const ONE_SLOW: i64 = 1 << 24;

/// The window: its ring, and what is counted in that.
#[derive(Clone, Copy, Debug)]
pub(in crate::breaker) struct Calls<'a> {
    ring: &'a Ring,
    counts: &'a Counts,
}

#[derive(Debug)]
pub(in crate::breaker) struct Ring {
    size: u64,
    /// Sequence number plus one of the bad call in this place, and what was bad about it (2 bits);
    /// zero for none. A power of two of them, at least `size`.
    slots: OnceLock<Box<[AtomicU64]>>,
    /// The first sequence number of this generation.
    base: AtomicU64,
    /// What is counted in one that has taken another's place. The breaker's first ring goes by the counts that lie in the breaker
    /// itself, and a writer that still holds that ring changes them.
    later: Option<Box<Counts>>,
}

/// What a good call changes.
#[derive(Debug, Default)]
// A good call looks at the second whenever it has written the first.
#[repr(C)]
pub(in crate::breaker) struct Counts {
    /// Generation (16 bits) and the next sequence number (48). Written by every call.
    head: AtomicU64,
    /// Generation (16 bits) and the sum of what is bad in the window (48): failures + slow calls × 2^24.
    /// Written when it changes.
    bad: AtomicU64,
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
        let (slots, base) = (OnceLock::new(), AtomicU64::new(0));
        Self { size: u64::from(size), slots, base, later: None }
    }

    /// The same, to take another's place: it has counts of its own.
    pub(super) fn later(self) -> Self {
        Self { later: Some(Box::default()), ..self }
    }

    /// The window of this ring. `first`: the breaker's own counts.
    #[inline]
    pub(super) fn calls<'a>(&'a self, first: &'a Counts) -> Calls<'a> {
        Calls { ring: self, counts: self.later.as_deref().unwrap_or(first) }
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

impl Counts {
    /// Counts a good one; among bad ones it has to go on to [`Calls::record_good_among_bad`], else there is
    /// nothing to take out of the window, and nothing to trip over.
    #[inline]
    pub(in crate::breaker) fn note_good(&self, generation: u32) -> Noted {
        let tag = tag(generation);
        match self.take_sequence(tag) {
            Some(sequence) if self.bad.load(Ordering::Acquire) != tag => Noted::AmongBad(sequence),
            // Of another generation it is none of ours.
            Some(_) | None => Noted::Quietly,
        }
    }

    #[inline]
    fn take_sequence(&self, tag: u64) -> Option<u64> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            if head & !LOW != tag {
                return None;
            }
            let next = tag | (head + 1) & LOW;
            match self.head.compare_exchange_weak(head, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(head & LOW),
                Err(seen) => head = seen,
            }
        }
    }

    /// Adds to the counts and returns their sum; `None` if the generation is over.
    #[inline]
    fn add(&self, tag: u64, delta: i64) -> Option<i64> {
        let mut word = self.bad.load(Ordering::Acquire);
        loop {
            if word & !LOW != tag {
                return None;
            }
            let next = tag | word.wrapping_add_signed(delta) & LOW;
            if delta == 0 {
                return Some(signed(word));
            }
            match self.bad.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire) {
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
        let base = self.ring.base.load(Ordering::Acquire);
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
        let next = self.counts.head.load(Ordering::Acquire) & LOW;
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
        let next = self.counts.head.fetch_add(0, Ordering::AcqRel) & LOW;
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
        let next = self.counts.head.load(Ordering::Acquire) & LOW;
        let oldest =
            self.ring.base.load(Ordering::Acquire).max(next.saturating_sub(self.ring.size));
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
        let mut head = self.counts.head.load(Ordering::Acquire);
        while let Err(seen) = self.counts.head.compare_exchange_weak(
            head,
            tag | head & LOW,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            head = seen;
        }
        self.ring.base.store(head & LOW, Ordering::Release);
        self.counts.bad.swap(tag, Ordering::AcqRel);
    }

    /// The counts that writers keep: failures and slow calls.
    #[cfg(test)]
    pub(in crate::breaker) fn running(self) -> (u64, u64) {
        let tally = tally(0, signed(self.counts.bad.load(Ordering::Acquire)));
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

/// The 48-bit signed sum.
fn signed(word: u64) -> i64 {
    (word << 16) as i64 >> 16
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
        let (ring, counts) = (Ring::new(10), Counts::default());
        let window = ring.calls(&counts);
        (0..3).for_each(|_| assert_eq!(window.record(0, Mark::default()), None));
        assert_eq!((window.recount().calls, ring.slots.get().is_some()), (3, false));
        let bad = Mark { failed: true, ..Mark::default() };
        assert_eq!(window.record(0, bad), Some(Tally { calls: 4, failures: 1, slow: 0 }));
        assert_eq!((window.recount().failures, ring.slots.get().is_some()), (1, true));
    }

    #[test]
    fn a_bad_call_that_has_left_the_window_before_it_is_counted_is_not_counted() {
        let (ring, counts) = (Ring::new(2), Counts::default());
        let window = ring.calls(&counts);
        let (bad, good) = (Mark { failed: true, ..Mark::default() }, Mark::default());
        let slow_writer = counts.take_sequence(tag(0)).unwrap();
        // Two more calls pass by while its writer is held up.
        assert_eq!((window.record(0, good), window.record(0, good)), (None, None));
        let tally = window.record_among_bad(tag(0), slow_writer, bad).unwrap();
        assert_eq!((tally.calls, tally.failures), (2, 0));
        assert_eq!((window.running(), window.recount()), ((0, 0), tally));
    }
}
