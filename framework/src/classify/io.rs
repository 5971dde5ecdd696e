//! `std::io::Error`.

use std::io::{Error, ErrorKind};

use super::nested::{chain, fault_in, nested};
use crate::outcome::Class;

/// What an I/O result says about the dependency's health: `Ok` is a success, an error is as
/// [`io_error`] has it.
///
/// ```
/// use std::io;
/// use seawall::{Class, classify};
///
/// assert_eq!(classify::io(&Ok(1)), Class::Success);
/// assert_eq!(classify::io::<u8>(&Err(io::ErrorKind::ConnectionRefused.into())), Class::Failure);
/// assert_eq!(classify::io::<u8>(&Err(io::ErrorKind::NotFound.into())), Class::Ignored);
/// ```
#[must_use]
pub fn io<T>(result: &Result<T, Error>) -> Class {
    match result {
        Ok(_) => Class::Success,
        Err(error) => io_error(error),
    }
}

/// What an I/O error says about the dependency's health.
///
/// | kind | says | because |
/// | --- | --- | --- |
/// | `ConnectionRefused`, `ConnectionReset`, `ConnectionAborted`, `NotConnected`, `BrokenPipe` | a failure | nobody is there, or no longer |
/// | `HostUnreachable`, `NetworkUnreachable`, `NetworkDown` | a failure | there is no way to it: it does not matter whose fault that is |
/// | `TimedOut`, `WouldBlock` | a failure | no answer in time; a blocking socket whose time is up says `WouldBlock` on Unix |
/// | `UnexpectedEof`, `WriteZero` | a failure | it was cut off in the middle |
/// | `InvalidData` | a failure | what it answered was garbage; TLS that cannot be agreed upon says so too |
/// | `ResourceBusy`, `StorageFull`, `QuotaExceeded`, `ReadOnlyFilesystem`, `StaleNetworkFileHandle` | a failure | a store that takes no more, or has lost what it had |
/// | `NotFound`, `AlreadyExists`, `PermissionDenied` | nothing | a healthy dependency says no. A Unix socket whose file is gone is `NotFound` as well: see the [module](super) for how to tell |
/// | `InvalidInput`, `InvalidFilename`, `ArgumentListTooLong`, `FileTooLarge`, `Unsupported`, `NotSeekable` | nothing | the request made no sense |
/// | `NotADirectory`, `IsADirectory`, `DirectoryNotEmpty`, `CrossesDevices`, `TooManyLinks`, `ExecutableFileBusy`, `Deadlock` | nothing | likewise, to a file system |
/// | `AddrInUse`, `AddrNotAvailable`, `OutOfMemory` | nothing | this machine has run out of something: the dependency has seen none of it |
/// | `Interrupted` | nothing | a signal came in between |
/// | `Other` | as what it wraps, if that has a kind; else a failure | |
/// | any other | a failure | in doubt; a name that could not be looked up is one of these |
///
/// A [`Fault`](crate::Fault) of another Seawall client inside the error is looked at first, see
/// [`nested`]: a refusal comes as `ResourceBusy`, and would be taken for one of the dependency's own.
#[must_use]
pub fn io_error(error: &Error) -> Class {
    if let Some(fault) = fault_in(error) {
        return nested(fault);
    }
    let mut kinds = chain(error).filter_map(|error| error.downcast_ref().map(Error::kind));
    of_kind(kinds.find(|kind| *kind != ErrorKind::Other).unwrap_or(ErrorKind::Other))
}

fn of_kind(kind: ErrorKind) -> Class {
    match kind {
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::PermissionDenied
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename
        | ErrorKind::ArgumentListTooLong
        | ErrorKind::FileTooLarge
        | ErrorKind::Unsupported
        | ErrorKind::NotSeekable
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::DirectoryNotEmpty
        | ErrorKind::CrossesDevices
        | ErrorKind::TooManyLinks
        | ErrorKind::ExecutableFileBusy
        | ErrorKind::Deadlock
        | ErrorKind::AddrInUse
        | ErrorKind::AddrNotAvailable
        | ErrorKind::OutOfMemory
        | ErrorKind::Interrupted => Class::Ignored,
        // The rest of the table, and whatever std adds to it.
        _ => Class::Failure,
    }
}
