//! A bounded line's settings.

use std::time::Duration;

use serde::Serialize;

use super::order::MailboxOrder;
use super::strategy::Strategy;
use crate::constraint::{Constraints, InvalidSettings};

/// The longest line that can be asked for.
pub const MAX_CAPACITY: u32 = 1_000_000;
/// The longest that [`Strategy::Block`] may let a newcomer wait for room: 30 days.
pub const MAX_BLOCK_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A bounded line's settings, checked. Built by [`Config::builder`]; the default is 100 places and,
/// when they are taken, 30 s of blocking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Config {
    capacity: u32,
    on_full: Strategy,
    priorities: bool,
    order: MailboxOrder,
}

impl Config {
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder(Self::default())
    }
    /// By priority, and told at once.
    pub(crate) fn for_server() -> Self {
        Self { on_full: Strategy::Error, priorities: true, ..Self::default() }
    }
    /// How many entries may wait. Default 100.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }
    /// What happens to a newcomer when the line is full. Default: it blocks for up to 30 s.
    #[must_use]
    pub fn on_full(&self) -> Strategy {
        self.on_full
    }
    /// Which call is served next. Default: the oldest.
    #[must_use]
    pub fn order(&self) -> MailboxOrder {
        self.order
    }
    /// Whether it goes by the priority of calls. Default: no.
    #[must_use]
    pub fn priorities(&self) -> bool {
        self.priorities
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            capacity: 100,
            on_full: Strategy::default(),
            priorities: false,
            order: MailboxOrder::default(),
        }
    }
}

/// Builds a [`Config`], checking every setting.
#[derive(Clone, Debug)]
pub struct Builder(Config);

impl Default for Builder {
    fn default() -> Self {
        Config::builder()
    }
}

impl Builder {
    /// How many entries may wait; 1 to 1,000,000.
    #[must_use]
    pub fn capacity(mut self, entries: u32) -> Self {
        self.0.capacity = entries;
        self
    }
    /// What happens to a newcomer when the line is full.
    #[must_use]
    pub fn on_full(mut self, strategy: Strategy) -> Self {
        self.0.on_full = strategy;
        self
    }
    /// Which call is served next.
    #[must_use]
    pub fn order(mut self, order: MailboxOrder) -> Self {
        self.0.order = order;
        self
    }
    /// Whether it goes by the [priority](super::Priority) of calls: each class has places of its own, `capacity` of them; the most
    /// important class is served first, but for every tenth permit; and the least important share of calls is
    /// shed while there are more than permits.
    #[must_use]
    pub fn priorities(mut self, go_by_them: bool) -> Self {
        self.0.priorities = go_by_them;
        self
    }
    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range.
    pub fn build(self) -> Result<Config, InvalidSettings> {
        let mut check = Constraints::default();
        check.require(
            (1..=MAX_CAPACITY).contains(&self.0.capacity),
            "capacity",
            self.0.capacity,
            format!("from 1 to {MAX_CAPACITY}"),
        );
        if let Strategy::Block { timeout } = self.0.on_full {
            check.require(
                timeout >= Duration::from_millis(1) && timeout <= MAX_BLOCK_TIMEOUT,
                "on_full.block.timeout",
                timeout,
                "from 1ms to 30days (to wait for no time at all, use \"error\")",
            );
        }
        check.finish(self.0)
    }
}
