//! A bulkhead bounds how many attempts may be with a dependency at once, so that one that is slow cannot take all of your
//! application's connections, memory and tasks.
//!
//! `max_concurrent` permits, or as many as a [`Limit`] finds; a call without one waits for up to `max_wait` in the mailbox
//! ([`backpressure`](crate::backpressure)). The [guide] says how to choose. An attempt's end adds to a few atomics for a number that finds
//! itself, and one a window takes a short lock; with a fixed number there is neither.

#[doc = include_str!("guide.md")]
pub mod guide {}

mod config;
mod fleet;
mod permits;
mod tuning;

pub use config::{Builder, Config, MAX_CONCURRENT, MAX_THREADS};
pub use fleet::{FleetBuilder, FleetConfig};
pub(crate) use fleet::{Member, Seat, Step, step};
pub use permits::{Joined, MAX_WAITERS, MAX_WEIGHT, Permits};
pub(crate) use permits::{Seen, Taken};
pub use tuning::Limit;
pub(crate) use tuning::{Ended, Tuner};
