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

pub use dependency::{Control, ControlError, DependencyActor};
pub use handle::{ActorError, ActorHandle};
pub use job::Job;
pub use restart::{RestartBuilder, RestartPolicy};
pub use supervised::Supervised;
pub use system::{Supervision, SupervisionError};

/// What a user's own actor has to be: an actix actor with a plain context.
pub use actix;

#[cfg(test)]
mod tests;
