//! `reqwest`.

use std::time::Duration;

use reqwest::{Error, Response};

use super::nested::{fault_in, nested};
use super::retry_after::retry_after_header;
use super::status::status;
use crate::outcome::Class;

/// What a result of reqwest says about the server's health: `Ok` is a success whatever it holds, an
/// error is as [`reqwest_error`] has it. For methods that turn a bad status into an error
/// (`error_for_status`) and return what they have read of the body; where the answer itself is
/// returned, see [`reqwest_response`].
///
/// # The error type
///
/// A client answers with a [`Fault`](crate::Fault) where the server never could, and nobody but reqwest
/// can make a `reqwest::Error`, so neither `From<Fault>` nor `fault_with` leads to one. Either keep the
/// two apart, which is least to write:
///
/// ```
/// use seawall::{CallError, Class, Fault, classify};
///
/// #[seawall::resilient(errors = "wrapped", classify = classify::reqwest)]
/// trait Prices {
///     #[call(idempotent)]
///     async fn of(&self, article: &str) -> Result<String, reqwest::Error>;
/// }
///
/// async fn show<P: Prices + 'static>(prices: &PricesClient<P>) -> String {
///     match prices.of("hammer").await {
///         Ok(price) => price,
///         Err(CallError::Fault(Fault::Rejected { retry_after, .. })) => format!("{retry_after:?}"),
///         Err(error) => error.to_string(),
///     }
/// }
/// ```
///
/// or have an error of your own that takes both, and tell `classify` where reqwest's is:
///
/// ```
/// use seawall::{Class, Fault, classify};
///
/// #[derive(Debug)]
/// enum PriceError {
///     Http(reqwest::Error),
///     Refused(Fault),
/// }
/// impl From<reqwest::Error> for PriceError {
///     fn from(error: reqwest::Error) -> Self {
///         Self::Http(error)
///     }
/// }
///
/// // `From<Fault>` would do as well; `fault_with` works for types that are not yours, too.
/// #[seawall::resilient(fault_with = PriceError::Refused, classify = class)]
/// trait Prices {
///     async fn of(&self, article: &str) -> Result<String, PriceError>;
/// }
///
/// fn class<T>(answer: &Result<T, PriceError>) -> Class {
///     match answer {
///         Ok(_) => Class::Success,
///         Err(PriceError::Http(error)) => classify::reqwest_error(error),
///         // Of a client underneath: this client's own faults are not classified.
///         Err(PriceError::Refused(fault)) => classify::nested(fault),
///     }
/// }
/// ```
#[must_use]
pub fn reqwest<T>(result: &Result<T, Error>) -> Class {
    match result {
        Ok(_) => Class::Success,
        Err(error) => reqwest_error(error),
    }
}

/// What an error of reqwest says about the server's health.
///
/// | error | says | because |
/// | --- | --- | --- |
/// | with a status | as [`status`](super::status) has it | the server answered |
/// | `is_builder` | nothing | there was no request: a URL or a header that makes no sense |
/// | `is_redirect` | nothing | the server answered, and where it points to is not gone to |
/// | `is_connect`, `is_dns`, `is_timeout`, `is_request`, `is_upgrade` | a failure | no answer. An upload that broke off at this end is one of these, too |
/// | `is_body`, `is_decode` | a failure | an answer that broke off, or is not what it should be: a body that is cut short is a "decode" error as well, and so is the error page of a proxy |
///
/// A [`Fault`](crate::Fault) inside it, from a resolver or a connector that calls another Seawall client,
/// is looked at first: see [`nested`].
#[must_use]
pub fn reqwest_error(error: &Error) -> Class {
    if let Some(found) = error.status() {
        return status(found);
    }
    if let Some(fault) = fault_in(error) {
        return nested(fault);
    }
    if error.is_builder() || error.is_redirect() { Class::Ignored } else { Class::Failure }
}

/// What an answer says about the server's health, where a bad status is an `Ok` value: by its
/// [`status`](super::status), or as [`reqwest_error`] has it.
///
/// ```
/// use seawall::classify;
///
/// #[seawall::resilient(
///     errors = "wrapped",
///     classify = classify::reqwest_response,
///     retry_after = classify::reqwest_response_retry_after,
/// )]
/// trait Web {
///     #[call(idempotent)]
///     async fn get(&self, url: &str) -> Result<reqwest::Response, reqwest::Error>;
/// }
/// ```
#[must_use]
pub fn reqwest_response(result: &Result<Response, Error>) -> Class {
    match result {
        Ok(response) => status(response.status()),
        Err(error) => reqwest_error(error),
    }
}

/// The `Retry-After` of an answer, as [`retry_after_header`] reads it. An error has none: reqwest keeps
/// no headers in it, so return the response and leave out `error_for_status` where it matters.
#[must_use]
pub fn reqwest_response_retry_after(result: &Result<Response, Error>) -> Option<Duration> {
    retry_after_header(result.as_ref().ok()?.headers())
}
