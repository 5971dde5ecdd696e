//! Which hour of the week it is, where the users are.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Hours in a week: hour 0 begins on Monday at 00:00.
pub const HOURS: usize = 168;

const HOUR_S: i64 = 3600;
const WEEK_S: i64 = HOURS as i64 * HOUR_S;
/// The epoch was a Thursday.
const EPOCH_S: i64 = 3 * 24 * HOUR_S;
/// The furthest that any zone is from UTC.
const MAX_MINUTES: i32 = 14 * 60;

/// How far local time is ahead of UTC, in minutes: -14 h to +14 h. It does not know of summer time: where
/// the clocks change, the pattern moves by an hour twice a year, and is learned anew or reloaded with another offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcOffset(i16);

impl UtcOffset {
    /// No offset.
    pub const UTC: Self = Self(0);

    /// `minutes` ahead of UTC, or behind it if negative; `None` beyond 14 hours.
    #[must_use]
    pub fn from_minutes(minutes: i32) -> Option<Self> {
        let minutes = i16::try_from(minutes).ok()?;
        (i32::from(minutes).abs() <= MAX_MINUTES).then_some(Self(minutes))
    }

    /// Minutes ahead of UTC.
    #[must_use]
    pub fn minutes(self) -> i32 {
        i32::from(self.0)
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, minutes) = (if self.0 < 0 { '-' } else { '+' }, self.0.unsigned_abs());
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

impl Serialize for UtcOffset {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// The text is no offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an offset from UTC is written like \"+02:00\" or \"-03:30\", from -14:00 to +14:00")]
pub struct BadUtcOffset;

impl FromStr for UtcOffset {
    type Err = BadUtcOffset;

    /// `"+02:00"`, as in RFC 3339.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sign, rest) = match text.as_bytes() {
            [b'+', rest @ ..] => (1, rest),
            [b'-', rest @ ..] => (-1, rest),
            _ => return Err(BadUtcOffset),
        };
        let digit = |byte: u8| char::from(byte).to_digit(10).and_then(|d| i32::try_from(d).ok());
        let [a, b, b':', c, d] = *rest else { return Err(BadUtcOffset) };
        let parts = (digit(a), digit(b), digit(c), digit(d));
        let (Some(a), Some(b), Some(c), Some(d)) = parts else { return Err(BadUtcOffset) };
        let (hours, minutes) = (a * 10 + b, c * 10 + d);
        if minutes > 59 {
            return Err(BadUtcOffset);
        }
        Self::from_minutes(sign * (hours * 60 + minutes)).ok_or(BadUtcOffset)
    }
}

/// The hour of the week, 0 to 167, at `epoch_s` seconds after the epoch, where local time is `offset`
/// ahead of UTC. Hour 0 begins on Monday at 00:00.
#[must_use]
pub fn hour_of_week(epoch_s: u64, offset: UtcOffset) -> usize {
    // Both fit: a remainder by a week, and at most 14 hours.
    let into = i64::try_from(epoch_s % WEEK_S as u64).unwrap_or(0) + EPOCH_S;
    let local = (into + i64::from(offset.0) * 60).rem_euclid(WEEK_S);
    usize::try_from(local / HOUR_S).unwrap_or(0)
}

/// Seconds of local time at `epoch_s`; never below zero.
pub(super) fn local_s(epoch_s: u64, offset: UtcOffset) -> u64 {
    epoch_s.saturating_add_signed(i64::from(offset.0) * 60)
}
