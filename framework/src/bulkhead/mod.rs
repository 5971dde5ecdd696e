//! A bulkhead bounds how many attempts may be with a dependency at once, so that one that is slow cannot take all of your
//! application's connections, memory and tasks.
//!
//! `max_concurrent` permits, or as many as a [`Limit`] finds; a call without one waits for up to `max_wait` in the mailbox ([`backpressure`](crate::backpressure)).

//!
//! # A number that finds itself
//!
//! A number set by hand is right until the dependency changes. In `cargo run --release --example lab -- overload`, a server that
//! does 100 calls a second within a deadline of 100 ms is sent three times as many: with 9 permits it answers 0.95 of what it
//! can, with 20 permits 0.01. With `limit = "adaptive"` and `max_concurrent = 200` it answers all that it can, and nobody has told it anything.
//!
//! ```toml
//! [payments]
//! bulkhead = { max_concurrent = 200, max_wait = "50ms", limit = "adaptive" }
//! ```
//!
//! | `limit` | goes by | begins with | at least |
//! | --- | --- | --- | --- |
//! | `fixed`, the default | nothing | `max_concurrent` | |
//! | `adaptive` | good answers a second and what they take without a queue, with absolute brakes | 5 | 1 |
//! | `gradient2` | latency beside its long average; grows where every attempt ends at the same timeout | 20 | 20 |
//! | `vegas` | the queue that latency tells of | 20 | 1 |
//! | `aimd` | drops | 20 | 20 |
//!
//! `max_concurrent` is the most of all. The number moves at the end of a window of 100 ms to 1 s, or 30 attempts if they are sooner; by
//! a reload it is kept, unless `limit` or `max_concurrent` changes. `seawall_bulkhead_limit` shows it. An attempt's end adds to a few
//! atomics for it, and one a window takes a short lock; with a fixed number there is neither.

mod config;
mod permits;
mod tuning;

pub use config::{Builder, Config, MAX_CONCURRENT};
pub use permits::{Joined, MAX_WAITERS, Permits};
pub use tuning::Limit;
pub(crate) use tuning::{Ended, Tuner};
