//! A bulkhead around anything: permits for what is not a call of a dependency.

#[cfg(all(test, seawall_loom))]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod loom;
#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests;

mod line;
mod request;
mod semaphore;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::backpressure;
use crate::bulkhead::{self, MAX_WEIGHT};
use crate::clock::{Moment, nanos};
use crate::error::RejectedBy;
use crate::time::{Time, TimeLimit, block_on};

use request::Request;
use semaphore::Semaphore;

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
/// later passes: one who needs several is waited for by those behind. `max_concurrent` and `max_wait` are as for a dependency. A
/// `max_wait` of [`Duration::MAX`] is for ever, and then no clock is read. A permit that comes after the wait should have ended, and
/// before its request has noticed that, is given all the same. Of the mailbox, capacity and strategy count. What needs
/// to know how calls end (a limit that finds itself, a grace, priorities and orders by service time) is for dependencies.
///
/// A permit that is free costs two locked instructions, taken and given back. A request that waits takes 32 bytes of the queue, which
/// keeps them for the next: once the queue has grown, waiting allocates nothing.
///
/// # Cancellation
/// A request that is dropped gives its place in the queue up, or its permit to the next.
pub struct Bulkhead {
    semaphore: Semaphore,
    time: Time,
    max_wait: Option<Duration>,
    /// How long a request may be blocked in front of a full queue.
    block_timeout: Option<Duration>,
}

impl Bulkhead {
    /// A bulkhead with all its permits free.
    #[must_use]
    pub fn new(config: &bulkhead::Config, mailbox: &backpressure::Config, time: Time) -> Self {
        Self {
            semaphore: Semaphore::new(config.max_concurrent(), mailbox),
            time,
            max_wait: Some(config.max_wait()).filter(|wait| *wait < Duration::MAX),
            block_timeout: mailbox.on_full().block_timeout(),
        }
    }

    /// A permit, if one is free and nobody waits.
    #[inline]
    #[must_use]
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.semaphore.try_one().then(|| Permit { bulkhead: self, weight: 1 })
    }

    /// So many permits in one, if they are free and nobody waits; one, if none are asked for. Of more than there are at all, all: others
    /// then wait until it is given back. More than [`MAX_WEIGHT`] never are free.
    #[must_use]
    pub fn try_acquire_many(&self, weight: u32) -> Option<Permit<'_>> {
        let weight = weight.max(1);
        self.semaphore.try_many(weight).then(|| Permit { bulkhead: self, weight })
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

    /// As [`Bulkhead::try_acquire`], for a permit that goes to another task or thread.
    #[must_use]
    pub fn try_acquire_owned(self: Arc<Self>) -> Option<OwnedPermit> {
        let weight = self.try_acquire()?.keep();
        Some(OwnedPermit { bulkhead: self, weight })
    }

    /// As [`Bulkhead::acquire`], for a permit that goes to another task or thread.
    ///
    /// # Errors
    /// As [`Bulkhead::acquire`].
    pub async fn acquire_owned(self: Arc<Self>) -> Result<OwnedPermit, NoPermit> {
        let weight = self.acquire().await?.keep();
        Ok(OwnedPermit { bulkhead: self, weight })
    }

    /// As [`Bulkhead::acquire_many`], for permits that go to another task or thread.
    ///
    /// # Errors
    /// As [`Bulkhead::acquire_many`].
    pub async fn acquire_many_owned(self: Arc<Self>, weight: u32) -> Result<OwnedPermit, NoPermit> {
        let weight = self.acquire_many(weight).await?.keep();
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
        self.semaphore.permits().active()
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.semaphore.waiting()
    }

    /// Permits in all.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.semaphore.permits().limit()
    }

    #[inline]
    fn wait(&self, weight: u32) -> Request<'_> {
        Request::new(self, weight)
    }

    /// When a wait that begins now is over, and one in front of the full queue. The clock is not read while neither ever is.
    fn ends(&self) -> (Moment, Moment) {
        if self.max_wait.is_none() && self.block_timeout.is_none() {
            return (Moment::MAX, Moment::MAX);
        }
        let now = self.time.now();
        let end = |wait: Option<Duration>| wait.map_or(Moment::MAX, |it| now.plus_nanos(nanos(it)));
        (end(self.max_wait), end(self.block_timeout))
    }

    /// `None`: for as long as it takes.
    fn limit_at(&self, end: Moment) -> Option<TimeLimit> {
        (end < Moment::MAX).then(|| self.time.limit(end))
    }

    fn refused(&self, by: RejectedBy, weight: u32) -> NoPermit {
        NoPermit { by, weight, limit: self.limit() }
    }

    fn give_back(&self, weight: u32) {
        self.semaphore.give_back(weight);
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

impl OwnedPermit {
    /// How many permits it is.
    #[must_use]
    pub fn weight(&self) -> u32 {
        self.weight
    }
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
