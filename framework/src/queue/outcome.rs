//! What a producer is told.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// What became of an item that a producer put, when that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Put<T> {
    /// It is in the queue.
    Accepted,
    /// It is in the queue, and the item that had waited longest was dropped for it (`drop_oldest`).
    Evicted(T),
    /// It is part of an item in the queue (`aggregate`).
    Merged,
    /// It was dropped (`drop_newest`, `sample`), and is given back.
    Dropped(T),
}

impl<T> Put<T> {
    /// Whether the item is in the queue, by itself or as a part of another.
    #[must_use]
    pub const fn is_in(&self) -> bool {
        !matches!(self, Self::Dropped(_))
    }
}

/// Why an item is not in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PutErrorKind {
    /// The queue is full.
    Full,
    /// The producer has waited for as long as its strategy says.
    TimedOut,
    /// It is not the producer's turn yet (`throttle`), and it does not wait.
    TooEarly,
    /// The queue is closed.
    Closed,
}

/// An item is not in the queue, and is given back.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutError<T> {
    /// Why.
    pub kind: PutErrorKind,
    /// The item.
    pub item: T,
    /// When to try again at the earliest, if that is known.
    pub retry_after: Option<Duration>,
}

impl<T> PutError<T> {
    pub(super) fn new(kind: PutErrorKind, item: T) -> Self {
        Self { kind, item, retry_after: None }
    }

    /// The item.
    #[must_use]
    pub fn into_item(self) -> T {
        self.item
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            PutErrorKind::Full => "the queue is full",
            PutErrorKind::TimedOut => "the queue had no room for this item in time",
            PutErrorKind::TooEarly => "it is not this producer's turn yet",
            PutErrorKind::Closed => "the queue is closed",
        })?;
        match self.retry_after {
            Some(after) => write!(f, "; try again in {after:?}"),
            None => Ok(()),
        }
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PutError");
        debug.field("kind", &self.kind).field("retry_after", &self.retry_after);
        debug.finish_non_exhaustive()
    }
}

impl<T> Error for PutError<T> {}

/// Why there is no item now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TryGetError {
    /// Nothing waits.
    #[error("nothing waits in the queue")]
    Empty,
    /// Nothing waits, and nothing will: the queue is closed.
    #[error("the queue is closed and empty")]
    Closed,
}

/// Why an item that had been let in was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dropped {
    /// It had waited too long while the queue was overloaded ([`Order::Codel`](crate::backpressure::Order)).
    Overload,
    /// It was older than `max_age`.
    Expired,
}
