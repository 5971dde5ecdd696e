//! Faults of another Seawall client, inside somebody's error.

use std::error::Error;
use std::io;

use crate::error::{CallError, Fault};
use crate::outcome::Class;

/// How deep a chain of sources is followed. Errors are not nested deeper; a chain that bites its own
/// tail has no end.
const MAX_DEPTH: usize = 32;

/// What a fault of a client *underneath* says about the dependency above it, which calls that client.
///
/// | the client underneath | says | because |
/// | --- | --- | --- |
/// | `Rejected` | nothing | its own guard has refused and is dealing with it; a second breaker that counted the refusals of the first would open for calls that do not need it |
/// | `Unavailable` | nothing | it has shut down: nobody was asked |
/// | `TimedOut`, `DeadlineExceeded` | a failure | the caller above has waited for it in vain, like for any other slow answer |
///
/// What says nothing does not fall back either: a fallback for it belongs to the client underneath.
#[must_use]
pub fn nested(fault: &Fault) -> Class {
    match fault {
        Fault::Rejected { .. } | Fault::Unavailable { .. } => Class::Ignored,
        Fault::TimedOut { .. } | Fault::DeadlineExceeded { .. } => Class::Failure,
    }
}

/// The first [`Fault`] among an error and its sources, up to 32 deep.
///
/// It looks into an [`std::io::Error`] as well, whose `source` leaves out the very error that it wraps, and into
/// [`CallError<std::io::Error>`](CallError). Of a `CallError` of another type ask [`CallError::fault`].
///
/// ```
/// use std::io;
/// use seawall::{Fault, classify};
///
/// let fault = Fault::TimedOut { dependency: "bank".into(), after: std::time::Duration::from_secs(1) };
/// let error = io::Error::other(io::Error::from(fault.clone()));
/// assert_eq!(classify::fault_in(&error), Some(&fault));
/// ```
#[must_use]
pub fn fault_in<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Fault> {
    chain(error).find_map(fault_of)
}

/// A [`CallError`] does not have its fault as its source, or a chain of errors would say the same text twice. So it is
/// looked into.
fn fault_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Fault> {
    let wrapped = || error.downcast_ref::<CallError<io::Error>>().and_then(CallError::fault);
    error.downcast_ref::<Fault>().or_else(wrapped)
}

/// An error and its sources, and what every `io::Error` among them wraps.
pub(super) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| inside(error)).take(MAX_DEPTH)
}

fn inside<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}
