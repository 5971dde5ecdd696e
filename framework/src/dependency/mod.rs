//! What all calls of one dependency share: its guards, its waiting room, its counters and its policy.
//!
//! A [`Dependency`] is whole in itself. Calls are admitted on it in their own tasks, and the actor that looks after it
//! can stop or be rebuilt without a call noticing.

mod attendance;
mod by_hand;
mod calls;
mod claim;
mod examples;
mod fleet;
mod full;
mod gate;
mod held_permit;
mod in_line;
mod kept;
mod keyed_calls;
mod keys;
mod late;
mod late_lines;
mod latency;
mod lines;
mod lingering;
#[cfg(all(test, seawall_loom))]
mod loom;
mod member;
mod method;
mod named;
mod observed;
mod orders;
mod pressure;
mod queues;
mod quota;
mod refusals;
mod refused;
mod retried;
mod retry_budget;
mod shared;
mod shared_tokens;
mod signals;
mod snapshot;
mod start_by;
mod stats;
mod table;
mod threads;
mod traits;
mod upstream;
mod waiter;
mod waiting_room;

pub use by_hand::ByHand;
pub use keys::{HeldKey, KeysSnapshot, MAX_KEY_BYTES, MAX_OPEN_KEYS_NAMED, OpenKey};
pub use latency::{BUCKETS, Latency, bucket};
pub use method::MethodSpec;
pub use pressure::PressureChanges;
pub use queues::QueueSnapshot;
pub use shared::Dependency;
pub use snapshot::{MethodSnapshot, Snapshot};
pub use table::MethodTable;
pub use traits::Specs;

pub(crate) use claim::Claim;
pub(crate) use fleet::Fleet;
pub(crate) use gate::Token;
pub(crate) use held_permit::HeldPermit;
pub(crate) use in_line::InLine;
pub(crate) use kept::KeptAnswers;
pub(crate) use method::Method;
pub(crate) use quota::UnusedReservation;
pub(crate) use refusals::Refused;
pub(crate) use shared_tokens::SharedTokens;
pub(crate) use start_by::{StartBy, had_its_chance};
pub(crate) use waiter::{Join, Position, WaitError};
