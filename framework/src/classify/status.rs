//! HTTP statuses.

use http::{Response, StatusCode};

use crate::outcome::Class;

/// What an HTTP status says about the server's health.
///
/// | status | says | because |
/// | --- | --- | --- |
/// | 100–399 | a success | it answers; a redirect and a "not modified" are answers |
/// | 408 Request Timeout | a failure | it did not get the request in time: it, or the way to it, is slow; worth another attempt |
/// | 429 Too Many Requests | a failure | it has more to do than it can, or will, and says when to come back: see [`response_retry_after`](super::response_retry_after) |
/// | other 400–499 | nothing | it understands, and says no to this request. Credentials that have expired (401, 403) are refused by a healthy server |
/// | 501 Not Implemented, 505 HTTP Version Not Supported, 510 Not Extended | nothing | they are about the request, in spite of their number |
/// | other 500–599 | a failure | it cannot do what it is there for, or what stands before it cannot reach it |
/// | 600–999 | a failure | to be treated as a 5xx (RFC 9110, section 15) |
///
/// ```
/// use http::StatusCode;
/// use seawall::{Class, classify};
///
/// assert_eq!(classify::status(StatusCode::NO_CONTENT), Class::Success);
/// assert_eq!(classify::status(StatusCode::NOT_FOUND), Class::Ignored);
/// assert_eq!(classify::status(StatusCode::SERVICE_UNAVAILABLE), Class::Failure);
/// ```
#[must_use]
pub fn status(status: StatusCode) -> Class {
    match status.as_u16() {
        100..=399 => Class::Success,
        408 | 429 => Class::Failure,
        400..=499 | 501 | 505 | 510 => Class::Ignored,
        _ => Class::Failure,
    }
}

/// What an HTTP answer says about the server's health: a response is as its [`status`], and an error,
/// of whatever type, a failure: there was no answer.
///
/// ```
/// use std::io;
/// use seawall::classify;
///
/// #[seawall::resilient(
///     classify = classify::response,
///     retry_after = classify::response_retry_after,
/// )]
/// trait Web {
///     #[call(idempotent)]
///     async fn get(&self, path: &str) -> io::Result<http::Response<String>>;
///     async fn post(&self, path: &str, body: &[u8]) -> io::Result<http::Response<()>>;
/// }
/// ```
#[must_use]
pub fn response<B, E>(result: &Result<Response<B>, E>) -> Class {
    match result {
        Ok(response) => status(response.status()),
        Err(_) => Class::Failure,
    }
}
