//! A bulkhead bounds how many attempts may be with a dependency at once, so that one that is slow cannot take all of your
//! application's connections, memory and tasks.
//!
//! `max_concurrent` permits; a call without one waits for up to `max_wait` in the mailbox ([`backpressure`](crate::backpressure)).

mod config;
mod permits;

pub use config::{Builder, Config, MAX_CONCURRENT};
pub use permits::{Joined, MAX_WAITERS, Permits};
