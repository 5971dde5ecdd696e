//! A policy says how one dependency is guarded: how long to wait, how often to try, how many at once, when to give up.
//!
//! [`Policy`] is the checked value; [`PolicyFile`] reads many from TOML and reports every mistake at once, with its line.
//! [Every key](crate::guide::policy_reference) with its default and range is in the guide.

mod assemble;
mod builder;
mod changes;
mod decode;
mod diagnostic;
mod file;
mod keys;
mod limits;
mod mistakes;
mod parts;
#[cfg(test)]
mod reference;
mod schema;
mod settings;
mod source;
mod values;
mod warnings;

pub use builder::Builder;
pub use diagnostic::{Mistake, PolicyFileError};
pub use file::{MAX_FILE_BYTES, PolicyFile};
pub use limits::{LimitsPolicy, StoreAddress};
pub use mistakes::{InvalidPolicy, PolicyMistake};
pub use parts::IntoConfig;
pub(crate) use schema::nearest;
pub use settings::{
    DEFAULT_DEADLINE, DEFAULT_FALLBACK_TIMEOUT, DEFAULT_TIMEOUT, MAX_DURATION, MIN_DURATION,
    MethodPolicy, Policy,
};
pub use warnings::PolicyWarning;

#[cfg(test)]
mod tests;
