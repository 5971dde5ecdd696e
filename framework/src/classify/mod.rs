//! Ready-made answers to the question of `#[call(classify = …)]`: what does this answer say about the
//! dependency's health?
//!
//! Name one for a whole trait; a method may name another. Each is generic over what the methods return:
//!
//! ```
//! use std::io;
//!
//! #[seawall::resilient(classify = seawall::classify::io)]
//! trait Store {
//!     async fn read(&self, key: &str) -> io::Result<Vec<u8>>;
//!     async fn count(&self) -> io::Result<u64>;
//! }
//! ```
//!
//! | for | names | feature |
//! | --- | --- | --- |
//! | `Result<T, std::io::Error>` | [`io`], [`io_error`] | |
//! | errors that say that the work was not begun | [`unprocessed`](unprocessed()) | HTTP/2: `http2` |
//! | answers of another Seawall client, underneath | [`nested`], [`fault_in`] | |
//! | codes of PostgreSQL and Redis, from whatever client | [`sqlstate`], [`redis_code`] | |
#![cfg_attr(
    feature = "http",
    doc = "| HTTP | [`status`], [`response`], [`response_retry_after`], [`retry_after_header`] | `http` |"
)]
#![cfg_attr(
    feature = "reqwest",
    doc = "| reqwest | [`reqwest()`], [`reqwest_error`], [`reqwest_response`], [`reqwest_response_retry_after`] | `reqwest` |"
)]
//!
//! # How they decide
//!
//! Ignored is only what is surely about the one request, or about this end of the line: an answer that
//! was understood and says no, or work that never left. It is neither counted, nor retried, nor
//! replaced by a fallback. Whatever is in doubt is a failure, as every error is without `classify`.
//!
//! To decide otherwise in one case, write a function that looks at that case first:
//!
//! ```
//! use std::io;
//! use seawall::{Class, classify};
//!
//! /// A socket file that is not there is a server that is not there.
//! fn over_a_socket<T>(answer: &io::Result<T>) -> Class {
//!     match answer {
//!         Err(error) if error.kind() == io::ErrorKind::NotFound => Class::Failure,
//!         answer => classify::io(answer),
//!     }
//! }
//!
//! assert_eq!(over_a_socket::<()>(&Err(io::ErrorKind::NotFound.into())), Class::Failure);
//! assert_eq!(over_a_socket::<()>(&Err(io::ErrorKind::InvalidInput.into())), Class::Ignored);
//! ```

mod codes;
#[cfg(any(feature = "tonic", feature = "tower"))]
mod grpc;
mod io;
mod nested;
pub(crate) mod number;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "http")]
mod retry_after;
#[cfg(feature = "http")]
mod status;
#[cfg(test)]
mod tests;
#[cfg(feature = "tonic")]
mod tonic;
mod unprocessed;

pub use self::codes::{redis_code, sqlstate};
#[cfg(feature = "tower")]
pub(crate) use self::grpc::{PUSHBACK, UNKNOWN, grpc_code, pushback};
pub use self::io::{io, io_error};
pub use self::nested::{fault_in, nested};
#[cfg(feature = "reqwest")]
pub use self::reqwest::{reqwest, reqwest_error, reqwest_response, reqwest_response_retry_after};
#[cfg(feature = "http")]
pub use self::retry_after::{MAX_RETRY_AFTER, response_retry_after, retry_after_header};
#[cfg(feature = "http")]
pub(crate) use self::retry_after::{date, retry_after_by_wall};
#[cfg(feature = "http")]
pub use self::status::{response, status};
#[cfg(feature = "tonic")]
pub use self::tonic::{tonic, tonic_retry_after, tonic_status};
pub use self::unprocessed::unprocessed;
