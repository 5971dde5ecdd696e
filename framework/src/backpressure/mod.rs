//! Backpressure holds short bursts, and tells callers in time when there is more than can be served.
//!
//! The mailbox of a dependency is a bounded line of calls that wait for a permit. When it is full, `on_full` decides: the
//! newcomer waits (`block`), is refused (`error`, `drop_newest`), or takes the place of the call that has waited longest (`drop_oldest`).
//! [`Queue`] is the same line for work of your own.

mod config;
mod queue;
mod strategy;

pub use config::{Builder, Config, MAX_BLOCK_TIMEOUT, MAX_CAPACITY};
pub use queue::{Counts, ItemKey, MAX_BLOCKED, Push, Queue};
pub use strategy::{DEFAULT_BLOCK_TIMEOUT, Strategy};

#[cfg(test)]
mod tests;
