//! HTTP's rate-limit fields: what a [`Decision`] looks like on an answer, and what a server's answer says.
//!
//! Text in, text out: no HTTP library is named here, so whatever speaks HTTP can use it. Three families are
//! in use, and all of them are read and written:
//!
//! - `X-RateLimit-Limit`, `-Remaining`, `-Reset`: a habit, not a standard. Nobody agrees whether the reset is a
//!   point in time or a delay, so [`ResetStyle`] says which is written and [`ResetReading`] which is read.
//! - `RateLimit-Policy` and `RateLimit`: draft-ietf-httpapi-ratelimit-headers-11, lists of structured fields
//!   (RFC 9651). Older drafts' `RateLimit-Limit`, `-Remaining`, `-Reset`, and draft 7's
//!   `RateLimit: limit=…, remaining=…, reset=…`, are read too.
//! - `Retry-After` (RFC 9110, 10.2.3), here in seconds.
//!
//! Everything that is a time is rounded up to whole seconds: a client that comes back when it was told to must
//! not be refused for coming early.

mod list;
#[cfg(feature = "http")]
mod map;
mod report;

use std::fmt;
use std::time::Duration;

use crate::constraint::{Constraints, InvalidSettings};

use super::algorithm::Decision;
use super::quota::Config;

use crate::classify::number;
#[cfg(feature = "tower")]
pub(crate) use map::header_report;
#[cfg(feature = "reqwest")]
pub use map::reqwest_response_report;
#[cfg(feature = "http")]
pub use map::response_report;

pub use crate::classify::number::MAX_SECONDS;
pub use report::{MAX_FIELD_BYTES, MAX_MEMBERS, Reader, Report, ResetReading};

/// `X-RateLimit-Limit`: the most that can be had at once.
pub const X_LIMIT: &str = "x-ratelimit-limit";
/// `X-RateLimit-Remaining`: what is left.
pub const X_REMAINING: &str = "x-ratelimit-remaining";
/// `X-RateLimit-Reset`: when it is as good as new.
pub const X_RESET: &str = "x-ratelimit-reset";
/// `RateLimit-Policy`: which quotas there are.
pub const POLICY: &str = "ratelimit-policy";
/// `RateLimit`: how things are with them.
pub const RATE_LIMIT: &str = "ratelimit";
/// `Retry-After`: when to come back.
pub const RETRY_AFTER: &str = "retry-after";

/// The largest integer of a structured field: 15 digits (RFC 9651, 3.3.1). What is larger is written as this.
pub const MAX_INTEGER: u64 = 999_999_999_999_999;
/// The longest name of a policy, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// What a reset is written as in `X-RateLimit-Reset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetStyle {
    /// The point in time, in seconds since 1970, as GitHub does.
    #[default]
    Epoch,
    /// How long from now, in seconds: for clients that do not trust their clock.
    Delta,
}

/// What a server says of a quota that does not change from answer to answer: its name, and over how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaPolicy {
    name: String,
    /// The name as a structured field's string, quotes and all.
    quoted: String,
    window: Option<u64>,
}

impl QuotaPolicy {
    /// A policy with this name: 1 to 64 characters of printable ASCII.
    ///
    /// # Errors
    /// The name is empty, too long, or has something else in it.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidSettings> {
        let name = name.into();
        let printable = name.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
        let mut check = Constraints::default();
        check.require(
            printable && (1..=MAX_NAME_BYTES).contains(&name.len()),
            "policy name",
            &name,
            format!("1 to {MAX_NAME_BYTES} characters of printable ASCII"),
        );
        let quoted = list::quoted(&name);
        check.finish(Self { name, quoted, window: None })
    }

    /// A policy with this name for a limiter of these settings: over its window, or as long as its bucket takes to fill.
    ///
    /// # Errors
    /// As [`QuotaPolicy::new`].
    pub fn of(name: impl Into<String>, config: &Config) -> Result<Self, InvalidSettings> {
        let window = match config {
            Config::FixedWindow(quota)
            | Config::SlidingLog(quota)
            | Config::SlidingWindow(quota) => quota.window(),
            Config::TokenBucket(rate) | Config::LeakyBucket(rate) => {
                let seconds = rate.capacity() as f64 / rate.per_second();
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
            }
        };
        Self::new(name).map(|policy| policy.window(window))
    }

    /// Over how long the quota is: a window's length; of a bucket, how long an empty one takes to fill. Rounded up to
    /// whole seconds, and at least one. Without it no `w` is written.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = Some(number::seconds_up(window).clamp(1, MAX_INTEGER));
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its name as a structured field's string, which is a JSON string too.
    #[must_use]
    pub fn quoted(&self) -> &str {
        &self.quoted
    }

    /// `RateLimit-Policy`: `"burst";q=100;w=60`. The same for as long as the limit is.
    #[must_use]
    pub fn describe(&self, limit: u64) -> String {
        let quota = limit.min(MAX_INTEGER);
        match self.window {
            Some(window) => format!("{};q={quota};w={window}", self.quoted),
            None => format!("{};q={quota}", self.quoted),
        }
    }

    /// `RateLimit`: `"burst";r=50;t=30`.
    #[must_use]
    pub fn standing(&self, fields: &Fields) -> String {
        let Fields { remaining, reset_after, .. } = fields;
        let (remaining, reset_after) = (remaining.min(&MAX_INTEGER), reset_after.min(&MAX_INTEGER));
        format!("{};r={remaining};t={reset_after}", self.quoted)
    }
}

impl Default for QuotaPolicy {
    /// `"default"`, without a window.
    fn default() -> Self {
        Self { name: "default".to_owned(), quoted: "\"default\"".to_owned(), window: None }
    }
}

impl fmt::Display for QuotaPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The numbers of an answer's fields, in whole seconds.
///
/// A refusal names one point in time in all of its fields: when the same request would pass. So `Retry-After` is
/// never earlier than the end of `t`, as the draft asks, and a client that goes by the reset is not sent away longer
/// than one that goes by `Retry-After`. An allowed answer's reset is when the limiter is as good as new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The most that can be had at once.
    pub limit: u64,
    /// What is left.
    pub remaining: u64,
    /// Seconds until the reset.
    pub reset_after: u64,
    /// Of a refusal: seconds until the same request would pass, at least 1. `None`: not a refusal, or it never would.
    pub retry_after: Option<u64>,
}

impl Fields {
    /// What `decision` looks like on an answer.
    #[must_use]
    pub fn of(decision: &Decision) -> Self {
        let retry_after = decision.retry_after.filter(|_| !decision.allowed);
        // Zero would tell an obedient client to hammer.
        let retry_after = retry_after.map(|after| number::seconds_up(after).max(1));
        Self {
            limit: decision.limit,
            remaining: decision.remaining,
            reset_after: retry_after.unwrap_or_else(|| number::seconds_up(decision.reset_after)),
            retry_after,
        }
    }

    /// `X-RateLimit-Reset`, when it is `since_epoch` after the beginning of 1970 by the wall clock.
    #[must_use]
    pub fn reset(&self, style: ResetStyle, since_epoch: Duration) -> u64 {
        match style {
            ResetStyle::Delta => self.reset_after,
            // A part of a second that has begun counts as a whole one: later, never earlier.
            ResetStyle::Epoch => number::seconds_up(since_epoch).saturating_add(self.reset_after),
        }
    }

    /// All of the fields as names and values, `Retry-After` last.
    pub fn lines(
        &self,
        policy: &QuotaPolicy,
        style: ResetStyle,
        since_epoch: Duration,
    ) -> impl Iterator<Item = (&'static str, String)> + use<> {
        let always = [
            (X_LIMIT, self.limit.to_string()),
            (X_REMAINING, self.remaining.to_string()),
            (X_RESET, self.reset(style, since_epoch).to_string()),
            (POLICY, policy.describe(self.limit)),
            (RATE_LIMIT, policy.standing(self)),
        ];
        let retry = self.retry_after.map(|after| (RETRY_AFTER, after.to_string()));
        always.into_iter().chain(retry)
    }
}

#[cfg(test)]
mod tests;
