//! How a queue is set.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::backpressure::Order;
use crate::time::Time;

use super::outcome::Dropped;
use super::strategy::{Pace, Strategy};

/// What does not change.
#[derive(Clone)]
pub(super) struct Settings<T> {
    pub(super) strategy: Strategy<T>,
    pub(super) order: Order,
    pub(super) max_age: Option<Duration>,
    pub(super) on_drop: Option<Arc<OnDrop<T>>>,
    pub(super) time: Time,
}

type OnDrop<T> = dyn Fn(T, Dropped) + Send + Sync;

impl<T> Settings<T> {
    /// Whether anybody asks when an item is put in.
    pub(super) fn is_put_timed(&self) -> bool {
        self.is_age_asked_for() || matches!(self.strategy, Strategy::Throttle { .. })
    }

    /// Whether anybody asks when an item is taken.
    pub(super) fn is_take_timed(&self) -> bool {
        self.is_age_asked_for() || self.paces_by_consumers()
    }

    pub(super) fn paces_by_consumers(&self) -> bool {
        matches!(self.strategy, Strategy::Throttle { pace: Pace::Consumers, .. })
    }

    /// Whether it matters how long an item has waited.
    #[inline]
    pub(super) fn is_age_asked_for(&self) -> bool {
        self.order.is_timed() || self.max_age.is_some()
    }
}

impl<T> fmt::Debug for Settings<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Settings");
        debug.field("strategy", &self.strategy).field("order", &self.order);
        debug.field("max_age", &self.max_age).finish_non_exhaustive()
    }
}
