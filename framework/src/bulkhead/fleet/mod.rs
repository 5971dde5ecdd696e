//! One total of permits for several dependencies.

mod config;
mod lend;

pub(crate) use config::Member;
pub use config::{FleetBuilder, FleetConfig};
pub(crate) use lend::{Seat, Step, step};
