//! What a first program needs: `use seawall::prelude::*;`. Everything else is imported by name, from the crate's root, so that
//! these names collide with nobody's.

pub use crate::error::{CallError, Fault, RejectedBy};
pub use crate::outcome::Class;
pub use crate::policy::Policy;
pub use crate::runtime::Seawall;
#[cfg(feature = "macros")]
pub use seawall_macros::resilient;
