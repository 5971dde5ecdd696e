//! Circuit breaker: refuses calls to a dependency that keeps failing, and finds out when it has recovered.
//!
//! Closed, calls pass and their outcomes are counted. Open, they are refused. After `open_for` a few
//! probes pass (half-open): enough successes close it, a failure opens it again. M. Nygard,
//! "Release It!" (2007), chapter 5. See the [guide] for every setting and how to choose it.

#[doc = include_str!("guide.md")]
pub mod guide {}

pub mod adaptive;
mod admission;
mod config;
mod elsewhere;
mod half_open;
mod history;
mod keyed;
mod learning;
mod live_probes;
mod open_time;
mod outcomes;
mod probes;
mod ramp;
mod report;
mod shared_counters;
mod state;
mod transitions;
mod window;
mod word;

pub(crate) use admission::Leave;
pub use admission::{Admission, NotAdmitted};
pub use config::{
    Builder, Config, Enforcement, HalfOpenMode, MAX_HALF_OPEN_CALLS, MAX_OPEN_FOR, MAX_OPEN_GROWTH,
    MAX_TIMED_FAILURES, MAX_UNANSWERED, MAX_WINDOW_CALLS, Ramp, Rates, Trip, Window,
};
pub(crate) use keyed::Held;
pub use keyed::{
    Keyed, KeyedAdmission, KeyedBuilder, KeyedConfig, Keys, KeysBuilder, MAX_IDLE_AFTER, MAX_KEYS,
    Moved, Polled,
};
pub use report::{BreakerReport, Mode};
pub use state::CircuitBreaker;

#[cfg(all(test, seawall_loom))]
mod loom;
#[cfg(all(test, not(seawall_loom)))]
mod tests;
