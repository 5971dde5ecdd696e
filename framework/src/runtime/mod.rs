//! The composition root: the only module that knows everybody.

mod builder;
mod dependency;
mod exporting;
mod registry;
mod seawall;
mod shutdown;

pub use builder::{Builder, StartError};
pub use dependency::DependencyHandle;
pub use seawall::{Seawall, SpawnError};
pub use shutdown::{Drained, ShutdownReport};
