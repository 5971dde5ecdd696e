//! A bulkhead for calls that block: threads of its own for one dependency.
//!
//! A blocking call on an async runtime's thread stops everybody who shares that thread, and on a
//! shared pool of threads one dead dependency takes them all. A [`BlockingPool`] is a compartment: a
//! fixed number of threads, which are its permits, and a bounded queue before them. When the
//! dependency hangs, its own threads hang, its own queue fills, and every further call is refused with
//! [`PoolError::BulkheadFull`]; nobody else notices.
//!
//! A thread is free only when the work on it has *really* ended. A caller may stop waiting for work
//! under way, but that gives no thread back: what is still busy with the dependency still counts.
//!
//! ```
//! use seawall::blocking::BlockingPool;
//!
//! let pool = BlockingPool::builder("ledger").threads(4).queue(16).build()?;
//! // From async code: `pool.run(|| ...).await`.
//! let sum = pool.run_blocking(|| (1..=10).sum::<u32>())?;
//! assert_eq!(sum, 55);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Idle threads wait on a crossbeam channel; work goes into it only when a thread is reserved for it,
//! so nothing in it waits for longer than a wake-up. Work for which no thread is free stands in a
//! [`Queue`](crate::backpressure::Queue), from whose middle it can leave in constant time.

mod builder;
mod error;
mod task;
#[cfg(test)]
mod tests;
mod view;
mod workers;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Serialize;

use crate::backpressure::ItemKey;
use crate::time::{Sleep, block_on};
use task::{DynTask, Look, Task};
use workers::{Submitted, TakenBack, Workers};

pub use crate::bulkhead::MAX_THREADS;
pub use builder::PoolBuilder;
pub use error::{PoolBuildError, PoolError};
pub use view::PoolView;

/// A dependency's own threads for blocking calls. Made by [`BlockingPool::builder`].
///
/// Cloning is cheap; clones share the threads and the queue. The threads start when the pool is built:
/// a system that is out of threads is found out when the program starts, not under load.
///
/// Dropping the last clone ends the threads as they become idle and does not wait for them. Futures of
/// [`BlockingPool::run`] count as clones, so nothing that somebody still waits for is lost; work whose
/// caller is gone, and which has started, runs to its end.
#[derive(Clone)]
pub struct BlockingPool(Arc<Handle>);

/// What all clones share; the threads share only what is inside.
struct Handle(Arc<Workers>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What a pool is doing and has done, at one moment. Always
/// `received = active + queued + completed + panicked + rejected + withdrawn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct PoolCounts {
    /// Works running now, those that nobody waits for any more among them.
    pub active: u32,
    /// Those of them that nobody waits for any more: their callers were cancelled, or had no more time. Their threads are stuck until
    /// they return.
    pub abandoned: u32,
    /// Works waiting for a thread now.
    pub queued: u32,
    /// Works ever handed in, whatever became of them.
    pub received: u64,
    /// Works that returned.
    pub completed: u64,
    /// Works that panicked.
    pub panicked: u64,
    /// Works refused with [`PoolError::BulkheadFull`]; none of them ran.
    pub rejected: u64,
    /// Works taken back before they started, by their caller or by a shutdown, or handed in after one.
    pub withdrawn: u64,
}

/// How a [`BlockingPool::shutdown`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[must_use]
#[non_exhaustive]
pub struct PoolShutdown {
    /// Works that still waited when the limit was reached, and were turned away.
    pub withdrawn: u32,
    /// Works that still ran when the limit was reached: a thread cannot be stopped from outside. Each
    /// ends its thread when it returns. Zero: every thread has ended.
    pub running: u32,
}

impl BlockingPool {
    /// Starts from the defaults: 25 threads, 100 places in the queue, 30 s of waiting, the system's time.
    ///
    /// `name` is the dependency's. Threads are called `bulkhead-<name>-<number>`; Linux shows 15 bytes of
    /// that, so a longer one becomes `bh-<name, cut>-<number>`.
    pub fn builder(name: impl AsRef<str>) -> PoolBuilder {
        PoolBuilder::new(name.as_ref())
    }

    /// Runs `work` on a thread of the pool, in the caller's `tracing` span, and answers with what it returns.
    ///
    /// Nothing happens before the first poll. If no thread is free the work waits in the queue, first
    /// come first served, for `max_wait` at most.
    ///
    /// # Errors
    /// [`PoolError::BulkheadFull`] if the queue is full, or if no thread came free within `max_wait`: the
    /// work has not run and will not. [`PoolError::Panicked`] if it panicked; the thread survives.
    /// [`PoolError::ShutDown`] during and after a shutdown, unless the work had started.
    ///
    /// # Cancellation
    /// Dropping the future before the work has started takes it back: it never runs, and is dropped
    /// here. After that it runs to its end, on its thread, and its result is dropped there.
    ///
    /// # Panics
    /// Never by itself. In a program built with `panic = "abort"` a panic of `work` ends the process.
    pub fn run<T, F>(
        &self,
        work: F,
    ) -> impl Future<Output = Result<T, PoolError>> + Send + use<T, F>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Run { pool: self.clone(), step: Step::New(work) }
    }

    /// As [`run`](Self::run), for a caller without a runtime: blocks this thread meanwhile.
    ///
    /// Work that itself waits for the same pool holds one thread while it asks for another: with all of
    /// them doing so nobody advances until `max_wait` is over.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    pub fn run_blocking<T, F>(&self, work: F) -> Result<T, PoolError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        block_on(self.run(work))
    }

    /// Takes no new work, lets what is running or waiting end for at most `limit`, then turns away what
    /// still waits. Ready as soon as every thread has ended. May be called again, and from any clone.
    ///
    /// # Cancellation
    /// Dropped early, the pool stays closed and its threads end with the last work; nothing that waits
    /// is turned away.
    pub fn shutdown(&self, limit: Duration) -> impl Future<Output = PoolShutdown> + Send + use<> {
        let workers = Arc::clone(&self.0.0);
        async move {
            workers.close();
            let limit = workers.time().sleep(limit);
            workers.drained(limit).await
        }
    }

    /// As [`shutdown`](Self::shutdown), blocking this thread. From the pool's own threads it waits for
    /// itself, to the limit.
    pub fn shutdown_blocking(&self, limit: Duration) -> PoolShutdown {
        block_on(self.shutdown(limit))
    }

    /// The dependency's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.0.name()
    }

    /// How many threads it has: how many works can run at once.
    #[must_use]
    pub fn threads(&self) -> u32 {
        self.0.0.threads()
    }

    /// Every count, taken at one moment.
    #[must_use]
    pub fn counts(&self) -> PoolCounts {
        self.0.0.counts()
    }

    /// For metrics: keeps no thread alive.
    #[must_use]
    pub fn view(&self) -> PoolView {
        PoolView::new(Arc::clone(&self.0.0))
    }

    /// Works running now.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.counts().active
    }

    /// Works waiting for a thread now.
    #[must_use]
    pub fn queued(&self) -> u32 {
        self.counts().queued
    }

    /// Works refused with [`PoolError::BulkheadFull`] so far.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.counts().rejected
    }

    /// Works that have returned so far.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.counts().completed
    }

    /// Works that have panicked so far.
    #[must_use]
    pub fn panicked(&self) -> u64 {
        self.counts().panicked
    }
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingPool")
            .field("name", &self.name())
            .field("threads", &self.threads())
            .field("counts", &self.counts())
            .finish()
    }
}

/// The future of [`BlockingPool::run`].
struct Run<T, F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    pool: BlockingPool,
    step: Step<T, F>,
}

enum Step<T, F> {
    New(F),
    HandedIn(HandedIn<T, F>),
    Over,
}

struct HandedIn<T, F> {
    task: Arc<Task<T, F>>,
    /// Its place in the queue, unless a thread was free at once.
    key: Option<ItemKey>,
    /// Ends the wait for a thread; none once one has been found.
    patience: Option<Sleep>,
}

// Nothing in it is ever pinned: the work is only moved and called.
impl<T, F> Unpin for Run<T, F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
}

impl<T, F> Run<T, F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn workers(&self) -> &Arc<Workers> {
        &self.pool.0.0
    }

    fn hand_in(&self, work: F) -> Result<HandedIn<T, F>, PoolError> {
        let workers = self.workers();
        let give_up_at = workers.time().now() + workers.max_wait();
        let task = Arc::new(Task::new(workers.name().clone(), give_up_at, work));
        let shared: Arc<dyn DynTask> = Arc::<Task<T, F>>::clone(&task);
        let key = match workers.enter(shared) {
            Submitted::Handed => None,
            Submitted::Waiting(key) => Some(key),
            Submitted::Full => return Err(workers.full()),
            Submitted::Closed => return Err(workers.shut_down()),
        };
        let patience = key.map(|_| workers.time().sleep_until(give_up_at));
        Ok(HandedIn { task, key, patience })
    }

    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, PoolError>> {
        let Step::HandedIn(handed_in) = &mut self.step else {
            return Poll::Pending; // Over: nobody may ask again, and a caller that does is not answered twice.
        };
        match handed_in.task.look(cx.waker()) {
            Look::Ended(result) => return Poll::Ready(result),
            Look::Running => handed_in.patience = None,
            Look::Waiting => {
                let out_of_patience = handed_in
                    .patience
                    .as_mut()
                    .is_some_and(|patience| Pin::new(patience).poll(cx).is_ready());
                if out_of_patience {
                    let (task, key) = (&handed_in.task, handed_in.key);
                    if self.pool.0.0.take_back(&**task, key, TakenBack::Expired) {
                        return Poll::Ready(Err(self.workers().full()));
                    }
                    // It started, or was turned away, just now: its end wakes the waker left above.
                    handed_in.patience = None;
                    return self.poll_ended(cx);
                }
            }
        }
        Poll::Pending
    }
}

impl<T, F> Future for Run<T, F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = Result<T, PoolError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Step::New(_) = this.step
            && let Step::New(work) = std::mem::replace(&mut this.step, Step::Over)
        {
            match this.hand_in(work) {
                Ok(handed_in) => this.step = Step::HandedIn(handed_in),
                Err(refused) => return Poll::Ready(Err(refused)),
            }
        }
        let ended = this.poll_ended(cx);
        if ended.is_ready() {
            this.step = Step::Over;
        }
        ended
    }
}

impl<T, F> Drop for Run<T, F>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn drop(&mut self) {
        if let Step::HandedIn(HandedIn { task, key, .. }) = &self.step
            && !self.workers().take_back(&**task, *key, TakenBack::Cancelled)
        {
            self.workers().abandon(&**task);
        }
    }
}
