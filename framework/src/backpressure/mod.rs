//! Backpressure: a bounded line for work that cannot start yet, and what happens when it is full.

mod config;
mod queue;
mod strategy;

pub use config::{Builder, Config, MAX_BLOCK_TIMEOUT, MAX_CAPACITY};
pub use queue::{Counts, ItemKey, MAX_BLOCKED, Push, Queue};
pub use strategy::{DEFAULT_BLOCK_TIMEOUT, Strategy};

#[cfg(test)]
mod tests;
