//! What a response says about the server that sent it.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::classify;
use crate::outcome::Class;

const GRPC_STATUS: &str = "grpc-status";

/// How a response ended: its HTTP status, and of a call of gRPC its code.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ResponseStatus<'a> {
    /// HTTP's.
    pub http: StatusCode,
    /// gRPC's, if it is a call of gRPC that HTTP has not ended: `0` is well.
    pub grpc: Option<u64>,
    /// The response's headers; of a call of gRPC that has sent them, the trailers.
    pub headers: &'a HeaderMap,
}

impl<'a> ResponseStatus<'a> {
    pub(super) fn of_http(http: StatusCode, headers: &'a HeaderMap) -> Self {
        Self { http, grpc: None, headers }
    }

    /// `None`: it has not been said yet. A response that `is_over` without having said it is of an unknown code.
    pub(super) fn of_grpc(http: StatusCode, headers: &'a HeaderMap, is_over: bool) -> Option<Self> {
        if http != StatusCode::OK {
            return Some(Self::of_http(http, headers));
        }
        let code = match headers.get(GRPC_STATUS) {
            Some(value) => value.to_str().ok().and_then(|code| code.trim().parse().ok()),
            None if is_over => None,
            None => return None,
        };
        Some(Self { http, grpc: Some(code.unwrap_or(classify::UNKNOWN)), headers })
    }

    /// What it says about the server's health, unless the layer's `classify` says otherwise: as
    /// [`classify::status`](crate::classify::status) has it, and of a call of gRPC as the table of `classify::tonic_status`.
    #[must_use]
    pub fn class(&self) -> Class {
        match self.grpc {
            Some(code) => classify::grpc_code(code),
            None => classify::status(self.http),
        }
    }

    /// For how long the server wants to be left alone: `grpc-retry-pushback-ms` of a call of gRPC, or `Retry-After`.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let pushback = self.grpc.and(self.headers.get(classify::PUSHBACK));
        match pushback {
            Some(value) => classify::pushback(value.as_bytes()),
            None => classify::retry_after_header(self.headers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_code_that_makes_no_sense_is_unknown_and_a_failure() {
        for (value, code, class) in [
            ("0", 0, Class::Success),
            ("5", 5, Class::Ignored),
            ("14", 14, Class::Failure),
            (" 14 ", 14, Class::Failure),
            ("99", 99, Class::Failure),
            ("-1", 2, Class::Failure),
            ("well", 2, Class::Failure),
            ("", 2, Class::Failure),
        ] {
            let headers = headers(&[(GRPC_STATUS, value)]);
            let status = ResponseStatus::of_grpc(StatusCode::OK, &headers, false).unwrap();
            assert_eq!((status.grpc, status.class()), (Some(code), class), "{value:?}");
        }
    }

    #[test]
    fn a_code_may_still_come_until_the_response_is_over() {
        let none = headers(&[]);
        assert!(ResponseStatus::of_grpc(StatusCode::OK, &none, false).is_none());
        let over = ResponseStatus::of_grpc(StatusCode::OK, &none, true).unwrap();
        assert_eq!((over.grpc, over.class()), (Some(2), Class::Failure));
        let by_http = ResponseStatus::of_grpc(StatusCode::BAD_GATEWAY, &none, false).unwrap();
        assert_eq!((by_http.grpc, by_http.class()), (None, Class::Failure));
    }

    #[test]
    fn a_server_says_when_to_come_back_in_either_way() {
        let pushback = headers(&[(GRPC_STATUS, "14"), (classify::PUSHBACK, "250")]);
        let status = ResponseStatus::of_grpc(StatusCode::OK, &pushback, true).unwrap();
        assert_eq!(status.retry_after(), Some(Duration::from_millis(250)));
        let retry_after = headers(&[("retry-after", "2")]);
        let status = ResponseStatus::of_http(StatusCode::SERVICE_UNAVAILABLE, &retry_after);
        assert_eq!(status.retry_after(), Some(Duration::from_secs(2)));
        let of_http = ResponseStatus::of_http(StatusCode::SERVICE_UNAVAILABLE, &pushback);
        assert_eq!(of_http.retry_after(), None, "no field of HTTP's");
    }
}
