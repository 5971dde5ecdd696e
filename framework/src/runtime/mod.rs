//! The composition root: the only module that knows everybody.

mod builder;
mod calls;
mod dependency;
mod drained;
mod error;
mod events;
mod exporting;
mod history;
#[cfg(feature = "tower")]
mod layer;
mod limits;
mod registry;
mod reload;
mod seawall;
mod sets;
mod sharing;
mod shutdown;
mod store;
mod threads;
mod unused;
mod warnings;
mod watching;

pub use builder::Builder;
pub use calls::{Calls, OTHER};
pub use dependency::DependencyHandle;
pub use drained::{Drained, ShutdownReport};
pub use error::{SpawnError, StartError};
pub use history::FileStore;
#[cfg(feature = "tower")]
pub use layer::LayerBuilder;
pub use limits::LimitsError;
pub use reload::{ReloadError, Reloaded};
pub use seawall::Seawall;
pub use sharing::Sharing;
