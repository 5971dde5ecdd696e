//! What most programs need: `use seawall::prelude::*;`

pub use crate::call::timer::Time;
pub use crate::call::{MethodSnapshot, Snapshot};
pub use crate::error::{CallError, Fault, RejectedBy};
pub use crate::event::{Event, Observer, Order, State, Transition};
pub use crate::outcome::{CallOutcome, Class, Outcome};
pub use crate::policy::Policy;
pub use crate::runtime::{DependencyHandle, Seawall, ShutdownReport, SpawnError, StartError};
#[cfg(feature = "macros")]
pub use seawall_macros::resilient;
