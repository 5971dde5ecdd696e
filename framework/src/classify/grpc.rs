//! What gRPC's codes say about a server, by number; and when it wants to be asked again.

use std::time::Duration;

use crate::outcome::Class;

use super::number;

/// Where a server says when a client may retry (gRFC A6), in milliseconds.
pub(crate) const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// The longest pushback that is believed: an hour.
const MAX_PUSHBACK: Duration = Duration::from_secs(3_600);

/// The code of an answer that has none.
#[cfg(feature = "tower")]
pub(crate) const UNKNOWN: u64 = 2;

/// See [`tonic_status`](super::tonic_status) for the table and the reasons.
pub(crate) fn grpc_code(code: u64) -> Class {
    match code {
        0 => Class::Success,
        // INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED; FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE,
        // UNIMPLEMENTED; UNAUTHENTICATED.
        3 | 5..=7 | 9..=12 | 16 => Class::Ignored,
        // CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS, and what nobody knows.
        _ => Class::Failure,
    }
}

/// A pushback as it is written. One that is negative, or no number, is none.
pub(crate) fn pushback(value: &[u8]) -> Option<Duration> {
    Some(Duration::from_millis(number::count(value)?).min(MAX_PUSHBACK))
}
