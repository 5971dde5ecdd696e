//! One call: admission in the caller's own task, leases, the waiting room, deadlines, and what came of it.

mod core;
mod dependency;
mod gate;
mod latency;
mod lease;
#[cfg(all(test, seawall_loom))]
mod loom;
mod pipeline;
pub mod pool;
mod room;
mod signal;
mod snapshot;
mod stats;
pub mod timer;

pub use self::core::{Core, MethodSpec};
pub use dependency::Dependency;
pub use gate::Gate;
pub use latency::{BUCKETS, Latency, bucket};
pub use pipeline::{Call, Rules};
pub use signal::{Signal, Signals};
pub use snapshot::{MethodSnapshot, Snapshot};
