//! How many instances there are, as the store last said.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::{Moment, nanos};
use crate::entropy::Entropy;

use super::store::Membership;

/// Signs of life that may be missed before an instance is taken for dead.
const MISSES: u32 = 3;

/// A name that no other instance has: 128 random bits.
pub(crate) fn any_name() -> Arc<str> {
    let chance = Entropy::system();
    format!("{:016x}{:016x}", chance.next_u64(), chance.next_u64()).into()
}

/// The instances that share limits, seen from one of them.
#[derive(Debug)]
pub(super) struct Members {
    pub(super) instance: Arc<str>,
    /// A sign of life is given so often.
    pub(super) beat: Duration,
    count: AtomicU64,
    /// Whether this one may use its share: others know of it by now.
    is_open: AtomicBool,
    /// How often the store has answered.
    heard: AtomicU64,
    /// Whether others were there when this one came.
    came_late: AtomicBool,
    /// Since when it is open, in nanoseconds.
    opened_at: AtomicU64,
    pub(super) changed: Notify,
}

impl Members {
    pub(super) fn new(instance: Arc<str>, expected: u64, beat: Duration) -> Self {
        Self {
            instance,
            beat,
            count: AtomicU64::new(expected.max(1)),
            is_open: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            came_late: AtomicBool::new(false),
            opened_at: AtomicU64::new(0),
            changed: Notify::new(),
        }
    }

    /// How many are alive; at least 1. Before the store has said anything, as many as are expected.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// For how long a sign of life is good.
    pub(super) fn alive(&self) -> Duration {
        self.beat.saturating_mul(MISSES)
    }

    /// Whether the share may be used. Not before an instance that came to others has given a second sign of life: until then
    /// the others may not have seen the first, and divide by one too few.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Whether a share that is used for the first time at `now` begins as spent: others were there before, with larger ones.
    pub(super) fn begins_spent(&self, now: Moment) -> bool {
        let opened_at = self.opened_at.load(Ordering::Relaxed);
        self.came_late.load(Ordering::Relaxed)
            && now.as_nanos().saturating_sub(opened_at) < nanos(self.alive())
    }

    /// The store has said so.
    pub(super) fn hear(&self, said: Membership, now: Moment) {
        self.count.store(said.instances.max(1), Ordering::Relaxed);
        let before = self.heard.fetch_add(1, Ordering::Relaxed);
        if before == 0 && said.instances > 1 {
            self.came_late.store(true, Ordering::Relaxed);
        } else {
            self.open(now);
        }
    }

    /// The store does not say anything: the share is used as it is expected to be.
    pub(super) fn open(&self, now: Moment) {
        if !self.is_open.load(Ordering::Relaxed) {
            self.opened_at.store(now.as_nanos(), Ordering::Relaxed);
            self.is_open.store(true, Ordering::Release);
            self.changed.notify_waiters();
        }
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;

    fn said(instances: u64) -> Membership {
        Membership { instances, place: 0 }
    }

    #[test]
    fn the_first_opens_at_once_and_one_that_comes_later_a_beat_later_and_spent() {
        let (beat, now) = (Duration::from_millis(300), Moment::ZERO);
        let first = Members::new("a".into(), 4, beat);
        assert_eq!((first.count(), first.is_open()), (4, false));
        first.hear(said(1), now);
        assert_eq!((first.count(), first.is_open(), first.begins_spent(now)), (1, true, false));
        let second = Members::new("b".into(), 1, beat);
        second.hear(said(2), now);
        assert!(!second.is_open());
        second.hear(said(2), now + beat);
        assert!(second.is_open() && second.begins_spent(now + beat * 2));
        assert!(!second.begins_spent(now + beat * 4));
    }
}
