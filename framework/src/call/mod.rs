//! One call: admission in the caller's own task, leases, the waiting room, deadlines, and what came of it.

mod core;
mod dependency;
mod gate;
mod keys;
mod latency;
mod lease;
#[cfg(all(test, seawall_loom))]
mod loom;
mod paced;
mod park;
mod pipeline;
pub mod pool;
mod quota;
mod room;
mod signal;
mod snapshot;
mod stats;
pub mod timer;

pub use self::core::{Core, MethodSpec};
pub use dependency::Dependency;
pub use gate::Gate;
pub use keys::{Key, KeysSnapshot, MAX_KEY_BYTES, MAX_OPEN_KEYS_NAMED};
pub use latency::{BUCKETS, Latency, bucket};
pub use paced::Paced;
pub use pipeline::{Call, Rules};
pub use signal::{Signal, Signals};
pub use snapshot::{MethodSnapshot, Snapshot};
