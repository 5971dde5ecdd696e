use std::error::Error as _;
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use crate::classify::{fault_in, io_error};
use crate::error::{CallError, Fault, RejectedBy, UnavailableCause};
use crate::outcome::Class;

/// What the table says, written out once more.
const IGNORED: [ErrorKind; 20] = [
    ErrorKind::NotFound,
    ErrorKind::AlreadyExists,
    ErrorKind::PermissionDenied,
    ErrorKind::InvalidInput,
    ErrorKind::InvalidFilename,
    ErrorKind::ArgumentListTooLong,
    ErrorKind::FileTooLarge,
    ErrorKind::Unsupported,
    ErrorKind::NotSeekable,
    ErrorKind::NotADirectory,
    ErrorKind::IsADirectory,
    ErrorKind::DirectoryNotEmpty,
    ErrorKind::CrossesDevices,
    ErrorKind::TooManyLinks,
    ErrorKind::ExecutableFileBusy,
    ErrorKind::Deadlock,
    ErrorKind::AddrInUse,
    ErrorKind::AddrNotAvailable,
    ErrorKind::OutOfMemory,
    ErrorKind::Interrupted,
];
const FAILURES: [ErrorKind; 19] = [
    ErrorKind::ConnectionRefused,
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::NotConnected,
    ErrorKind::BrokenPipe,
    ErrorKind::HostUnreachable,
    ErrorKind::NetworkUnreachable,
    ErrorKind::NetworkDown,
    ErrorKind::TimedOut,
    ErrorKind::WouldBlock,
    ErrorKind::UnexpectedEof,
    ErrorKind::WriteZero,
    ErrorKind::InvalidData,
    ErrorKind::ResourceBusy,
    ErrorKind::StorageFull,
    ErrorKind::QuotaExceeded,
    ErrorKind::ReadOnlyFilesystem,
    ErrorKind::StaleNetworkFileHandle,
    ErrorKind::Other,
];

/// The rows of the documented table, as kind and what it says.
fn documented() -> Vec<(String, String)> {
    let rows = include_str!("../io.rs").lines().filter_map(|line| line.strip_prefix("/// | `"));
    let mut found = Vec::new();
    for row in rows {
        let mut cells = row.split(" | ");
        let (kinds, says) = (cells.next().unwrap(), cells.next().unwrap());
        found.extend(kinds.split(", ").map(|kind| (kind.replace('`', ""), says.to_owned())));
    }
    found
}

#[test]
fn every_kind_counts_as_its_table_says_and_is_in_it() {
    let table = documented();
    let expected = IGNORED.map(|kind| (kind, Class::Ignored));
    let failures = FAILURES.map(|kind| (kind, Class::Failure));
    for (kind, class) in expected.into_iter().chain(failures) {
        assert_eq!(io_error(&kind.into()), class, "{kind:?}");
        let says = &table.iter().find(|(name, _)| *name == format!("{kind:?}")).unwrap().1;
        let word = if class == Class::Ignored { "nothing" } else { "failure" };
        assert!(says.ends_with(word) || kind == ErrorKind::Other, "{kind:?}: {says}");
    }
    assert_eq!(table.len(), IGNORED.len() + FAILURES.len());
}

#[test]
fn what_the_system_says_without_a_kind_is_a_failure() {
    assert_eq!(io_error(&io::Error::from_raw_os_error(i32::MAX)), Class::Failure);
    assert_eq!(io_error(&io::Error::other("failed to lookup address information")), Class::Failure);
}

#[test]
fn other_counts_as_what_it_wraps() {
    let wrap = |kind: ErrorKind| io::Error::other(io::Error::other(io::Error::from(kind)));
    assert_eq!(io_error(&wrap(ErrorKind::NotFound)), Class::Ignored);
    assert_eq!(io_error(&wrap(ErrorKind::BrokenPipe)), Class::Failure);
    let said = io::Error::new(ErrorKind::NotFound, io::Error::from(ErrorKind::BrokenPipe));
    assert_eq!(io_error(&said), Class::Ignored, "the one that wraps has the last word");
}

fn faults() -> [(Fault, Class); 4] {
    let dependency: crate::error::DependencyName = "below".into();
    let after = Duration::from_secs(1);
    let rejected = |by| Fault::Rejected {
        dependency: dependency.clone(),
        by,
        retry_after: None,
        earlier: None,
    };
    let cause = UnavailableCause::ShutDown;
    [
        (rejected(RejectedBy::Breaker), Class::Ignored),
        (
            Fault::Unavailable { dependency: dependency.clone(), cause, retry_after: None },
            Class::Ignored,
        ),
        (Fault::TimedOut { dependency: dependency.clone(), after }, Class::Failure),
        (Fault::DeadlineExceeded { dependency: dependency.clone(), after }, Class::Failure),
    ]
}

#[test]
fn a_fault_of_a_client_underneath_is_found_however_deep_and_decides() {
    for (fault, class) in faults() {
        let plain = io::Error::from(fault.clone());
        let wrapped =
            io::Error::other(io::Error::other(CallError::<io::Error>::Fault(fault.clone())));
        let contrary = io::Error::new(ErrorKind::NotFound, fault.clone());
        for error in [plain, wrapped, contrary] {
            assert_eq!(fault_in(&error), Some(&fault));
            assert_eq!(io_error(&error), class, "{error:?}");
        }
    }
}

/// An error that is its own source.
#[derive(Debug)]
struct Loop;

impl fmt::Display for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("round and round")
    }
}

impl std::error::Error for Loop {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self)
    }
}

#[test]
fn an_error_that_is_its_own_source_ends_nothing() {
    assert!(Loop.source().is_some());
    assert_eq!(io_error(&io::Error::other(Loop)), Class::Failure);
    assert_eq!(fault_in(&Loop), None);
}
