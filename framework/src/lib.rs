//! Seawall keeps an application standing when the services it depends on are slow, broken or flooded.
//!
//! Each downstream dependency gets one supervising actor that owns its circuit breaker, its bulkhead
//! and its mailbox. [`macro@resilient`] turns a trait into a client whose every call goes through them.

// So that generated code, which says `seawall::`, works in this crate's own docs and tests.
extern crate self as seawall;

// Row 0, ground: no tokio, no actix, no I/O.
pub mod classify;
pub mod clock;
pub mod constraint;
pub mod entropy;
pub mod error;
pub mod event;
pub mod outcome;
mod swappable;
mod sync;

// Row 1, policies: plain values that take `now`; they never wait.
pub mod backpressure;
pub mod breaker;
pub mod bulkhead;
pub mod limit;
pub mod retry;

// Row 2: every setting above in one place; the present moment and sleeps.
pub mod policy;
pub mod time;

// Row 3: what all calls of a dependency share; threads for blocking calls; limits that can be waited for.
pub mod blocking;
pub mod dependency;
pub mod paced;

// Row 4: one call.
pub mod call;

// Row 5: supervision.
pub mod actor;

// Row 7: edges.
pub mod client;
#[cfg(feature = "tower")]
pub mod layer;
pub mod telemetry;

// Row 8: the composition root.
pub mod runtime;

pub mod prelude;

pub use dependency::{MethodSnapshot, Snapshot};
pub use error::{CallError, Fault, RejectedBy};
pub use event::{Command, Event, Observer, State, Transition};
pub use outcome::{CallOutcome, Class, Outcome};
pub use policy::Policy;
pub use runtime::{DependencyHandle, Seawall, ShutdownReport, SpawnError, StartError};
#[cfg(feature = "macros")]
pub use seawall_macros::resilient;
pub use time::{ManualTime, Time};

/// The README's example, compiled and run.
#[cfg(all(doctest, feature = "macros"))]
#[doc = include_str!("../../README.md")]
struct Readme;
