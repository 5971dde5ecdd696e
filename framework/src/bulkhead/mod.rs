//! Bulkhead: bounds how many calls may be with a dependency at once.

mod config;
mod permits;

pub use config::{Builder, Config, MAX_CONCURRENT};
pub use permits::{Joined, MAX_WAITERS, Permits};
