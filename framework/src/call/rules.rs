//! How a method's answers are read.

use std::time::Duration;

use crate::error::{EarlierError, Fallible};
use crate::limit::headers::Report;
use crate::outcome::Class;

use super::open_attempt::OpenAttempt;

/// How a method's answers are read.
#[derive(Debug)]
pub struct Rules<R: Fallible> {
    /// What an answer says about the dependency.
    pub classify: fn(&R) -> Class,
    /// Whether an error is worth another attempt.
    pub retry_if: fn(&R::Err) -> bool,
    /// Whether an error says that the dependency has not begun the work. Asked of failures only.
    pub unprocessed: fn(&R::Err) -> bool,
    /// For how long the server wants to be left alone. Asked of failures only: nobody else's answer
    /// opens a breaker or is retried.
    pub retry_after: fn(&R) -> Option<Duration>,
    /// What an answer says of the dependency's quota. Asked of every answer, if the policy has a `quota`.
    pub quota: fn(&R) -> Option<Report>,
    /// The error as one that a fault can have as its source, if it can be one.
    pub keep: fn(R::Err) -> Option<EarlierError>,
    /// The open attempt in an answer whose last word is still to come. Asked of answers that `classify` calls ignored.
    pub goes_on: fn(&R) -> Option<&OpenAttempt>,
}

impl<R: Fallible> Rules<R> {
    /// An error is a failure, worth another attempt, and does not say when. No answer tells of a quota, and each is whole.
    pub const USUAL: Self = Self {
        classify: |answer| match answer.as_result() {
            Ok(_) => Class::Success,
            Err(_) => Class::Failure,
        },
        retry_if: |_| true,
        unprocessed: |_| false,
        retry_after: |_| None,
        quota: |_| None,
        keep: |_| None,
        goes_on: |_| None,
    };
}
