//! Every setting of a dependency in one place: as a value, and as a file.

mod assemble;
mod builder;
mod changes;
mod decode;
mod diagnostic;
mod file;
mod keys;
mod mistakes;
mod parts;
#[cfg(test)]
mod reference;
mod schema;
mod settings;
mod source;
mod warnings;

pub use builder::Builder;
pub use diagnostic::{Mistake, PolicyFileError};
pub use file::{MAX_FILE_BYTES, PolicyFile};
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
