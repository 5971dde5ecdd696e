//! A queue of whatever items, as metrics see it.

use crate::backpressure::Counts;

use super::BackpressureQueue;

/// What metrics read of a queue: see `Seawall::watch_queue`. A [`BackpressureQueue`] is one, whatever is in it.
pub trait Counted: Send + Sync {
    /// What it has seen, and how many are in it.
    fn counts(&self) -> Counts;
    /// How full it is, 0 to 1.
    fn fill_ratio(&self) -> f64;
}

impl<T: Send> Counted for BackpressureQueue<T> {
    fn counts(&self) -> Counts {
        Self::counts(self)
    }

    fn fill_ratio(&self) -> f64 {
        Self::fill_ratio(self)
    }
}
