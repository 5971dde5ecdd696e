//! A bounded queue between producers and consumers, which says what happens when producers are faster.
//!
//! ```
//! use seawall::queue::{BackpressureQueue, Strategy};
//!
//! # let work = async {
//! let samples = BackpressureQueue::builder().capacity(1_000).strategy(Strategy::DropOldest).build()?;
//! let _ = samples.put(42).await?; // Never waits: the oldest sample gives way.
//! assert_eq!(samples.get().await, Some(42));
//! samples.close();
//! assert_eq!(samples.get().await, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # };
//! ```
//!
//! | strategy | when the queue is full | for |
//! | --- | --- | --- |
//! | [`block`](Strategy::Block), the default | the producer waits, 30 s at most | what must not be lost |
//! | [`drop_oldest`](Strategy::DropOldest) | the oldest item is dropped | what goes stale: positions, prices |
//! | [`drop_newest`](Strategy::DropNewest) | the newcomer is dropped | what may be lost: debug logs |
//! | [`error`](Strategy::Error) | the producer gets an error | a producer that can do something about it |
//! | [`sample`](Strategy::Sample) | from a mark on, one newcomer in N gets in | telemetry of high volume |
//! | [`aggregate`](Strategy::aggregate) | the newcomer is merged into the newest item that waits | counts, sums, last values |
//! | [`throttle`](Strategy::Throttle) | producers are paced before it is full, by a rate or by what consumers do | a producer that can be slowed down |
//!
//! Whatever is not let in goes back to its producer. What is dropped later, because it is too old, goes to
//! [`Builder::on_drop`]. In any [`counts`](BackpressureQueue::counts), `received = processed + dropped + merged + waiting +
//! blocked_now`.
//!
//! `Seawall::watch_queue` has a queue in the metrics.
//!
//! In front of a dependency no such queue is needed: its mailbox is one
//! ([`backpressure`](crate::backpressure)).

mod builder;
mod counted;
mod ends;
mod get;
mod line;
#[cfg(all(test, seawall_loom))]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod loom;
mod outcome;
mod put;
mod settings;
mod shared;
mod state;
mod strategy;
#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests;

use std::fmt;
use std::sync::Arc;

use crate::backpressure::{Config, Counts, Next};
use crate::sync::Backoff;
use crate::time::block_on;

pub use builder::Builder;
pub use counted::Counted;
pub use ends::{QueueSink, QueueStream};
pub use outcome::{Dropped, Put, PutError, PutErrorKind, TryGetError};
use settings::Settings;
use shared::Shared;
use state::State;
pub use strategy::{Merge, Pace, Strategy};

/// A bounded queue of `T`, with many producers and many consumers. See [the module](self). Cheap to clone; clones are the same queue.
///
/// Every operation takes a short lock, and constant time but where it says otherwise. Memory is bounded by the capacity and, where producers
/// wait, by [`MAX_BLOCKED`](crate::backpressure::MAX_BLOCKED) of them.
pub struct BackpressureQueue<T>(Arc<Shared<T>>);

impl<T> BackpressureQueue<T> {
    /// Starts from the defaults: 100 places, and producers that wait for up to 30 s.
    pub fn builder() -> Builder<T> {
        Builder::new()
    }

    fn from_parts(line: &Config, settings: Settings<T>) -> Self {
        Self(Arc::new(Shared::new(line, settings)))
    }

    /// Puts an item in, or does what the strategy says; only `block` and `throttle` ever wait.
    ///
    /// # Errors
    /// The item is not in the queue. The error has it.
    ///
    /// # Cancellation
    /// A put that is dropped while it waits takes its item along. It is in the queue once it has room, even if the
    /// put is dropped before it could say so.
    pub async fn put(&self, item: T) -> Result<Put<T>, PutError<T>> {
        match put::Putting::begin(&*self.0, item) {
            Ok(done) => done,
            Err(waits) => waits.await,
        }
    }

    /// As [`put`](Self::put), but never waits.
    ///
    /// # Errors
    /// As there; where a `put` would have to wait for room, [`PutErrorKind::Full`], where for its turn,
    /// [`PutErrorKind::TooEarly`].
    pub fn try_put(&self, item: T) -> Result<Put<T>, PutError<T>> {
        put::try_put(&self.0, item)
    }

    /// As [`put`](Self::put), blocking this thread. Not to be called from a task.
    ///
    /// # Errors
    /// As there.
    pub fn put_blocking(&self, item: T) -> Result<Put<T>, PutError<T>> {
        match put::Putting::begin(&*self.0, item) {
            Ok(done) => done,
            Err(waits) => block_on(waits),
        }
    }

    /// The item that leaves next, once there is one. `None`: the queue is closed, and empty.
    ///
    /// # Cancellation
    /// A get that is dropped has taken nothing.
    pub async fn get(&self) -> Option<T> {
        match self.try_get() {
            Ok(item) => Some(item),
            Err(TryGetError::Closed) => None,
            Err(TryGetError::Empty) => get::Getting::new(&self.0).await,
        }
    }

    /// The item that leaves next.
    ///
    /// # Errors
    /// There is none.
    pub fn try_get(&self) -> Result<T, TryGetError> {
        self.0.step_to_take(State::take)
    }

    /// As [`get`](Self::get), blocking this thread. Not to be called from a task.
    #[must_use]
    pub fn get_blocking(&self) -> Option<T> {
        let mut backoff = Backoff::for_work();
        loop {
            match self.try_get() {
                Ok(item) => return Some(item),
                Err(TryGetError::Closed) => return None,
                Err(TryGetError::Empty) if backoff.waits() => {}
                Err(TryGetError::Empty) => return block_on(self.get()),
            }
        }
    }

    /// Takes up to `most` items that wait, the next one first, and appends them to `items`: one lock for all of them. Says how many; it
    /// may be none.
    pub fn try_get_many(&self, items: &mut Vec<T>, most: usize) -> usize {
        let before = items.len();
        self.0.step_to_take(|state, visit| {
            items.extend((0..most).map_while(|_| state.take(visit).ok()));
        });
        items.len() - before
    }

    /// Ready when the queue is not full, or closed. Somebody else may be faster then.
    pub async fn ready(&self) {
        get::ready(&self.0).await;
    }

    /// Lets nothing in any more. Producers that wait get their items back; consumers get what is in the queue, and
    /// then `None`.
    pub fn close(&self) {
        self.0.step(|state, visit| state.close(visit));
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.lock().is_closed
    }

    /// Takes out all that waits, the oldest first: it counts as dropped. Producers that wait for room keep waiting, and have it. Takes
    /// time in proportion to the queue.
    #[must_use]
    pub fn drain(&self) -> Vec<T> {
        let waiting = self.len();
        self.0.step(|state, visit| {
            (0..waiting).map_while(|_| state.leave(visit, Next::DropOldest)).collect()
        })
    }

    /// What the queue has seen, and how many are in it.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.lock().line.counts()
    }

    /// How many items wait.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.0.lock().line.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.lock().line.is_empty()
    }

    /// How many items may wait.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.0.lock().line.capacity()
    }

    /// How full the queue is, 0 to 1.
    #[must_use]
    pub fn fill_ratio(&self) -> f64 {
        self.0.lock().line.fill_ratio()
    }

    /// The queue as a stream of its items, which ends when it is closed and empty.
    #[must_use]
    pub fn stream(&self) -> QueueStream<T> {
        QueueStream::new(Arc::clone(&self.0))
    }

    /// The queue as a sink for items. Closing the sink closes the queue.
    #[must_use]
    pub fn sink(&self) -> QueueSink<T> {
        QueueSink::new(Arc::clone(&self.0))
    }
}

impl<T> Clone for BackpressureQueue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for BackpressureQueue<T> {
    /// 100 places, and producers that wait for up to 30 s.
    fn default() -> Self {
        Self::from_parts(&Config::default(), Builder::new().settings)
    }
}

impl<T> fmt::Debug for BackpressureQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("BackpressureQueue");
        debug.field("settings", &self.0.settings).field("counts", &self.counts()).finish()
    }
}
