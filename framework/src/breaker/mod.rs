//! Circuit breaker: refuses calls to a dependency that keeps failing, and finds out when it has recovered.

mod config;

pub use config::{Builder, Config, Trip, Window};
