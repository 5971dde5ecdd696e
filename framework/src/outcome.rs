//! What counts as what.

use std::time::Duration;

use serde::Serialize;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The dependency answered, and well.
    Success,
    /// The dependency answered with an error that counts against it.
    Failure,
    /// The dependency answered with an error that says nothing about its health (a 404, say).
    Ignored,
    /// The dependency said that it has not begun the work, which counts against it; see `#[call(unprocessed = …)]`.
    Unprocessed,
    /// The attempt's timeout, or the call's deadline, ended it.
    TimedOut,
    /// The caller dropped the call.
    Cancelled,
    /// The user's code panicked.
    Panicked,
}

impl Outcome {
    /// Every outcome, in the order of [`Outcome::index`].
    pub const ALL: &[Self] = &Self::EVERY;
    pub(crate) const EVERY: [Self; 7] = [
        Self::Success,
        Self::Failure,
        Self::Ignored,
        Self::Unprocessed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Panicked,
    ];

    /// The label value that metrics use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Ignored => "ignored",
            Self::Unprocessed => "unprocessed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
        }
    }

    /// Position in [`Outcome::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// What this outcome says about the dependency's health.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Success => Class::Success,
            Self::Failure | Self::Unprocessed | Self::TimedOut | Self::Panicked => Class::Failure,
            Self::Ignored | Self::Cancelled => Class::Ignored,
        }
    }
}

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AttemptKind {
    /// The first of its call.
    Original,
    /// After another that failed.
    Retry,
    /// Beside another that had no answer yet.
    Hedge,
}

impl AttemptKind {
    /// Every kind.
    pub const ALL: &[Self] = &Self::EVERY;
    pub(crate) const EVERY: [Self; 3] = [Self::Original, Self::Retry, Self::Hedge];

    /// The label value that metrics use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Retry => "retry",
            Self::Hedge => "hedge",
        }
    }
}

/// What a breaker learns from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttemptEnd {
    /// How it ended.
    pub outcome: Outcome,
    /// It took as long as a slow call, or longer.
    pub slow: bool,
    /// For how long the server asked to be left alone.
    pub retry_after: Option<Duration>,
}

impl AttemptEnd {
    /// A success in good time, with nothing more to say.
    #[inline]
    pub(crate) fn is_plain_success(&self) -> bool {
        self.outcome == Outcome::Success && !self.slow && self.retry_after.is_none()
    }
}

impl From<Outcome> for AttemptEnd {
    /// In good time, and with no wish of the server's.
    #[inline]
    fn from(outcome: Outcome) -> Self {
        Self { outcome, slow: false, retry_after: None }
    }
}

/// What an answer says about the health of the dependency; see `#[call(classify = …)]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// It is well.
    Success,
    /// It is not: counts towards opening the breaker, may be retried, may fall back.
    Failure,
    /// It says nothing: neither counted, nor retried, nor replaced by a fallback.
    Ignored,
}

impl Class {
    /// How an attempt with such an answer has ended.
    pub(crate) const fn outcome(self) -> Outcome {
        match self {
            Self::Success => Outcome::Success,
            Self::Failure => Outcome::Failure,
            Self::Ignored => Outcome::Ignored,
        }
    }

    /// How a call with such an answer has ended.
    pub(crate) const fn call_outcome(self) -> CallOutcome {
        match self {
            Self::Success => CallOutcome::Success,
            Self::Failure => CallOutcome::Failure,
            Self::Ignored => CallOutcome::Ignored,
        }
    }
}

/// How a call, attempts and all, ended for the caller. Each call ends in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallOutcome {
    /// An answer from the dependency.
    Success,
    /// An error from the dependency that counts against it.
    Failure,
    /// An error from the dependency that does not.
    Ignored,
    /// The last attempt timed out.
    TimedOut,
    /// The call's deadline passed.
    DeadlineExceeded,
    /// A guard refused it.
    Rejected,
    /// The dependency could not be reached at all: shut down, or its client cannot be built.
    Unavailable,
    /// A fallback answered in the dependency's place.
    Fallback,
    /// The caller dropped it.
    Cancelled,
    /// The user's code panicked.
    Panicked,
}

impl CallOutcome {
    /// Every outcome, in the order of [`CallOutcome::index`].
    pub const ALL: &[Self] = &Self::EVERY;
    pub(crate) const EVERY: [Self; 10] = [
        Self::Success,
        Self::Failure,
        Self::Ignored,
        Self::TimedOut,
        Self::DeadlineExceeded,
        Self::Rejected,
        Self::Unavailable,
        Self::Fallback,
        Self::Cancelled,
        Self::Panicked,
    ];

    /// The label value that metrics use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Ignored => "ignored",
            Self::TimedOut => "timed_out",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
            Self::Fallback => "fallback",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
        }
    }

    /// Position in [`CallOutcome::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}
