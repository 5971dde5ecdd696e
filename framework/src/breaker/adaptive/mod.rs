//! A threshold that follows what is normal for the hour of the week.
//!
//! A share of failures that is an outage at noon can be everyday at three in the night, when a batch
//! runs. So the breaker learns a baseline and its spread for each of the 168 hours of a week, and opens
//! when a window of time is both far above them (`baseline + spreads × spread`, within `min` and `max`)
//! and too improbable to be chance: the binomial tail of what was seen, a spread above that baseline, is below
//! `alpha`. So three failed calls of a quiet night do not open it, and a busy noon opens it in seconds.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `config.rs` | the settings |
//! | `week.rs` | which hour of the week it is |
//! | `tail.rs` | how improbable a number of failures is |
//! | `baseline.rs` | what was learned, and the threshold that it makes |
//! | `memory.rs` | the same, shared between those who learn and those who look |
//! | `codec.rs`, `store.rs` | the same, kept between runs |

mod baseline;
mod codec;
mod config;
mod memory;
mod store;
mod tail;
mod week;

pub use codec::{FORMAT_VERSION, History, MAX_HISTORY_BYTES, Unreadable};
pub use config::{Builder, Config, MAX_HALF_LIFE, MAX_WINDOW, MIN_HALF_LIFE, MIN_WINDOW};
pub use memory::{PERIOD, Reading};
pub use store::{HistoryStore, Loaded};
pub use tail::binomial_tail;
pub use week::{BadUtcOffset, HOURS, UtcOffset, hour_of_week};

pub(super) use memory::Memory;

#[cfg(all(test, not(seawall_loom)))]
mod tests;
