//! A hierarchical timing wheel: insert and cancel in constant time, memory by the living.
//!
//! After Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (SOSP 1987), scheme 7, with
//! tokio's choice of level: a tick is written in base 64, and a timer sits at the highest digit in
//! which it differs from the present. So every timer of a level comes after all those of the levels
//! below it, a level never wraps, and the earliest slot is two "first set bit"s away, however far
//! ahead it lies. A slot that comes due is taken apart: what is due fires, the rest sinks a level
//! or more. Eight levels hold every [`Moment`](crate::clock::Moment) there is.
//!
//! Slots are doubly linked lists threaded by index through one vector of entries, whose freed
//! places are used again. A key carries a generation that is never given twice, so one whose timer
//! has fired can do no harm.

use std::task::Waker;

/// Slots of a level: one machine word says which hold anything.
const SLOTS: usize = 64;
const BITS: u32 = SLOTS.trailing_zeros();
const LEVELS: usize = 8;
/// The first tick that the levels cannot tell from an earlier one; the clock ends well before.
const END: u64 = 1 << (BITS as usize * LEVELS);
/// No entry.
const NIL: u32 = u32::MAX;
/// A wheel that empties keeps room for this many entries, and gives back what a burst took beyond.
const KEPT: usize = 4096;

/// Names one timer until it is cancelled or fires; of no effect afterwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimerKey {
    index: u32,
    generation: u64,
}

/// What [`Wheel::renew`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// The timer waits and will wake this very waker.
    Same,
    /// The timer waits, with another waker or none.
    Other,
    /// There is no such timer: it fired or was cancelled.
    Gone,
}

#[derive(Debug, Default)]
struct Timer {
    waker: Option<Waker>,
    tick: u64,
    /// Zero in a free entry, which no key has.
    generation: u64,
    next: u32,
    prev: u32,
    slot: u32,
}

/// Timers by the tick at which they are due. Knows nothing of what a tick is.
#[derive(Debug)]
pub(super) struct Wheel {
    /// Everything up to this tick has fired, or is in `due`.
    elapsed: u64,
    /// Bit n: level n holds something.
    levels: u32,
    /// Bit n of a level: its slot n holds something.
    occupied: [u64; LEVELS],
    heads: [u32; LEVELS * SLOTS],
    /// The slot being taken apart; its turn came at `elapsed`.
    due: u32,
    entries: Vec<Timer>,
    free: u32,
    live: usize,
    generation: u64,
}

impl Wheel {
    pub(super) const fn new() -> Self {
        Self {
            elapsed: 0,
            levels: 0,
            occupied: [0; LEVELS],
            heads: [NIL; LEVELS * SLOTS],
            due: NIL,
            entries: Vec::new(),
            free: NIL,
            live: 0,
            generation: 0,
        }
    }

    /// Timers waiting.
    #[cfg(test)]
    pub(super) const fn live(&self) -> usize {
        self.live
    }

    /// Entries that there is room for, used or not.
    #[cfg(test)]
    pub(super) const fn room(&self) -> usize {
        self.entries.len()
    }

    /// Arms a timer for `tick`, at the earliest the one after the last that fired. `now` lets a
    /// wheel that nobody has turned for a while place it by the present.
    ///
    /// Returns its key and the tick at which the wheel must next be turned on its account, which
    /// is not after the one it is due at.
    ///
    /// # Errors
    /// Gives the waker back if four billion timers are waiting.
    #[inline]
    pub(super) fn insert(
        &mut self,
        now: u64,
        tick: u64,
        waker: Waker,
    ) -> Result<(TimerKey, u64), Waker> {
        let Some(index) = self.place() else { return Err(waker) };
        self.catch_up(now);
        self.generation += 1;
        self.live += 1;
        let entry = &mut self.entries[index as usize];
        entry.waker = Some(waker);
        entry.tick = tick.clamp(self.elapsed + 1, END - 1);
        entry.generation = self.generation;
        let key = TimerKey { index, generation: self.generation };
        Ok((key, self.link(index)))
    }

    /// A free entry, in no list.
    #[inline]
    fn place(&mut self) -> Option<u32> {
        let index = self.free;
        if let Some(entry) = self.entries.get(index as usize) {
            self.free = entry.next;
            return Some(index);
        }
        let index = u32::try_from(self.entries.len()).ok().filter(|index| *index != NIL)?;
        self.entries.push(Timer::default());
        Some(index)
    }

    /// Takes a timer out. Its waker is returned, to be dropped where no lock is held: dropping one
    /// may drop a task, and with it other timers.
    #[inline]
    pub(super) fn cancel(&mut self, key: TimerKey) -> Option<Waker> {
        let entry = self.find(key)?;
        let (prev, next, slot) = (entry.prev, entry.next, entry.slot);
        if prev != NIL {
            self.entries[prev as usize].next = next;
        } else if self.heads[slot as usize] == key.index {
            self.heads[slot as usize] = next;
            if next == NIL {
                self.mark_empty(slot as usize);
            }
        } else {
            self.due = next; // First of its list, and not of its slot's: the slot is being taken apart.
        }
        if next != NIL {
            self.entries[next as usize].prev = prev;
        }
        self.release(key.index)
    }

    /// Whether the timer still waits, and for whom.
    pub(super) fn renew(&mut self, key: TimerKey, waker: &Waker) -> Renewal {
        match self.find(key).map(|entry| &entry.waker) {
            Some(Some(known)) if known.will_wake(waker) => Renewal::Same,
            Some(_) => Renewal::Other,
            None => Renewal::Gone,
        }
    }

    /// Puts `waker` in the place of the timer's own.
    ///
    /// # Errors
    /// Gives `waker` back if there is no such timer.
    pub(super) fn replace(&mut self, key: TimerKey, waker: Waker) -> Result<Option<Waker>, Waker> {
        match self.find(key) {
            Some(entry) => Ok(entry.waker.replace(waker)),
            None => Err(waker),
        }
    }

    /// The tick at which the wheel must next be turned: not after the earliest timer.
    pub(super) fn next(&self) -> Option<u64> {
        if self.due != NIL {
            return Some(self.elapsed);
        }
        self.first_slot().map(|(_, _, start)| start)
    }

    /// Fires what is due at `now`, in order of tick: its wakers are appended to `fired`, to be woken
    /// where no lock is held. Looks at no more than `budget` timers, and says whether that was too
    /// few, so that a thread that waits for the lock meanwhile gets it.
    pub(super) fn advance(&mut self, now: u64, mut budget: usize, fired: &mut Vec<Waker>) -> bool {
        loop {
            while self.due != NIL {
                if budget == 0 {
                    return true;
                }
                budget -= 1;
                self.take_one(fired);
            }
            match self.first_slot() {
                Some((level, digit, start)) if start <= now => {
                    self.elapsed = start;
                    let slot = level * SLOTS + digit;
                    self.due = std::mem::replace(&mut self.heads[slot], NIL);
                    self.mark_empty(slot);
                }
                _ => {
                    self.elapsed = self.elapsed.max(now);
                    return false;
                }
            }
        }
    }

    fn take_one(&mut self, fired: &mut Vec<Waker>) {
        let index = self.due;
        let entry = &self.entries[index as usize];
        let (next, tick) = (entry.next, entry.tick);
        self.due = next;
        if next != NIL {
            self.entries[next as usize].prev = NIL;
        }
        if tick <= self.elapsed {
            fired.extend(self.release(index));
        } else {
            self.link(index);
        }
    }

    /// Takes the waker of every timer out, to be woken where no lock is held. The timers go on; each gets a waker again
    /// by [`Wheel::replace`]. Taken and not cloned: cloning a waker can run any code.
    pub(super) fn take_wakers(&mut self, into: &mut Vec<Waker>) {
        into.extend(self.entries.iter_mut().filter_map(|entry| entry.waker.take()));
    }

    /// Moves `elapsed` up to `now` if nothing would come due by it. Without this a timer armed after
    /// an idle hour would be placed as if that hour still lay ahead.
    #[inline]
    fn catch_up(&mut self, now: u64) {
        if now > self.elapsed && self.next().is_none_or(|next| now < next) {
            self.elapsed = now;
        }
    }

    /// The earliest slot that holds anything: level, digit, and the first tick it stands for.
    #[inline]
    fn first_slot(&self) -> Option<(usize, usize, u64)> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros();
        let digit = self.occupied[level as usize].trailing_zeros();
        let shift = level * BITS;
        let above = self.elapsed >> (shift + BITS) << (shift + BITS);
        Some((level as usize, digit as usize, above | u64::from(digit) << shift))
    }

    /// Links an entry, due after `elapsed`, into its slot; returns the first tick the slot stands for.
    #[inline]
    fn link(&mut self, index: u32) -> u64 {
        let tick = self.entries[index as usize].tick;
        let level = (tick ^ self.elapsed).ilog2() / BITS;
        let shift = level * BITS;
        let digit = (tick >> shift) as usize % SLOTS;
        let slot = level as usize * SLOTS + digit;
        let next = std::mem::replace(&mut self.heads[slot], index);
        if next != NIL {
            self.entries[next as usize].prev = index;
        }
        let entry = &mut self.entries[index as usize];
        entry.next = next;
        entry.prev = NIL;
        entry.slot = slot as u32;
        self.occupied[level as usize] |= 1 << digit;
        self.levels |= 1 << level;
        tick >> shift << shift
    }

    #[inline]
    fn mark_empty(&mut self, slot: usize) {
        let (level, digit) = (slot / SLOTS, slot % SLOTS);
        self.occupied[level] &= !(1 << digit);
        if self.occupied[level] == 0 {
            self.levels &= !(1 << level);
        }
    }

    #[inline]
    fn find(&mut self, key: TimerKey) -> Option<&mut Timer> {
        self.entries.get_mut(key.index as usize).filter(|entry| entry.generation == key.generation)
    }

    /// Frees an entry that is in no list.
    #[inline]
    fn release(&mut self, index: u32) -> Option<Waker> {
        let entry = &mut self.entries[index as usize];
        let waker = entry.waker.take();
        entry.generation = 0;
        entry.next = self.free;
        self.free = index;
        self.live -= 1;
        if self.live == 0 && self.entries.len() > KEPT {
            self.entries = Vec::new();
            self.free = NIL;
        }
        waker
    }
}
