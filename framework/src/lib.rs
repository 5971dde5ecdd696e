//! Seawall keeps an application standing when the services it depends on are slow, broken or flooded.
//!
//! Each downstream dependency gets one supervising actor that owns its circuit breaker, its bulkhead
//! and its mailbox. [`macro@resilient`] turns a trait into a client whose every call goes through them.

// So that generated code, which says `seawall::`, works in this crate's own docs and tests.
extern crate self as seawall;

// Row 0, ground: no tokio, no actix, no I/O.
pub mod classify;
pub mod clock;
pub mod entropy;
pub mod error;
pub mod event;
mod live;
pub mod outcome;
pub mod setting;
mod sync;

// Row 1, policies: plain values that take `now`; they never wait.
pub mod backpressure;
pub mod breaker;
pub mod bulkhead;
pub mod limit;
pub mod retry;

// Row 2: every setting above in one place.
pub mod policy;

// Row 3: one call.
pub mod call;

// Row 4: supervision.
pub mod actor;

// Row 6: edges.
pub mod client;
#[cfg(feature = "tower")]
pub mod layer;
pub mod telemetry;

// Row 7: the composition root.
pub mod runtime;

pub mod prelude;

pub use call::timer::{ManualTime, Time};
pub use call::{MethodSnapshot, Snapshot};
pub use error::{CallError, Fault, RejectedBy};
pub use event::{Event, Observer, Order, State, Transition};
pub use outcome::{CallOutcome, Class, Outcome};
pub use policy::Policy;
pub use runtime::{DependencyHandle, Seawall, ShutdownReport, SpawnError, StartError};
#[cfg(feature = "macros")]
pub use seawall_macros::resilient;

/// The README's example, compiled and run.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../../README.md")]
struct Readme;
