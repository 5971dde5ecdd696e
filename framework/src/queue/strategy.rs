//! What happens to a newcomer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::backpressure::{self, DEFAULT_BLOCK_TIMEOUT};

/// What happens to a newcomer when a [`BackpressureQueue`](super::BackpressureQueue) is full, or about to be.
#[derive(Clone)]
#[non_exhaustive]
pub enum Strategy<T> {
    /// Its producer waits for room, first come, first served: for what must not be lost.
    Block {
        /// For how long; 1 ms to 30 days, default 30 s.
        timeout: Duration,
    },
    /// The oldest item that waits is dropped, and the newcomer gets in: for what goes stale.
    DropOldest,
    /// The newcomer is dropped, which is no error: for what may be lost.
    DropNewest,
    /// The newcomer is refused, with an error.
    Error,
    /// From a mark on, only one newcomer in `every` gets in, and none once the queue is full; the others are dropped, which is
    /// no error: for telemetry.
    Sample {
        /// One in how many; from 2 on.
        every: u32,
        /// How full the queue must be, 0 to 1. From 0 on, sampling is always on.
        above: f64,
    },
    /// The newcomer is made part of the newest item that waits. See [`Strategy::aggregate`].
    Aggregate(Merge<T>),
    /// Producers wait so long before each item that no more come than `pace` says, however empty the queue is; if
    /// it is full all the same, they wait for room.
    Throttle {
        /// How fast producers may be.
        pace: Pace,
        /// How long a producer waits for its turn and for room together; 1 ms to 30 days.
        timeout: Duration,
    },
}

/// Makes a newcomer part of an item that waits, or gives it back.
pub type Merge<T> = Arc<dyn Fn(&mut T, T) -> Result<(), T> + Send + Sync>;

/// How fast producers may be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Pace {
    /// So many items a second, evenly.
    PerSecond(f64),
    /// As fast as they like while the queue is less than half full; from there on as fast as consumers are, by the mean time
    /// between the last items that were taken while others waited.
    Consumers,
}

impl<T> Strategy<T> {
    /// Waits for room for 30 s.
    #[must_use]
    pub fn block() -> Self {
        Self::Block { timeout: DEFAULT_BLOCK_TIMEOUT }
    }

    /// When the queue is full, `merge` makes the newcomer part of the newest item that waits. If it gives the newcomer
    /// back, because the two do not fit together, that is refused as by [`Strategy::Error`].
    ///
    /// It is called with the queue locked: it should be short, and must not use the queue, which would wait for itself. When it
    /// panics, so does the producer; the newcomer counts as merged, and the item is as `merge` left it.
    #[must_use]
    pub fn aggregate(merge: impl Fn(&mut T, T) -> Result<(), T> + Send + Sync + 'static) -> Self {
        Self::Aggregate(Arc::new(merge))
    }

    /// Producers are paced, and wait for 30 s at most.
    #[must_use]
    pub fn throttle(pace: Pace) -> Self {
        Self::Throttle { pace, timeout: DEFAULT_BLOCK_TIMEOUT }
    }

    /// The name that metrics use.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Block { .. } => "block",
            Self::DropOldest => "drop_oldest",
            Self::DropNewest => "drop_newest",
            Self::Error => "error",
            Self::Sample { .. } => "sample",
            Self::Aggregate(_) => "aggregate",
            Self::Throttle { .. } => "throttle",
        }
    }

    /// How long a producer may wait; `None`: it never does.
    #[must_use]
    pub const fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Block { timeout } | Self::Throttle { timeout, .. } => Some(*timeout),
            _ => None,
        }
    }

    /// What the line itself does when it is full.
    pub(super) fn of_line(&self) -> backpressure::Strategy {
        match *self {
            Self::Block { timeout } | Self::Throttle { timeout, .. } => {
                backpressure::Strategy::Block { timeout }
            }
            Self::DropOldest => backpressure::Strategy::DropOldest,
            Self::DropNewest | Self::Sample { .. } => backpressure::Strategy::DropNewest,
            Self::Error | Self::Aggregate(_) => backpressure::Strategy::Error,
        }
    }
}

impl<T> Default for Strategy<T> {
    /// Blocks for 30 s.
    fn default() -> Self {
        Self::block()
    }
}

impl<T> fmt::Debug for Strategy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<T> fmt::Display for Strategy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
