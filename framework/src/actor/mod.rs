//! Supervision: one thread, one root, one actor per dependency. The only module that names actix.
//!
//! Nothing here stands in the way of a call. An actor that is late, stalled or dead costs tuning,
//! never safety: what it looks after is whole without it.

mod dependency;
mod handle;
mod job;
mod restart;
mod root;
mod supervise;
mod supervised;
mod system;

pub(crate) use dependency::DependencyActor;
pub use dependency::{Control, ControlError};
pub use handle::{ActorError, ActorHandle};
pub(crate) use job::Job;
pub use restart::{RestartBuilder, RestartPolicy};
pub(crate) use supervised::Supervised;
pub(crate) use system::Supervision;
pub use system::SupervisionError;

/// What a user's own actor has to be: an actix actor with a plain context.
pub use actix;

#[cfg(test)]
mod tests;
