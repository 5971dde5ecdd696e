//! What a pool answers when it does not answer with a result.

use std::io;

use crate::constraint::InvalidSettings;
use crate::error::{DependencyName, Fault, RejectedBy, UnavailableCause};

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// All threads are busy, and the queue is full or the wait took longer than `max_wait`. The work has
    /// not run.
    #[error("{dependency}: bulkhead full ({threads} threads busy)")]
    BulkheadFull {
        /// Which dependency the pool is for.
        dependency: DependencyName,
        /// How many threads it has.
        threads: u32,
    },
    /// The work panicked. It may have done a part of what it was to do.
    #[error("{dependency}: blocking work panicked{}", Colon(message.as_deref()))]
    Panicked {
        /// Which dependency the pool is for.
        dependency: DependencyName,
        /// What it panicked with, if that was text.
        message: Option<String>,
    },
    /// The pool is shutting down, or has. The work has not run.
    #[error("{dependency}: the blocking pool is shut down")]
    ShutDown {
        /// Which dependency the pool is for.
        dependency: DependencyName,
    },
}

impl PoolError {
    /// The same as a [`Fault`], for a service whose own error is made from one: a full bulkhead is a
    /// rejection by [`RejectedBy::Bulkhead`], a shut-down pool is unavailable. `None` for a panic, which
    /// is the work's doing and not Seawall's.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::BulkheadFull { dependency, .. } => Some(Fault::Rejected {
                earlier: None,
                dependency: dependency.clone(),
                by: RejectedBy::Bulkhead,
                retry_after: None,
            }),
            Self::ShutDown { dependency } => Some(Fault::Unavailable {
                dependency: dependency.clone(),
                cause: UnavailableCause::ShutDown,
                retry_after: None,
            }),
            Self::Panicked { .. } => None,
        }
    }
}

struct Colon<'a>(Option<&'a str>);

impl std::fmt::Display for Colon<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |message| write!(f, ": {message}"))
    }
}

/// Why a pool was not built. No thread of it is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolBuildError {
    /// Settings that cannot be, all of them.
    #[error("{dependency}: {source}")]
    Invalid {
        /// Which dependency the pool is for.
        dependency: String,
        /// What is wrong.
        source: InvalidSettings,
    },
    /// The system did not start a thread.
    #[error("{dependency}: cannot start thread {started} of {wanted}: {source}", started = started + 1)]
    Thread {
        /// Which dependency the pool is for.
        dependency: String,
        /// How many had been started; they end by themselves.
        started: u32,
        /// How many were wanted.
        wanted: u32,
        /// What the system said.
        source: io::Error,
    },
}
