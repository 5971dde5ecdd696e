//! A call that waits for a permit, and how its wait ends.

use std::sync::Arc;
use std::task::Waker;

use crate::backpressure::{Importance, Rank};
use crate::clock::Moment;
use crate::sync::{Mutex, wake};

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
    /// When the wait is over at the latest, of a call that stands in front of the full queue or in it.
    pub(super) fn end(self, is_blocked: bool) -> Moment {
        if is_blocked { self.give_up_at.min(self.blocked_until) } else { self.give_up_at }
    }
}

/// A call without a permit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer {
    pub(crate) key: Option<KeyId>,
    /// How many permits it needs.
    pub(crate) weight: u32,
    pub(crate) class: Importance,
    pub(crate) rank: Rank,
    pub(crate) limits: WaitLimits,
    pub(crate) now: Moment,
}

/// A call's position in the queue.
#[derive(Debug)]
pub(crate) struct Position {
    pub(super) waiter: Arc<Waiter>,
    pub(super) spot: Spot,
    /// When the wait is over at the latest, as things stood when it began.
    pub(crate) gives_up_at: Moment,
    /// The queue was empty before. From now on the actor looks at it now and then.
    pub(crate) is_first: bool,
}

#[derive(Debug)]
pub(crate) struct Waiter {
    pub(super) key: Option<KeyId>,
    pub(super) weight: u32,
    pub(super) since: Moment,
    pub(super) limits: WaitLimits,
    pub(super) state: Mutex<WaitState>,
}

#[derive(Debug)]
pub(super) enum WaitState {
    Waiting(Option<Waker>),
    Granted,
    Ended(WaitError),
}

impl Waits for Arc<Waiter> {
    fn since(&self) -> Moment {
        self.since
    }
    fn weight(&self) -> u32 {
        self.weight
    }
}

impl Waiter {
    /// Ends the wait. Only the first end counts.
    pub(super) fn settle(&self, end: WaitState, wakers: &mut Wakers) {
        let mut state = self.state.lock();
        if let WaitState::Waiting(waker) = &mut *state {
            let waker = waker.take();
            *state = end;
            wakers.0.extend(waker);
        }
    }
}

/// Tasks to wake once no lock is held.
#[derive(Debug, Default)]
#[must_use = "a settled waiter that is not woken sleeps for ever"]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(wake);
    }
}
