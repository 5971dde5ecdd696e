//! The last N calls: a ring of words that any number of threads write without a lock.
//!
//! A writer takes a sequence number. A failure leaves it in its slot and adds one to the count; and
//! whoever it is looks at the slot of the call that just left the window, N before its own, and if a
//! failure stands there takes it out and subtracts one. So a success among successes writes nothing
//! but the sequence number, and reads a line that nobody writes.
//!
//! A writer that slept until its failure had left the window takes it out itself. The count is signed:
//! a failure may be taken out before the sleeper that wrote it has added it; and it is a suspicion
//! only: a recount by sequence numbers decides.

use std::sync::OnceLock;

use crate::sync::{AtomicU64, CachePadded, Ordering};

use super::Tally;

/// Sequence numbers and counts have 48 bits: nine years at a million calls a second.
const LOW: u64 = (1 << 48) - 1;
const TAG_SHIFT: u32 = 48;

#[derive(Debug)]
pub(in crate::breaker) struct Calls {
    size: u64,
    /// Generation (16 bits) and the next sequence number (48). Written by every call.
    head: CachePadded<AtomicU64>,
    /// Sequence number plus one of the failure in this place, zero for none: a power of two of them,
    /// at least `size`. Allocated at the first record.
    slots: OnceLock<Box<[AtomicU64]>>,
    /// The first sequence number of this generation.
    base: AtomicU64,
    /// Generation (16 bits) and failures in the window (48, signed). Written when the count changes.
    failures: AtomicU64,
}

fn tag(generation: u32) -> u64 {
    u64::from(generation & 0xFFFF) << TAG_SHIFT
}

impl Calls {
    pub(super) fn new(size: u32) -> Self {
        Self {
            size: u64::from(size),
            head: CachePadded(AtomicU64::new(0)),
            slots: OnceLock::new(),
            base: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// What the window holds with this outcome in it; `None` for another generation's.
    #[inline]
    pub(super) fn record(&self, generation: u32, failed: bool) -> Option<Tally> {
        let slots = self.slots.get_or_init(|| {
            (0..self.size.next_power_of_two()).map(|_| AtomicU64::new(0)).collect()
        });
        let tag = tag(generation);
        let sequence = self.take_sequence(tag)?;
        let base = self.base.load(Ordering::Acquire);
        let mut delta = 0;
        if let Some(left) = sequence.checked_sub(self.size) {
            delta -= take_out(slot(slots, left), left, base);
        }
        if failed {
            let slot = slot(slots, sequence);
            let displaced = slot.fetch_max(sequence + 1, Ordering::AcqRel);
            if displaced <= sequence {
                // Stored plus one, so `displaced > base` is one of this generation, counted before.
                delta += 1 - i64::from(displaced > base);
            }
            // Whoever follows N calls later took its number either before this look at the head, and is
            // seen here, or after it, and sees what was just written: both are read-modify-writes of
            // one word. (Loads would do, all of them SeqCst, but the model checker knows no SeqCst.)
            let next = self.head.0.fetch_add(0, Ordering::AcqRel) & LOW;
            if next.saturating_sub(self.size) > sequence {
                delta -= take_out(slot, sequence, base);
            }
        }
        let failures = self.add(tag, delta)?;
        if failures == 0 {
            // Nothing to trip over, whatever the length.
            return Some(Tally::default());
        }
        // Looked at again, after the count: of several writers the one that counts last sees all of
        // them, even if its own sequence number was the first.
        let next = self.head.0.load(Ordering::Acquire) & LOW;
        Some(Tally { calls: next.saturating_sub(base).min(self.size), failures })
    }

    #[inline]
    fn take_sequence(&self, tag: u64) -> Option<u64> {
        let mut head = self.head.0.load(Ordering::Acquire);
        loop {
            if head & !LOW != tag {
                return None;
            }
            let next = tag | (head + 1) & LOW;
            match self.head.0.compare_exchange_weak(head, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(head & LOW),
                Err(seen) => head = seen,
            }
        }
    }

    /// Adds to the count and returns it, never below zero; `None` if the generation is over.
    #[inline]
    fn add(&self, tag: u64, delta: i64) -> Option<u64> {
        let mut word = self.failures.load(Ordering::Acquire);
        loop {
            if word & !LOW != tag {
                return None;
            }
            let next = tag | word.wrapping_add_signed(delta) & LOW;
            if delta == 0 {
                return Some(unsigned(word));
            }
            match self.failures.compare_exchange_weak(
                word,
                next,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(unsigned(next)),
                Err(seen) => word = seen,
            }
        }
    }

    /// Counts the slots themselves: the window as it stood at one sequence number.
    ///
    /// Never more failures than there were: an outcome still on its way counts as a success (its
    /// writer will look again), and so does one that is overwritten meanwhile. Oldest first, because
    /// that is where writers overwrite.
    pub(super) fn recount(&self) -> Tally {
        let Some(slots) = self.slots.get() else { return Tally::default() };
        let next = self.head.0.load(Ordering::Acquire) & LOW;
        let oldest = self.base.load(Ordering::Acquire).max(next.saturating_sub(self.size));
        let failures = (oldest..next)
            .filter(|&sequence| slot(slots, sequence).load(Ordering::Acquire) == sequence + 1)
            .count();
        Tally { calls: next.saturating_sub(oldest), failures: failures as u64 }
    }

    /// The count that writers keep.
    #[cfg(test)]
    pub(in crate::breaker) fn running(&self) -> u64 {
        unsigned(self.failures.load(Ordering::Acquire))
    }

    pub(super) fn start(&self, generation: u32) {
        let tag = tag(generation);
        // Nobody of the new generation is about yet, and the old one's writers are shut out by the
        // head's tag first, so what they still hold in hand meets a `failures` of another tag.
        let mut head = self.head.0.load(Ordering::Acquire);
        while let Err(seen) = self.head.0.compare_exchange_weak(
            head,
            tag | head & LOW,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            head = seen;
        }
        self.base.store(head & LOW, Ordering::Release);
        self.failures.swap(tag, Ordering::AcqRel);
    }
}

/// The place of a sequence number.
#[inline]
fn slot(slots: &[AtomicU64], sequence: u64) -> &AtomicU64 {
    // In bounds: masked by a power of two less one.
    &slots[sequence as usize & (slots.len() - 1)]
}

/// Takes the failure of `sequence`, or one before it, out of its slot; how many that were counted.
#[inline]
fn take_out(slot: &AtomicU64, sequence: u64, base: u64) -> i64 {
    let mut found = slot.load(Ordering::Acquire);
    while found != 0 && found <= sequence + 1 {
        match slot.compare_exchange_weak(found, 0, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return i64::from(found > base),
            Err(seen) => found = seen,
        }
    }
    0
}

/// The 48-bit signed count, never below zero.
fn unsigned(word: u64) -> u64 {
    let count = (word << 16) as i64 >> 16;
    u64::try_from(count).unwrap_or(0)
}
