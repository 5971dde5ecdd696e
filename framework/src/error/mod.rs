//! What Seawall itself answers, and how it reaches the user's error type.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

mod name;

pub use name::DependencyName;

/// An answer from Seawall in the dependency's place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A guard refused the call; the dependency never saw it.
    #[error("{dependency}: rejected by {by}{}", Hint(*retry_after))]
    Rejected {
        /// Which dependency the call was for.
        dependency: DependencyName,
        /// Which guard refused.
        by: RejectedBy,
        /// When it is worth coming back, where that is known.
        retry_after: Option<Duration>,
        /// Of a call whose retry was refused: how the attempt before that had ended.
        #[source]
        earlier: Option<EarlierError>,
    },
    /// The last attempt ran into its timeout.
    #[error("{dependency}: no answer within {after:?}")]
    TimedOut {
        /// Which dependency the call was for.
        dependency: DependencyName,
        /// The attempt's timeout.
        after: Duration,
    },
    /// The deadline of the whole call passed.
    #[error("{dependency}: deadline of {after:?} passed")]
    DeadlineExceeded {
        /// Which dependency the call was for.
        dependency: DependencyName,
        /// The call's deadline, counted from its start.
        after: Duration,
    },
    /// The dependency cannot be called at all.
    #[error("{dependency}: unavailable: {cause}{}", Hint(*retry_after))]
    Unavailable {
        /// Which dependency the call was for.
        dependency: DependencyName,
        /// Why.
        cause: UnavailableCause,
        /// When it is worth coming back, where that is known.
        retry_after: Option<Duration>,
    },
}

impl Fault {
    /// When it is worth coming back, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected { retry_after, .. } | Self::Unavailable { retry_after, .. } => {
                *retry_after
            }
            Self::TimedOut { .. } | Self::DeadlineExceeded { .. } => None,
        }
    }

    /// Which dependency the call was for.
    #[must_use]
    pub fn dependency(&self) -> &str {
        match self {
            Self::Rejected { dependency, .. }
            | Self::TimedOut { dependency, .. }
            | Self::DeadlineExceeded { dependency, .. }
            | Self::Unavailable { dependency, .. } => dependency,
        }
    }
}

/// The error of an attempt that was followed by a retry. Its text, its source and its `Debug` are those of that error.
///
/// Two are equal if they are clones of one.
#[derive(Clone)]
pub struct EarlierError(
    // One word, because faults are moved about.
    Arc<Box<dyn std::error::Error + Send + Sync>>,
);

impl EarlierError {
    /// Keeps an error.
    pub(crate) fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(Arc::new(error.into()))
    }

    /// The error itself, to be downcast.
    #[must_use]
    pub fn get(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        &**self.0
    }
}

impl PartialEq for EarlierError {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for EarlierError {}

impl fmt::Debug for EarlierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for EarlierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for EarlierError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// The `Debug` of errors that `main` returns: `fn main() -> Result<(), StartError>` prints that, and its reader wants the
/// message and its causes, and not the fields of a struct.
pub(crate) fn debug_as_display(
    error: &dyn std::error::Error,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(f, "{error}")?;
    // A chain that bites its own tail has no end.
    let causes = std::iter::successors(error.source(), |cause| cause.source()).take(32);
    causes.into_iter().try_for_each(|cause| write!(f, ": {cause}"))
}

struct Hint(Option<Duration>);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // Whole milliseconds, rounded up: an earlier return would be refused again.
            Some(after) => write!(f, ", retry after {} ms", after.as_nanos().div_ceil(1_000_000)),
            None => Ok(()),
        }
    }
}

/// The guard that refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RejectedBy {
    /// The circuit breaker is open, or half-open with all its probes out.
    Breaker,
    /// The rate limiter had no token.
    RateLimit,
    /// No permit came free within `max_wait` (`BulkheadFull`).
    Bulkhead,
    /// The mailbox was full (strategy `error`, or `block` whose wait ran out).
    QueueFull,
    /// The mailbox was full and its strategy dropped this call (`drop_oldest`, `drop_newest`).
    Dropped,
    /// The dependency accepts so few that more are not sent (the retry budget's mode `accept_ratio`).
    Throttle,
    /// There are more calls than permits, and this one is among the least important (`mailbox.priorities`).
    Shed,
}

impl RejectedBy {
    /// Every guard, in the order of [`RejectedBy::index`].
    pub const ALL: &[Self] = &Self::EVERY;
    pub(crate) const EVERY: [Self; 7] = [
        Self::Breaker,
        Self::RateLimit,
        Self::Bulkhead,
        Self::QueueFull,
        Self::Dropped,
        Self::Throttle,
        Self::Shed,
    ];

    /// The label value that metrics use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::RateLimit => "rate_limit",
            Self::Bulkhead => "bulkhead",
            Self::QueueFull => "queue_full",
            Self::Dropped => "dropped",
            Self::Throttle => "throttle",
            Self::Shed => "shed",
        }
    }

    /// Position in [`RejectedBy::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for RejectedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Breaker => "the circuit breaker (open)",
            Self::RateLimit => "the rate limiter",
            Self::Bulkhead => "the bulkhead (no permit within max_wait)",
            Self::QueueFull => "the mailbox (full)",
            Self::Dropped => "the mailbox (dropped under load)",
            Self::Throttle => "the throttle (too few are accepted)",
            Self::Shed => "the mailbox (shed by priority)",
        })
    }
}

/// Why a dependency cannot be called at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnavailableCause {
    /// Seawall is shutting down, or has.
    ShutDown,
}

impl fmt::Display for UnavailableCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ShutDown => "seawall is shutting down",
        })
    }
}

/// A call's error: Seawall's own answer, or the dependency's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError<E> {
    /// Seawall answered in the dependency's place.
    Fault(Fault),
    /// The dependency's own error.
    Inner(E),
}

impl<E> CallError<E> {
    /// The fault, if it is one.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Fault(fault) => Some(fault),
            Self::Inner(_) => None,
        }
    }

    /// The dependency's own error, if it is one.
    #[must_use]
    pub fn inner(&self) -> Option<&E> {
        match self {
            Self::Fault(_) => None,
            Self::Inner(error) => Some(error),
        }
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for CallError<E> {
    /// What lies below: of a fault, the error of the attempt before a refused retry; of the dependency's own error, its source.
    /// Not that error itself, whose text this one has already, so that a chain of errors says each text once.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Fault(fault) => std::error::Error::source(fault),
            Self::Inner(error) => error.source(),
        }
    }
}

impl<E> From<Fault> for CallError<E> {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Fault> for std::io::Error {
    /// Timeouts and deadlines become `TimedOut`; refusals become `ResourceBusy`; the fault is the source.
    fn from(fault: Fault) -> Self {
        let kind = match fault {
            Fault::TimedOut { .. } | Fault::DeadlineExceeded { .. } => std::io::ErrorKind::TimedOut,
            Fault::Rejected { .. } => std::io::ErrorKind::ResourceBusy,
            Fault::Unavailable { .. } => std::io::ErrorKind::NotConnected,
        };
        Self::new(kind, fault)
    }
}

/// A return type that can carry an error. Implemented for `Result`; reached through whatever alias
/// the user wrote, so `io::Result<T>` works.
#[diagnostic::on_unimplemented(
    message = "a resilient method must return a `Result`, not `{Self}`",
    label = "a refused or timed-out call has no way to tell its caller",
    note = "say what it answers then: `#[call(on_fault = path)]`, with `fn path(fault: Fault) -> {Self}`",
    note = "or leave it unguarded: `#[call(skip)]`; or return `Result<{Self}, YourError>`"
)]
pub trait Fallible: sealed::Sealed + Sized {
    /// What a good answer holds.
    type Ok;
    /// What a bad answer holds.
    type Err;
    /// As the `Result` it is.
    fn into_result(self) -> Result<Self::Ok, Self::Err>;
    /// As the `Result` it is, borrowed.
    fn as_result(&self) -> Result<&Self::Ok, &Self::Err>;
    /// Back from a `Result`.
    fn from_result(result: Result<Self::Ok, Self::Err>) -> Self;
}

/// Only `Result`s are: a guard's refusal has to be told as an error.
mod sealed {
    pub trait Sealed {}
    impl<T, E> Sealed for Result<T, E> {}
}

impl<T, E> Fallible for Result<T, E> {
    type Ok = T;
    type Err = E;
    fn into_result(self) -> Self {
        self
    }
    fn as_result(&self) -> Result<&T, &E> {
        self.as_ref()
    }
    fn from_result(result: Self) -> Self {
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot pay")]
    struct Outer(#[source] std::io::Error);

    /// As `anyhow`'s `{:#}` prints it.
    fn chain(error: &dyn Error) -> String {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text += &format!(": {error}");
            source = error.source();
        }
        text
    }

    #[test]
    fn a_chain_of_errors_says_each_text_once() {
        let inner = CallError::Inner(Outer(std::io::Error::other("no route")));
        assert_eq!(chain(&inner), "cannot pay: no route");
        let refused = Fault::Rejected {
            dependency: "bank".into(),
            by: RejectedBy::Breaker,
            retry_after: None,
            earlier: Some(EarlierError::new(Outer(std::io::Error::other("no route")))),
        };
        let text = "bank: rejected by the circuit breaker (open): cannot pay: no route";
        assert_eq!(chain(&CallError::<Outer>::Fault(refused.clone())), text);
        assert_eq!(chain(&std::io::Error::from(refused)), text);
        let fault = Fault::TimedOut { dependency: "bank".into(), after: Duration::from_secs(1) };
        let text = "bank: no answer within 1s";
        assert_eq!(chain(&CallError::<Outer>::Fault(fault.clone())), text);
        assert_eq!(chain(&std::io::Error::from(fault)), text);
    }
}
