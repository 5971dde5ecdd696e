//! Bulkhead: bounds how many calls may be with a dependency at once.

mod config;

pub use config::{Builder, Config};
