//! The settings of limits that several instances of a program keep to together; `distributed` keeps them.

mod config;
mod counts;
mod one;

#[cfg(feature = "redis")]
pub(crate) use config::is_name;
pub use config::{
    MAX_SHARED_FILL, MAX_SHARED_LIMIT, MAX_SHARED_RATE, SharedConfig, SharedConfigBuilder,
};
pub use counts::{SharedCounts, StoreCounts};
pub use one::{Mode, OnFailure, Per, SharedLimit};
