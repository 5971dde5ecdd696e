//! A rate limiter that can be waited for.

use std::fmt;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::clock::Moment;
use crate::limit::{Algorithm, RateLimiter, Refusal};

use crate::time::{Time, block_on};

/// A [`RateLimiter`] joined with [`Time`]: a call that comes too early waits. For what is not a
/// call of a dependency, which its policy's `rate_limit` and `max_wait` see to: a loop that reads a
/// paid API, a job that must not flood.
///
/// ```
/// use seawall::Time;
/// use seawall::paced::Paced;
/// use seawall::limit::{LeakyBucket, Rate, RateLimiter};
///
/// let time = Time::system();
/// // Ten a second, evenly; up to 1,000 may stand in line.
/// let leaky = LeakyBucket::new(&Rate::new(1_000, 10.0)?);
/// let paced = Paced::new(RateLimiter::new(leaky, time.now()), time);
/// # let work = async {
/// paced.until_ready().await;
/// # };
/// paced.wait(); // The same, for a thread.
/// # Ok::<(), seawall::constraint::InvalidSettings>(())
/// ```
///
/// Turns are given in the order in which they are asked for (an `async` one is when it is first polled), and each is
/// reserved at once, so nobody who comes later passes. A turn more than an hour ahead cannot be
/// reserved: those who need one stand in a line of their own, and everybody who comes after them behind
/// it, until it can. A cost of zero is ready at once.
///
/// # Cancellation
/// A future that is dropped before it is ready gives its turn, or its place in the line, back. What the algorithm
/// makes of a turn given back from the middle of the queue is said by each.
///
/// The blocking methods park the thread; they must not be called from a task. By
/// [`Time::tokio`] outside a runtime they go by the system's timers.
pub struct Paced<A: Algorithm> {
    limiter: RateLimiter<A>,
    time: Time,
    /// The head of the line has it.
    head: Semaphore,
    in_line: AtomicU64,
}

impl<A: Algorithm> Paced<A> {
    /// A limiter that was made by the moments of this time.
    #[must_use]
    pub fn new(limiter: RateLimiter<A>, time: Time) -> Self {
        Self { limiter, time, head: Semaphore::new(1), in_line: AtomicU64::new(0) }
    }

    /// The limiter itself, for calls that do not want to wait.
    #[must_use]
    pub fn limiter(&self) -> &RateLimiter<A> {
        &self.limiter
    }

    /// Ready when one is taken.
    pub async fn until_ready(&self) {
        if self.claim(1, Duration::MAX).await.is_err() {
            // None of ours ever holds less than one.
            pending().await
        }
    }

    /// Ready when `cost` is taken.
    ///
    /// # Errors
    /// It is above the limit, so that would be never.
    pub async fn until_ready_for(&self, cost: u64) -> Result<(), Refusal> {
        self.claim(cost, Duration::MAX).await
    }

    /// Ready when `cost` is taken, after `max_wait` at the latest.
    ///
    /// # Errors
    /// It would take longer: at once, if that can be known. Nothing is taken. As of
    /// [`Algorithm::reserve`], it says when the same request would be granted; behind others who stand in
    /// line, at the earliest.
    pub async fn until_ready_within(&self, cost: u64, max_wait: Duration) -> Result<(), Refusal> {
        self.claim(cost, max_wait).await
    }

    /// As [`Paced::until_ready`], blocking this thread.
    pub fn wait(&self) {
        block_on(self.until_ready());
    }

    /// As [`Paced::until_ready_for`], blocking this thread.
    ///
    /// # Errors
    /// It is above the limit.
    pub fn wait_for(&self, cost: u64) -> Result<(), Refusal> {
        block_on(self.until_ready_for(cost))
    }

    /// As [`Paced::until_ready_within`], blocking this thread.
    ///
    /// # Errors
    /// It would take longer.
    pub fn wait_within(&self, cost: u64, max_wait: Duration) -> Result<(), Refusal> {
        block_on(self.until_ready_within(cost, max_wait))
    }

    async fn claim(&self, cost: u64, max_wait: Duration) -> Result<(), Refusal> {
        if cost == 0 {
            return Ok(());
        }
        if cost > self.limiter.algorithm().limit() {
            return Err(Refusal { retry_after: None });
        }
        let now = self.time.now();
        if self.in_line.load(Ordering::Acquire) == 0 {
            match self.ask(now, cost, max_wait) {
                Ok(wait) => return self.turn(now, wait, cost).await,
                Err(Later::TooLate(refusal)) => return Err(refusal),
                Err(Later::In(_)) => {}
            }
        } else {
            let refusal = self.behind_others(now, cost, max_wait);
            if refusal.retry_after.is_some_and(|after| !after.is_zero()) {
                return Err(refusal);
            }
        }
        self.stand_in_line(cost, now + max_wait, max_wait).await
    }

    /// Until a turn can be reserved, in the order of coming.
    #[cold]
    async fn stand_in_line(
        &self,
        cost: u64,
        give_up_at: Moment,
        max_wait: Duration,
    ) -> Result<(), Refusal> {
        let (now, wait) = {
            let _counted = InLine::new(&self.in_line);
            let head = {
                let mut head = pin!(self.head.acquire());
                let mut sleep = self.time.sleep_until(give_up_at);
                poll_fn(|cx| match head.as_mut().poll(cx) {
                    Poll::Ready(head) => Poll::Ready(Some(head)),
                    Poll::Pending => Pin::new(&mut sleep).poll(cx).map(|()| None),
                })
                .await
            };
            if head.is_none() {
                return Err(self.behind_others(self.time.now(), cost, max_wait));
            }
            loop {
                let now = self.time.now();
                match self.ask(now, cost, give_up_at.since(now)) {
                    Ok(wait) => break (now, wait),
                    Err(Later::TooLate(refusal)) => return Err(refusal),
                    // Until it is near enough to be reserved; or until there is room in a queue that is full.
                    Err(Later::In(nap)) => self.time.sleep_until(now + nap).await,
                }
            }
        };
        self.turn(now, wait, cost).await
    }

    /// Reserves a turn that comes within `longest`: how long to wait for it.
    fn ask(&self, now: Moment, cost: u64, longest: Duration) -> Result<Duration, Later> {
        self.limiter.reserve(now, cost, longest).or_else(|refusal| {
            // Asked for it without waiting, the limiter says when it comes, if it is not there by now.
            let turn = match self.limiter.reserve(now, cost, Duration::ZERO) {
                Ok(wait) => return Ok(wait),
                Err(now_or_never) => now_or_never.retry_after,
            };
            match refusal.retry_after {
                Some(nap) if turn.is_some_and(|turn| turn <= longest) => Err(Later::In(nap)),
                _ => Err(Later::TooLate(refusal)),
            }
        })
    }

    /// How long at least, until what others stand in line for is there for this one too.
    fn behind_others(&self, now: Moment, cost: u64, max_wait: Duration) -> Refusal {
        // It takes no less than it would without them. None: by itself it could be had now.
        let turn = self.limiter.peek(now, cost).retry_after.unwrap_or_default();
        Refusal { retry_after: Some(turn.saturating_sub(max_wait)) }
    }

    /// Waits for a turn that is reserved.
    async fn turn(&self, now: Moment, wait: Duration, cost: u64) -> Result<(), Refusal> {
        if !wait.is_zero() {
            let mut turn = Reserved { paced: self, at: now + wait, cost, is_used: false };
            self.time.sleep_until(turn.at).await;
            turn.is_used = true;
        }
        Ok(())
    }
}

/// No turn could be reserved.
enum Later {
    /// It can be so much later, and the turn comes in time.
    In(Duration),
    /// None comes in time.
    TooLate(Refusal),
}

/// A reserved turn, given back unless it is used.
struct Reserved<'a, A: Algorithm> {
    paced: &'a Paced<A>,
    at: Moment,
    cost: u64,
    is_used: bool,
}

impl<A: Algorithm> Drop for Reserved<'_, A> {
    fn drop(&mut self) {
        if !self.is_used {
            self.paced.limiter.refund(self.paced.time.now(), self.cost, self.at);
        }
    }
}

/// Counted among those in line, until dropped.
struct InLine<'a>(&'a AtomicU64);

impl<'a> InLine<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<A: Algorithm> fmt::Debug for Paced<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paced").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests;
