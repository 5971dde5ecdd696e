//! The composition root: the only module that knows everybody.

mod builder;
mod dependency;
mod events;
mod exporting;
mod history;
mod registry;
mod reload;
mod seawall;
mod shutdown;
mod unused;

pub use builder::{Builder, StartError};
pub use dependency::DependencyHandle;
pub use history::FileStore;
pub use reload::{ReloadError, Reloaded};
pub use seawall::{Seawall, SpawnError};
pub use shutdown::{Drained, ShutdownReport};
