//! From `http`'s headers, which is what axum, hyper and reqwest have.

use std::time::Duration;

use http::{HeaderMap, Response};

use crate::classify::{date, retry_after_by_wall};
use crate::clock::{Clock, Moment};

use super::{Reader, Report, ResetReading};

impl Report {
    /// What an answer's headers say, at a wall-clock time of `since_epoch` after the beginning of 1970. A `Retry-After` that
    /// is a date counts from the answer's own `Date`; if there is none that can be read, from that time as well.
    ///
    /// ```
    /// use std::time::Duration;
    /// use http::HeaderMap;
    /// use seawall::limit::headers::{Report, ResetReading};
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert("ratelimit", "\"burst\";r=50;t=30".parse()?);
    /// let report = Report::from_headers(&headers, ResetReading::Guess, Duration::ZERO);
    /// assert_eq!(report.remaining, Some(50));
    /// assert_eq!(report.reset_after, Some(Duration::from_secs(30)));
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    #[must_use]
    pub fn from_headers(headers: &HeaderMap, reset: ResetReading, since_epoch: Duration) -> Self {
        let mut reader = Reader::new(reset, since_epoch);
        for (name, value) in headers {
            reader.field(name.as_str(), value.as_bytes());
        }
        if let Some(after) = retry_after_by_wall(headers, since_epoch) {
            reader.retry_after(after);
        }
        reader.finish()
    }
}

/// What an answer's headers say of the server's quota, for `#[resilient(quota = …)]`; an error has none. A reset, or a
/// `Retry-After`, that is a point in time counts from the answer's own `Date`, so that the server's clock need not agree with ours; without one
/// from the time on our wall.
///
/// ```
/// use http::Response;
/// use seawall::limit::headers::response_report;
///
/// #[seawall::resilient(errors = "wrapped", quota = response_report)]
/// trait Partner {
///     async fn ask(&self) -> Result<Response<Vec<u8>>, std::io::Error>;
/// }
/// ```
#[must_use]
pub fn response_report<B, E>(result: &Result<Response<B>, E>) -> Option<Report> {
    header_report(result.as_ref().ok()?.headers())
}

/// The same for reqwest, which keeps no headers in an error: return the response, and leave out `error_for_status`.
#[cfg(feature = "reqwest")]
#[must_use]
pub fn reqwest_response_report(
    result: &Result<reqwest::Response, reqwest::Error>,
) -> Option<Report> {
    header_report(result.as_ref().ok()?.headers())
}

/// The same for the headers of any response.
pub(crate) fn header_report(headers: &HeaderMap) -> Option<Report> {
    let report = Report::from_headers(headers, ResetReading::Guess, since_epoch(headers));
    (!report.is_empty()).then_some(report)
}

/// By the answer's own `Date`, or else by our wall.
fn since_epoch(headers: &HeaderMap) -> Duration {
    date(headers).unwrap_or_else(|| Clock::from_fn(|| Moment::ZERO).since_epoch())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(fields: &[(&'static str, &'static str)]) -> Option<Report> {
        let mut response = Response::new(());
        for (name, value) in fields {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        response_report::<_, ()>(&Ok(response))
    }

    #[test]
    fn a_reset_that_is_a_point_in_time_counts_from_the_answers_own_date() {
        let fields = [
            ("x-ratelimit-limit", "100"),
            ("x-ratelimit-remaining", "7"),
            ("x-ratelimit-reset", "1000000030"),
            ("date", "Sun, 09 Sep 2001 01:46:40 GMT"),
        ];
        let report = told(&fields).unwrap();
        assert_eq!((report.limit, report.remaining), (Some(100), Some(7)));
        assert_eq!(report.reset_after, Some(Duration::from_secs(30)));
        let by_our_wall = told(&fields[..3]).unwrap();
        assert_eq!(by_our_wall.reset_after, Some(Duration::ZERO), "years ago");
    }

    #[test]
    fn a_retry_after_that_is_a_date_counts_from_the_answers_date_or_else_from_our_wall() {
        let now = Duration::from_secs(1_000_000_000);
        let asked = |fields: &[(&'static str, &'static str)], since_epoch| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, value.parse().unwrap());
            }
            Report::from_headers(&headers, ResetReading::Guess, since_epoch).retry_after
        };
        let until = ("retry-after", "Sun, 09 Sep 2001 01:47:40 GMT");
        let minute = Some(Duration::from_secs(60));
        assert_eq!(asked(&[until], now), minute);
        assert_eq!(asked(&[until, ("date", "yesterday")], now), minute);
        assert_eq!(asked(&[("retry-after", "5"), until], now), minute, "the latest");
        assert_eq!(asked(&[until, ("retry-after", "5")], now), minute);
        let theirs = ("date", "Sun, 09 Sep 2001 01:47:20 GMT");
        assert_eq!(asked(&[until, theirs], now), Some(Duration::from_secs(20)), "the better clock");
        assert_eq!(asked(&[until], 2 * now), Some(Duration::ZERO), "it has passed");
        assert_eq!(asked(&[until], Duration::MAX), Some(Duration::ZERO));
        let in_a_century = ("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(
            told(&[in_a_century]).unwrap().retry_after,
            Some(crate::classify::MAX_RETRY_AFTER)
        );
        assert_eq!(told(&[until]).unwrap().retry_after, Some(Duration::ZERO), "years ago");
    }

    #[test]
    fn an_answer_that_says_nothing_of_a_quota_tells_nothing_and_neither_does_an_error() {
        assert_eq!(told(&[("content-type", "text/plain")]), None);
        assert_eq!(response_report::<(), _>(&Err(())), None);
        let refused = told(&[("retry-after", "9")]).unwrap();
        assert_eq!(refused.retry_after, Some(Duration::from_secs(9)));
    }
}
