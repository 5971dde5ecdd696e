//! Why Seawall could not be started, and why a dependency could not be spawned.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::actor::SupervisionError;
use crate::constraint::InvalidSettings;
use crate::error::debug_as_display;
use crate::policy::PolicyFileError;

/// Seawall could not be started. Nothing was. Its `Debug` is its message with the causes, so that a `main` that returns it
/// prints what is wrong.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The policy file cannot be read, or something in it is wrong: everything that is, is listed.
    #[error(transparent)]
    Policy(#[from] PolicyFileError),
    /// The metrics address is not an address, or cannot be listened on.
    #[error("cannot serve metrics on `{address}`")]
    Metrics {
        /// The address that was asked for.
        address: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Something that the builder was told is out of range.
    #[error(transparent)]
    Settings(#[from] InvalidSettings),
    /// The directory that what is learned shall be kept in cannot be used, or its thread cannot be had.
    #[error("cannot keep history{}", in_directory(.directory.as_deref()))]
    History {
        /// The directory, if it was one.
        directory: Option<PathBuf>,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Supervision could not be started.
    #[error(transparent)]
    Supervision(#[from] SupervisionError),
}

impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_as_display(self, f)
    }
}

fn in_directory(directory: Option<&Path>) -> String {
    directory.map(|directory| format!(" in `{}`", directory.display())).unwrap_or_default()
}

/// A dependency could not be spawned. Its `Debug` is its message.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// There is a dependency of this name, and somebody still holds a client of it.
    #[error(
        "dependency `{name}` is already spawned; for a second trait on it use `Seawall::client`, for a second client clone the first"
    )]
    AlreadySpawned {
        /// The name.
        name: String,
    },
    /// There is no dependency of this name to make a second client of.
    #[error("dependency `{name}` is not spawned: spawn it before asking for a second client of it")]
    NotSpawned {
        /// The name.
        name: String,
    },
    /// The shared limits that the policy file has for it cannot be set up.
    #[error("dependency `{name}`: {why}")]
    Limits {
        /// The name.
        name: String,
        /// What is wrong with them.
        why: String,
    },
    /// The threads for its blocking methods cannot be started.
    #[error("dependency `{name}` has no threads for its blocking methods: {why}")]
    Threads {
        /// The name.
        name: String,
        /// What the system says.
        why: String,
    },
    /// The name cannot be a dependency's.
    #[error(
        "`{name}` cannot name a dependency: a name has 1 to 128 bytes and no control characters"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// Seawall is shutting down, or has.
    #[error("dependency `{name}` cannot be spawned: seawall is shutting down")]
    ShutDown {
        /// The name.
        name: String,
    },
}

impl fmt::Debug for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_as_display(self, f)
    }
}
