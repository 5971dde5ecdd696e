//! Backpressure holds short bursts, and tells callers in time when there is more than can be served.
//!
//! The mailbox of a dependency is a bounded line of calls that wait for a permit. When it is full, `on_full` decides: the
//! newcomer waits (`block`), is refused (`error`, `drop_newest`), or takes the place of the call that has waited longest (`drop_oldest`).
//! [`Queue`] is the same line for work of your own, without waiting or lock; a queue that is shared and waited for is
//! [`BackpressureQueue`](crate::queue::BackpressureQueue).
//!
//! The [guide] says which strategy is for what, and how priorities work.

#[doc = include_str!("guide.md")]
pub mod guide {}

mod config;
mod dimmer;
mod oneway;
mod order;
mod priority;
mod push;
mod queue;
mod strategy;

pub use config::{Builder, Config, MAX_BLOCK_TIMEOUT, MAX_CAPACITY};
pub(crate) use dimmer::{Dimmer, Load};
pub use oneway::{OneWayBuilder, OneWayConfig, OneWayStrategy};
pub use order::{MailboxOrder, Order};
pub(crate) use order::{Next, Standing};
pub(crate) use priority::Rank;
pub use priority::{Importance, InvalidPriority, Priority};
pub use push::{Counts, ItemKey, MAX_BLOCKED, Push};
pub use queue::Queue;
pub use strategy::{DEFAULT_BLOCK_TIMEOUT, Strategy};

#[cfg(test)]
mod tests;
