//! `tonic`.

use std::time::Duration;

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use super::grpc::{PUSHBACK, grpc_code, pushback};
use crate::error::{Fault, RejectedBy};
use crate::outcome::Class;

/// A fault in gRPC's words, so that methods that answer with a [`Status`] need nothing else. The breaker and an ended
/// Seawall are `UNAVAILABLE`, other guards `RESOURCE_EXHAUSTED`, both with `grpc-retry-pushback-ms` where it is known when to
/// come back; a timeout and a deadline are `DEADLINE_EXCEEDED`. The fault is the status's source.
///
/// ```
/// use seawall::{classify, resilient};
///
/// #[resilient(clone, classify = classify::tonic, retry_after = classify::tonic_retry_after)]
/// trait Orders {
///     #[call(idempotent)]
///     async fn find(&mut self, id: u64) -> Result<tonic::Response<String>, tonic::Status>;
/// }
/// ```
impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let code = match &fault {
            Fault::Rejected { by: RejectedBy::Breaker, .. } | Fault::Unavailable { .. } => {
                Code::Unavailable
            }
            Fault::Rejected { .. } => Code::ResourceExhausted,
            Fault::TimedOut { .. } | Fault::DeadlineExceeded { .. } => Code::DeadlineExceeded,
        };
        let mut status = Self::new(code, fault.to_string());
        if let Some(after) = fault.retry_after() {
            // Rounded up, so that nobody is early.
            let ms = after.as_nanos().div_ceil(1_000_000).min(u128::from(u32::MAX)) as u32;
            status.metadata_mut().insert(PUSHBACK, MetadataValue::from(ms));
        }
        status.set_source(std::sync::Arc::new(fault));
        status
    }
}

/// What an answer of tonic's says about the server's health: `Ok` is a success, an error is as [`tonic_status`] has it.
///
/// # Errors
/// None: the answer is only looked at.
#[must_use]
pub fn tonic<T>(answer: &Result<T, Status>) -> Class {
    match answer {
        Ok(_) => Class::Success,
        Err(status) => tonic_status(status),
    }
}

/// What a status says about the server's health.
///
/// | code | class | why |
/// | --- | --- | --- |
/// | `OK` | success | |
/// | `INVALID_ARGUMENT`, `NOT_FOUND`, `ALREADY_EXISTS`, `PERMISSION_DENIED`, `UNAUTHENTICATED`, `FAILED_PRECONDITION`, `ABORTED`, `OUT_OF_RANGE`, `UNIMPLEMENTED` | ignored | about the one request |
/// | `CANCELLED` | failure | a caller that cancels does not see it. Tonic's own timeouts, at either end, end in this code |
/// | `UNKNOWN`, `DEADLINE_EXCEEDED`, `RESOURCE_EXHAUSTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS` | failure | about the server, or in doubt |
#[must_use]
pub fn tonic_status(status: &Status) -> Class {
    // A code is its number, from 0 on.
    grpc_code(status.code() as u64)
}

/// For how long the server wants to be left alone: `grpc-retry-pushback-ms`, at most an hour. One that is negative, or no
/// number, says not to retry, which a policy decides by itself; it is nothing here.
#[must_use]
pub fn tonic_retry_after<T>(answer: &Result<T, Status>) -> Option<Duration> {
    let value = answer.as_ref().err()?.metadata().get(PUSHBACK)?;
    pushback(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::UnavailableCause;

    fn rejected(by: RejectedBy, retry_after: Option<Duration>) -> Status {
        Fault::Rejected { dependency: "orders".into(), by, retry_after, earlier: None }.into()
    }

    #[test]
    fn a_fault_is_a_status_that_says_when_to_come_back() {
        let after = Some(Duration::from_micros(1_500_001));
        let by_breaker = rejected(RejectedBy::Breaker, after);
        assert_eq!(by_breaker.code(), Code::Unavailable);
        assert_eq!(
            by_breaker.message(),
            "orders: rejected by the circuit breaker (open), retry after 1501 ms"
        );
        assert_eq!(by_breaker.metadata().get(PUSHBACK).unwrap(), "1501");
        assert_eq!(
            tonic_retry_after::<()>(&Err(by_breaker.clone())),
            Some(Duration::from_millis(1_501))
        );
        let source = std::error::Error::source(&by_breaker).unwrap();
        assert!(source.downcast_ref::<std::sync::Arc<Fault>>().is_some() || source.is::<Fault>());
        let full = rejected(RejectedBy::QueueFull, None);
        assert_eq!((full.code(), full.metadata().get(PUSHBACK)), (Code::ResourceExhausted, None));
        let (dependency, after) = ("orders".into(), Duration::from_secs(1));
        let timed_out: Status = Fault::TimedOut { dependency, after }.into();
        assert_eq!(timed_out.code(), Code::DeadlineExceeded);
        let (cause, retry_after) = (UnavailableCause::ShutDown, None);
        let ended = Fault::Unavailable { dependency: "orders".into(), cause, retry_after };
        assert_eq!(Status::from(ended).code(), Code::Unavailable);
    }

    #[test]
    fn what_is_about_one_request_is_ignored_and_what_is_in_doubt_counts() {
        let class = |code| tonic::<()>(&Err(Status::new(code, "")));
        assert_eq!(tonic(&Ok(())), Class::Success);
        for code in [
            Code::InvalidArgument,
            Code::NotFound,
            Code::AlreadyExists,
            Code::PermissionDenied,
            Code::Unauthenticated,
            Code::FailedPrecondition,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unimplemented,
        ] {
            assert_eq!(class(code), Class::Ignored, "{code:?}");
        }
        for code in [
            Code::Cancelled,
            Code::Unknown,
            Code::DeadlineExceeded,
            Code::ResourceExhausted,
            Code::Internal,
            Code::Unavailable,
            Code::DataLoss,
        ] {
            assert_eq!(class(code), Class::Failure, "{code:?}");
        }
    }

    #[test]
    fn a_timeout_of_tonics_own_is_a_failure() {
        let status = Status::from_error(Box::new(tonic::TimeoutExpired(())));
        assert_eq!(tonic_status(&status), Class::Failure, "{status:?}");
    }

    #[test]
    fn a_pushback_that_makes_no_sense_is_none() {
        for (value, expected) in [
            ("250", Some(Duration::from_millis(250))),
            (" 7 ", Some(Duration::from_millis(7))),
            ("99999999999", Some(Duration::from_secs(3_600))),
            ("-1", None),
            ("soon", None),
        ] {
            let mut status = Status::new(Code::Unavailable, "");
            status.metadata_mut().insert(PUSHBACK, value.parse().unwrap());
            assert_eq!(tonic_retry_after::<()>(&Err(status)), expected, "{value}");
        }
    }
}
