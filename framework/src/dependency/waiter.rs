//! A call that waits for a permit, and how its wait ends.

use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::backpressure::{Importance, Rank};
use crate::clock::Moment;
use crate::sync::{AtomicU64, Ordering, Wakers};

use super::lines::{Spot, Waits};

/// How a wait ended without a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitError {
    /// The queue was full.
    Full,
    /// The strategy dropped this call to make room, or instead of making room.
    Dropped,
    /// It is among the least important calls, of which there are more than permits.
    Shed,
    /// The wait in the queue took too long.
    Expired,
    /// The wait for room in the full queue took too long.
    ExpiredBlocked,
    /// The breaker opened.
    BreakerOpen,
    /// Seawall is shutting down.
    ShutDown,
}

impl WaitError {
    const ALL: [Self; 7] = [
        Self::Full,
        Self::Dropped,
        Self::Shed,
        Self::Expired,
        Self::ExpiredBlocked,
        Self::BreakerOpen,
        Self::ShutDown,
    ];
}

/// What became of a call that asked for a permit.
#[derive(Debug)]
pub(crate) enum Join {
    /// It has one.
    Acquired,
    /// It waits.
    Waiting(Position),
    /// It may not wait.
    Refused(WaitError),
}

/// Tells one key from another for as long as a call on it waits. A key in use is not evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyId(pub(crate) usize);

/// How long a call may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitLimits {
    /// For a permit: the earlier of `max_wait` and when its attempt must begin.
    pub(crate) give_up_at: Moment,
    /// For room in a full queue, under strategy `block`.
    pub(crate) blocked_until: Moment,
    /// See [`StartBy::noticed_late`](super::StartBy::noticed_late). A call past it is never handed a permit.
    pub(crate) noticed_late: Moment,
}

impl WaitLimits {
    /// Whether the wait may be over, if the call is the first in line.
    #[inline]
    pub(super) fn is_late(self, now: Moment) -> bool {
        self.give_up_at.min(self.noticed_late) < now
    }

    /// When the wait is over at the latest, of a call that stands in front of the full queue or in it.
    pub(super) fn end(self, is_blocked: bool) -> Moment {
        if is_blocked { self.give_up_at.min(self.blocked_until) } else { self.give_up_at }
    }
}

/// A call without a permit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer<'a> {
    pub(crate) key: Option<KeyId>,
    /// How many permits it needs.
    pub(crate) weight: u32,
    pub(crate) class: Importance,
    pub(crate) rank: Rank,
    pub(crate) limits: WaitLimits,
    pub(crate) now: Moment,
    /// Its task's. Without one it is told of the end of its wait after its first poll at the earliest.
    pub(crate) waker: Option<&'a Waker>,
}

/// A call's position in the queue.
#[derive(Debug)]
pub(crate) struct Position {
    pub(super) end: Arc<WaitEnd>,
    pub(super) limits: WaitLimits,
    pub(super) spot: Spot,
    /// When the wait is over at the latest, as things stood when it began.
    pub(crate) gives_up_at: Moment,
    /// The queue was empty before. From now on the actor looks at it now and then.
    pub(crate) is_first: bool,
}

/// A call in the queue.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) key: Option<KeyId>,
    pub(super) weight: u32,
    pub(super) since: Moment,
    pub(super) limits: WaitLimits,
    /// Who is to be woken. It is changed and taken with the queue locked, and cloned, dropped and woken while it is not.
    pub(super) waker: Option<Waker>,
    pub(super) end: Arc<WaitEnd>,
}

impl Waits for Waiter {
    fn since(&self) -> Moment {
        self.since
    }
    fn weight(&self) -> u32 {
        self.weight
    }
}

impl Waiter {
    /// Ends the wait of one that has left the queue, which is still locked.
    pub(super) fn settle(self, end: Result<(), WaitError>, wakers: &mut Wakers) {
        self.end.set(end);
        wakers.add(self.waker);
    }
}

/// How a wait has ended, once it has: read without the queue's lock.
#[derive(Debug, Default)]
pub(super) struct WaitEnd(AtomicU64);

const WAITS: u64 = 0;
const GRANTED: u64 = 1;
/// The first error.
const ENDED: u64 = 2;

impl WaitEnd {
    fn set(&self, end: Result<(), WaitError>) {
        let end = end.map_or_else(|error| ENDED + error as u64, |()| GRANTED);
        self.0.store(end, Ordering::Release);
    }

    pub(super) fn get(&self) -> Poll<Result<(), WaitError>> {
        match self.0.load(Ordering::Acquire) {
            WAITS => Poll::Pending,
            GRANTED => Poll::Ready(Ok(())),
            error => Poll::Ready(Err(WaitError::ALL[(error - ENDED) as usize])),
        }
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_read_as_it_was_set() {
        let end = WaitEnd::default();
        assert_eq!(end.get(), Poll::Pending);
        end.set(Ok(()));
        assert_eq!(end.get(), Poll::Ready(Ok(())));
        for error in WaitError::ALL {
            end.set(Err(error));
            assert_eq!(end.get(), Poll::Ready(Err(error)));
        }
    }
}
