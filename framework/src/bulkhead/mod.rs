//! Bulkhead: bounds how many calls may be with a dependency at once.

mod config;
mod permits;

pub use config::{Builder, Config};
pub use permits::{Joined, MAX_WAITERS, Permits};
