//! How many there were of late: a count over a sliding window, that many threads add to without a lock.

use std::time::Duration;

use crate::clock::{Moment, nanos};
use crate::striped::{Owner, Striped};
use crate::sync::{AtomicU64, Ordering};

/// Slices that a window is made of; it moves on by one of them at a time.
pub(super) const SLICES: usize = 10;
/// Places for slices: a power of two, so that finding one is no division.
pub(super) const PLACES: usize = SLICES.next_power_of_two();

/// The present, in slices of a window since the clock's origin. A clock that goes back by up to a window is taken to stand still;
/// by more than that, and the window starts afresh.
#[derive(Debug)]
pub(super) struct Slices {
    nanos: u64,
    /// Moves back only by [`Slices::go_back`].
    latest: AtomicU64,
}

impl Slices {
    pub(super) fn new(window: Duration) -> Self {
        // Rounded up, so that ten slices are never less than the window; at least 10 ms.
        let nanos = nanos(window).div_ceil(SLICES as u64).max(1);
        Self { nanos, latest: AtomicU64::new(0) }
    }

    /// When the present slice begins, and how long it is, in nanoseconds.
    pub(super) fn present(&self) -> (u64, u64) {
        (self.latest().saturating_mul(self.nanos), self.nanos)
    }

    #[inline]
    pub(super) fn latest(&self) -> u64 {
        self.latest.load(Ordering::Acquire)
    }

    /// Moves the present on to `now` and returns the slice it is in; `Err`, if the clock has gone back too far, with the slice
    /// to go back to.
    #[inline(always)]
    pub(super) fn advance(&self, now: Moment) -> Result<u64, u64> {
        let latest = self.latest();
        // A multiplication where nothing has to move on: a division costs as much as the rest of a call.
        let begins = latest.wrapping_mul(self.nanos);
        if now.as_nanos().wrapping_sub(begins) < self.nanos {
            return Ok(latest);
        }
        let slice = now.as_nanos() / self.nanos;
        if slice > latest {
            return Ok(slice.max(self.latest.fetch_max(slice, Ordering::AcqRel)));
        }
        if latest - slice <= SLICES as u64 { Ok(latest) } else { Err(slice) }
    }

    /// Whether the present is still so far ahead of this slice.
    pub(super) fn is_far_ahead(&self, slice: u64) -> bool {
        self.latest().saturating_sub(slice) > SLICES as u64
    }

    /// The present is this slice from now on, though it was later.
    pub(super) fn go_back(&self, slice: u64) {
        self.latest.store(slice, Ordering::Release);
    }
}

/// The count. The present is given to it, so that several counts share one.
#[derive(Debug, Default)]
pub(super) struct WindowedCount(Striped<Slots>);

/// One thread's. By slice modulo [`PLACES`]: the slice's number in the upper half, its count in the lower.
/// The tag tells a lapped count from a present one; it would take `2^32` slices, 497 days at
/// the least, of not one in its place for it to be mistaken.
#[derive(Debug, Default)]
struct Slots([AtomicU64; PLACES]);

impl WindowedCount {
    /// One more in this slice, the present one.
    #[inline]
    pub(super) fn add(&self, slice: u64, slices: &Slices) {
        let (Slots(slots), owner) = self.0.mine();
        match owner {
            Owner::ThisThread => {
                let place = &slots[index(slice)];
                place.store(one_more(place.load(Ordering::Acquire), slice), Ordering::Release);
            }
            Owner::Nobody => add_shared(slots, slice, slices),
        }
    }

    /// How many the window holds that ends with this slice.
    pub(super) fn sum(&self, present: u64) -> u64 {
        self.0
            .iter()
            .flat_map(|thread| &thread.0)
            .map(|slot| slot.load(Ordering::Acquire))
            .filter(|&slot| (present as u32).wrapping_sub(tag(slot)) < SLICES as u32)
            .map(count)
            .sum()
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        for slot in self.0.iter().flat_map(|thread| &thread.0) {
            slot.store(0, Ordering::Release);
        }
    }
}

/// Counts one among those of other threads.
#[cold]
fn add_shared(slots: &[AtomicU64; PLACES], mut slice: u64, slices: &Slices) {
    loop {
        let place = &slots[index(slice)];
        let seen = place.load(Ordering::Acquire);
        let present = slices.latest();
        if tag(seen) != slice as u32 && present != slice {
            // Overtaken by a whole slice or more: the tag may be newer, not older.
            slice = present;
            continue;
        }
        let next = one_more(seen, slice);
        if place.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return;
        }
    }
}

/// What a place holds with one more in this slice.
fn one_more(seen: u64, slice: u64) -> u64 {
    if tag(seen) != slice as u32 {
        return pack(slice, 1);
    }
    // A full count stays full: 2^32 in one slice earn no more.
    if count(seen) == u64::from(u32::MAX) { seen } else { seen + 1 }
}

pub(super) fn index(slice: u64) -> usize {
    (slice % PLACES as u64) as usize
}

fn pack(slice: u64, count: u64) -> u64 {
    (slice << 32) | count
}

fn tag(word: u64) -> u32 {
    (word >> 32) as u32
}

fn count(word: u64) -> u64 {
    word & u64::from(u32::MAX)
}
