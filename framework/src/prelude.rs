//! What most programs need: `use seawall::prelude::*;`

pub use crate::dependency::{MethodSnapshot, Snapshot};
pub use crate::error::{CallError, Fault, RejectedBy};
pub use crate::event::{Command, Event, Observer, State, Transition};
pub use crate::outcome::{CallOutcome, Class, Outcome};
pub use crate::policy::Policy;
pub use crate::runtime::{DependencyHandle, Seawall, ShutdownReport, SpawnError, StartError};
pub use crate::time::Time;
#[cfg(feature = "macros")]
pub use seawall_macros::resilient;
