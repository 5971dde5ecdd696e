//! The `Retry-After` field (RFC 9110, section 10.2.3).

use std::time::Duration;

use http::Response;
use http::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use httpdate::parse_http_date;

use super::number;
use crate::clock::after_epoch;

/// The longest that a server is heard asking for: 30 days, which is also as long as a breaker can stay
/// open. A server that asks for more gets this instead.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(30 * 24 * 3600);

/// For how long a server wants to be left alone, according to the `Retry-After` among its headers.
///
/// - A number of seconds is what it says, at most [`MAX_RETRY_AFTER`]. Some servers write fractions (`0.65`, `1.5`):
///   they are read too.
/// - A date is taken relative to the answer's own `Date`, so that the server's clock need not agree with
///   ours; one that has passed is zero. Without a `Date` that can be read a date is `None`, for there is
///   no telling how far the two clocks are apart, and no clock is read here. (A pacer's
///   [`Report`](crate::limit::headers::Report) then goes by the wall clock.)
/// - Anything else is `None`. Of several fields the first one counts.
///
/// Pure: it reads no clock, does not allocate, and does not panic, whatever the bytes.
///
/// ```
/// use std::time::Duration;
/// use http::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
/// use seawall::classify::retry_after_header;
///
/// let mut headers = HeaderMap::new();
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("120"));
/// assert_eq!(retry_after_header(&headers), Some(Duration::from_secs(120)));
///
/// headers.insert(RETRY_AFTER, HeaderValue::from_static("Fri, 31 Dec 1999 23:59:59 GMT"));
/// assert_eq!(retry_after_header(&headers), None);
/// headers.insert(DATE, HeaderValue::from_static("Fri, 31 Dec 1999 23:59:29 GMT"));
/// assert_eq!(retry_after_header(&headers), Some(Duration::from_secs(30)));
/// ```
#[must_use]
pub fn retry_after_header(headers: &HeaderMap) -> Option<Duration> {
    asked(headers.get(RETRY_AFTER)?, || date(headers))
}

/// The same, but a date without a `Date` that can be read is taken relative to a wall clock that shows `since_epoch`; and
/// of several fields the latest counts.
pub(crate) fn retry_after_by_wall(headers: &HeaderMap, since_epoch: Duration) -> Option<Duration> {
    let now = || date(headers).or(Some(since_epoch));
    headers.get_all(RETRY_AFTER).iter().filter_map(|value| asked(value, now)).max()
}

fn asked(value: &HeaderValue, now: impl FnOnce() -> Option<Duration>) -> Option<Duration> {
    let asked = match number::seconds(value.as_bytes()) {
        Some(asked) => asked,
        None => read(text(value)?)?.saturating_sub(now()?),
    };
    Some(asked.min(MAX_RETRY_AFTER))
}

/// When the answer was made, by its own word: since the beginning of 1970.
pub(crate) fn date(headers: &HeaderMap) -> Option<Duration> {
    read(text(headers.get(DATE)?)?)
}

/// A date, since the beginning of 1970. None of HTTP's is before that.
fn read(date: &str) -> Option<Duration> {
    after_epoch(parse_http_date(date).ok()?)
}

/// [`retry_after_header`] of a response, for `#[resilient(retry_after = …)]`; an error has none.
#[must_use]
pub fn response_retry_after<B, E>(result: &Result<Response<B>, E>) -> Option<Duration> {
    retry_after_header(result.as_ref().ok()?.headers())
}

fn text(value: &HeaderValue) -> Option<&str> {
    Some(value.to_str().ok()?.trim_matches([' ', '\t']))
}
