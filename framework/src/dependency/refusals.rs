//! A guard's refusal.

use std::time::Duration;

use crate::breaker;
use crate::error::RejectedBy;
use crate::limit;

/// A guard's refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) by: RejectedBy,
    pub(crate) retry_after: Option<Duration>,
}

impl From<breaker::NotAdmitted> for Refused {
    fn from(refusal: breaker::NotAdmitted) -> Self {
        Self { by: RejectedBy::Breaker, retry_after: refusal.retry_after }
    }
}

impl From<limit::Refusal> for Refused {
    fn from(refusal: limit::Refusal) -> Self {
        Self { by: RejectedBy::RateLimit, retry_after: refusal.retry_after }
    }
}
