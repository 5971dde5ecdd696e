//! A bulkhead around anything: permits for what is not a call of a dependency.

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::backpressure::{self, Importance, Priority, Rank};
use crate::bulkhead::{self, MAX_WEIGHT};
use crate::clock::{Moment, nanos};
use crate::dependency::{InLine, Join, Newcomer, Position, WaitError, WaitLimits, WaitingRoom};
use crate::error::RejectedBy;
use crate::time::{Time, block_on};

/// So many permits, and a bounded queue of those who wait for one: for a pool, a scan of many files, a computation that needs
/// memory. A call of a service is better guarded by its client, which has a breaker, a deadline and metrics beside it.
///
/// ```
/// use std::time::Duration;
/// use seawall::permit::Bulkhead;
/// use seawall::{Time, backpressure, bulkhead};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let four = bulkhead::Config::builder().max_concurrent(4).max_wait(Duration::from_secs(1)).build()?;
/// let scans = Bulkhead::new(&four, &backpressure::Config::default(), Time::system());
///
/// let permit = scans.acquire().await?;
/// // Scan something.
/// drop(permit);
/// # Ok(())
/// # }
/// ```
///
/// Permits are given in the order in which they are asked for (an `async` request asks when it is first polled), and nobody who comes
/// later passes: one who needs several is waited for by those behind. `max_concurrent` and `max_wait` are as for a dependency; a
/// `max_wait` of [`Duration::MAX`] is for ever, and then no clock is read. Of the mailbox, capacity and strategy count. What needs
/// to know how calls end (a limit that finds itself, a grace, priorities and orders by service time) is for dependencies.
///
/// A permit that is free costs two locked instructions, taken and given back, and allocates nothing. A wait allocates twice.
///
/// # Cancellation
/// A request that is dropped gives its place in the queue up, or its permit to the next.
pub struct Bulkhead {
    room: WaitingRoom,
    time: Time,
    max_wait: Option<Duration>,
    /// How long a request may be blocked in front of a full queue.
    block_timeout: Option<Duration>,
}

impl Bulkhead {
    /// A bulkhead with all its permits free.
    #[must_use]
    pub fn new(config: &bulkhead::Config, mailbox: &backpressure::Config, time: Time) -> Self {
        let on_full = mailbox.on_full();
        let mailbox = backpressure::Config::builder().capacity(mailbox.capacity()).on_full(on_full);
        Self {
            // Both are within their bounds: they have been checked before.
            room: WaitingRoom::new(config.max_concurrent(), &mailbox.build().unwrap_or_default()),
            time,
            max_wait: Some(config.max_wait()).filter(|wait| *wait < Duration::MAX),
            block_timeout: on_full.block_timeout(),
        }
    }

    /// A permit, if one is free and nobody waits.
    #[inline]
    #[must_use]
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.room.enter_alone(|| self.now()).then(|| Permit { bulkhead: self, weight: 1 })
    }

    /// So many permits in one, if they are free and nobody waits; one, if none are asked for. Of more than there are at all, all: others
    /// then wait until it is given back. More than [`MAX_WEIGHT`] never are free.
    #[must_use]
    pub fn try_acquire_many(&self, weight: u32) -> Option<Permit<'_>> {
        let weight = weight.max(1);
        let is_free = weight <= MAX_WEIGHT && self.room.try_enter(weight);
        is_free.then(|| Permit { bulkhead: self, weight })
    }

    /// A permit, as soon as it is free and everybody who came before has theirs.
    ///
    /// # Errors
    /// None came free within `max_wait`, or the queue was full.
    #[inline]
    pub async fn acquire(&self) -> Result<Permit<'_>, NoPermit> {
        match self.try_acquire() {
            Some(permit) => Ok(permit),
            None => self.wait(1).await,
        }
    }

    /// So many permits in one; as [`Bulkhead::try_acquire_many`].
    ///
    /// # Errors
    /// As [`Bulkhead::acquire`]; more than [`MAX_WEIGHT`] are asked for.
    pub async fn acquire_many(&self, weight: u32) -> Result<Permit<'_>, NoPermit> {
        match self.try_acquire_many(weight) {
            Some(permit) => Ok(permit),
            None if weight > MAX_WEIGHT => Err(self.refused(RejectedBy::Bulkhead, weight)),
            None => self.wait(weight.max(1)).await,
        }
    }

    /// As [`Bulkhead::acquire`], for a permit that goes to another task or thread.
    ///
    /// # Errors
    /// As [`Bulkhead::acquire`].
    pub async fn acquire_owned(self: Arc<Self>) -> Result<OwnedPermit, NoPermit> {
        let weight = self.acquire().await?.keep();
        Ok(OwnedPermit { bulkhead: self, weight })
    }

    /// As [`Bulkhead::acquire`], blocking this thread. Not to be called from a task. By [`Time::tokio`] outside a runtime it goes by
    /// the system's timers.
    ///
    /// # Errors
    /// As [`Bulkhead::acquire`].
    pub fn acquire_blocking(&self) -> Result<Permit<'_>, NoPermit> {
        match self.try_acquire() {
            Some(permit) => Ok(permit),
            None => block_on(self.wait(1)),
        }
    }

    /// Permits that are out. More than there are, for as long as one who asked for more than all of them has them; and for a few
    /// nanoseconds while one who found the last one taken draws back.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.room.permits().active()
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.room.permits().waiters()
    }

    /// Permits in all.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.room.permits().limit()
    }

    #[cold]
    async fn wait(&self, weight: u32) -> Result<Permit<'_>, NoPermit> {
        let joined = poll_fn(|cx| Poll::Ready(self.join(weight, cx.waker()))).await;
        let ended = match joined {
            Join::Acquired => Ok(()),
            Join::Refused(error) => Err(error),
            Join::Waiting(position) => self.wait_in_line(position, weight).await,
        };
        let by = match ended {
            Ok(()) => return Ok(Permit { bulkhead: self, weight }),
            Err(WaitError::Full | WaitError::ExpiredBlocked) => RejectedBy::QueueFull,
            Err(WaitError::Dropped) => RejectedBy::Dropped,
            Err(_) => RejectedBy::Bulkhead,
        };
        Err(self.refused(by, weight))
    }

    async fn wait_in_line(&self, position: Position, weight: u32) -> Result<(), WaitError> {
        InLine::new(&self.room, || self.now(), position, weight).wait(&self.time).await
    }

    fn join(&self, weight: u32, waker: &Waker) -> Join {
        if self.max_wait.is_some_and(|wait| wait.is_zero()) {
            return Join::Refused(WaitError::Expired);
        }
        let now = self.now();
        let end = |wait: Option<Duration>| wait.map_or(Moment::MAX, |it| now.plus_nanos(nanos(it)));
        let limits = WaitLimits {
            give_up_at: end(self.max_wait),
            blocked_until: end(self.block_timeout),
            // A permit that comes a little late, because threads were busy, is of use.
            noticed_late: Moment::MAX,
        };
        let newcomer = Newcomer {
            key: None,
            weight,
            class: Importance::Normal,
            rank: Rank::new(Priority::NORMAL, 0.0),
            limits,
            now,
            waker: Some(waker),
        };
        self.room.join(newcomer, || None)
    }

    /// Not read while no wait has an end.
    fn now(&self) -> Moment {
        match (self.max_wait, self.block_timeout) {
            (None, None) => Moment::ZERO,
            _ => self.time.now(),
        }
    }

    fn refused(&self, by: RejectedBy, weight: u32) -> NoPermit {
        NoPermit { by, weight, limit: self.limit() }
    }

    fn give_back(&self, weight: u32) {
        self.room.leave(weight, || self.now());
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead")
            .field("limit", &self.limit())
            .field("active", &self.active())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// A permit, given back when dropped.
#[derive(Debug)]
#[must_use = "a permit that is not kept is given back at once"]
pub struct Permit<'a> {
    bulkhead: &'a Bulkhead,
    weight: u32,
}

impl Permit<'_> {
    /// How many permits it is.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// It stays out, for another to give back.
    fn keep(self) -> u32 {
        let weight = self.weight;
        std::mem::forget(self);
        weight
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.bulkhead.give_back(self.weight);
    }
}

/// A permit that borrows nothing, given back when dropped.
#[derive(Debug)]
#[must_use = "a permit that is not kept is given back at once"]
pub struct OwnedPermit {
    bulkhead: Arc<Bulkhead>,
    weight: u32,
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        self.bulkhead.give_back(self.weight);
    }
}

/// There was no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no permit for {weight} of {limit}: refused by {by}")]
#[non_exhaustive]
pub struct NoPermit {
    /// [`RejectedBy::Bulkhead`]: none within `max_wait`. [`RejectedBy::QueueFull`] or [`RejectedBy::Dropped`]: the queue was full.
    pub by: RejectedBy,
    /// How many were asked for.
    pub weight: u32,
    /// How many there are.
    pub limit: u32,
}
