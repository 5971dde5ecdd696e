//! When a waiting room is full, as far as that is known without the lock of its queue.

use crate::backpressure::{Config, Strategy};
use crate::error::RejectedBy;
use crate::sync::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(crate) struct Full {
    /// With this many waiters the queue is full and refuses (strategy `error`).
    refuses_at: AtomicU64,
    /// With this many it drops the newcomer (`drop_newest`).
    drops_at: AtomicU64,
    /// Newcomers that were refused without the queue's lock, or shed, and are in none of its counts.
    refused: AtomicU64,
}

impl Full {
    /// Goes by these settings.
    pub(super) fn set(&self, mailbox: &Config) {
        let full_at = |strategy| {
            // With priorities, it depends on who comes.
            let is_known = mailbox.on_full() == strategy && !mailbox.priorities();
            if is_known { u64::from(mailbox.capacity()) } else { u64::MAX }
        };
        self.refuses_at.store(full_at(Strategy::Error), Ordering::Relaxed);
        self.drops_at.store(full_at(Strategy::DropNewest), Ordering::Relaxed);
    }

    /// Whether a newcomer to so many waiters would not be refused.
    pub(crate) fn has_room(&self, waiters: u32) -> bool {
        let refuses_at = self.refuses_at.load(Ordering::Relaxed);
        u64::from(waiters) < refuses_at.min(self.drops_at.load(Ordering::Relaxed))
    }

    /// Whether it is refused. Counts it if so.
    pub(crate) fn refuses(&self, waiters: u32) -> Option<RejectedBy> {
        let waiters = u64::from(waiters);
        let by = if waiters >= self.refuses_at.load(Ordering::Relaxed) {
            RejectedBy::QueueFull
        } else if waiters >= self.drops_at.load(Ordering::Relaxed) {
            RejectedBy::Dropped
        } else {
            return None;
        };
        self.count();
        Some(by)
    }

    /// A newcomer was refused.
    pub(super) fn count(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
