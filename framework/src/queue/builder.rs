//! How a queue is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::backpressure::{self, MAX_BLOCK_TIMEOUT, Order};
use crate::constraint::{Constraints, InvalidSettings};
use crate::time::Time;

use super::BackpressureQueue;
use super::outcome::Dropped;
use super::settings::Settings;
use super::strategy::{Pace, Strategy};

/// Builds a [`BackpressureQueue`], checking every setting.
#[must_use]
pub struct Builder<T> {
    pub(super) capacity: u32,
    pub(super) settings: Settings<T>,
}

impl<T> Builder<T> {
    pub(super) fn new() -> Self {
        let settings = Settings {
            strategy: Strategy::default(),
            order: Order::default(),
            max_age: None,
            on_drop: None,
            time: Time::usual(),
        };
        Self { capacity: backpressure::Config::default().capacity(), settings }
    }

    /// How many items may wait; 1 to 1,000,000, default 100.
    pub fn capacity(mut self, items: u32) -> Self {
        self.capacity = items;
        self
    }

    /// What happens to a newcomer when the queue is full. Default: its producer waits for up to 30 s.
    pub fn strategy(mut self, strategy: Strategy<T>) -> Self {
        self.settings.strategy = strategy;
        self
    }

    /// Which item leaves next. Default: the oldest.
    pub fn order(mut self, order: Order) -> Self {
        self.settings.order = order;
        self
    }

    /// Drops, instead of handing it to a consumer, an item that has waited for longer than this. Default: none.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.settings.max_age = Some(age);
        self
    }

    /// Is given every item that had been let in and is dropped after all because it is late, and why. It is called without
    /// a lock, in the task of the consumer that found it. A panic in it is caught.
    pub fn on_drop(mut self, tell: impl Fn(T, Dropped) + Send + Sync + 'static) -> Self {
        self.settings.on_drop = Some(Arc::new(tell));
        self
    }

    /// The source of time. Default [`Time::system`], or a runtime's clock that a test has paused.
    pub fn time(mut self, time: impl Into<Time>) -> Self {
        self.settings.time = time.into();
        self
    }

    /// The queue.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn build(self) -> Result<BackpressureQueue<T>, InvalidSettings> {
        let mut check = Constraints::default();
        let strategy = &self.settings.strategy;
        let line =
            backpressure::Config::builder().capacity(self.capacity).on_full(strategy.of_line());
        let line = check.note(line.build());
        if let Strategy::Sample { every, above } = *strategy {
            check.require(every >= 2, "strategy.sample.every", every, "2 or more");
            let in_range = (0.0..=1.0).contains(&above);
            check.require(in_range, "strategy.sample.above", above, "from 0 to 1");
        }
        if let Strategy::Throttle { pace: Pace::PerSecond(rate), .. } = *strategy {
            let in_range = (0.001..=1e9).contains(&rate);
            check.require(in_range, "strategy.throttle.rate", rate, "from 0.001 to 1e9 a second");
        }
        if let Order::Lifo { target, interval } | Order::Codel { target, interval } =
            self.settings.order
        {
            let positive = !target.is_zero() && !interval.is_zero();
            check.require(
                positive,
                "order",
                "a time of zero",
                "a target and an interval above zero",
            );
        }
        if let Some(age) = self.settings.max_age {
            let in_range = !age.is_zero() && age <= MAX_BLOCK_TIMEOUT;
            check.require(in_range, "max_age", age, "above zero, up to 30days");
        }
        let line = line.unwrap_or_default();
        check.finish(BackpressureQueue::from_parts(&line, self.settings))
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Builder");
        debug.field("capacity", &self.capacity).field("settings", &self.settings).finish()
    }
}
