//! What becomes of an entry, and how many there were of each kind.

use serde::Serialize;

/// The most entries that can be blocked at once under [`Strategy::Block`](super::Strategy::Block), beyond the capacity. The
/// line is a limit on memory, and a limit that callers can outgrow by blocking would be none.
pub const MAX_BLOCKED: u32 = 1_000_000;

/// Names one entry of one [`Queue`](super::Queue), for as long as it stands in it and never again: no later entry
/// gets the same key, so a key kept too long finds nothing rather than somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ItemKey {
    pub(super) slot: u32,
    /// The entry's number among all that were ever received.
    pub(super) number: u64,
}

/// What became of a newcomer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Push<T> {
    /// It waits.
    Waiting(ItemKey),
    /// The line is full and it stands behind it (`block`): it moves up as others leave.
    Blocked(ItemKey),
    /// It waits, and the oldest entry was dropped to make room (`drop_oldest`).
    Evicted {
        /// The newcomer.
        key: ItemKey,
        /// The oldest entry, given back.
        evicted: T,
    },
    /// It was refused (`error`, or `block` with [`MAX_BLOCKED`] already blocked), and is given back.
    Full(T),
    /// It was dropped (`drop_newest`), and is given back.
    Dropped(T),
}

/// What a line has seen. At any moment `received = processed + dropped + merged + waiting + blocked_now`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Entries that were ever pushed, whatever became of them.
    pub received: u64,
    /// Entries that were popped.
    pub processed: u64,
    /// Entries that were refused, dropped, shed, removed or flushed.
    pub dropped: u64,
    /// Entries that were made part of one that waits.
    pub merged: u64,
    /// Entries that ever had to block.
    pub blocked: u64,
    /// Entries waiting now.
    pub waiting: u32,
    /// Entries blocked now.
    pub blocked_now: u32,
}

impl Counts {
    /// Of two lines together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            processed: self.processed + other.processed,
            dropped: self.dropped + other.dropped,
            merged: self.merged + other.merged,
            blocked: self.blocked + other.blocked,
            waiting: self.waiting + other.waiting,
            blocked_now: self.blocked_now + other.blocked_now,
        }
    }
}
