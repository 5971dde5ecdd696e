//! The answer to a refused request.

use std::fmt::Write;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};

use crate::error::{Fault, RejectedBy};
use crate::limit::headers::{Fields, QuotaPolicy};

const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const REDUCED_CAPACITY: &str =
    "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";
const BLANK: &str = "about:blank";
const REPEAT_LATER: &str =
    "Too many requests; the same request can be repeated after retry_after seconds.";

/// Why there is no better answer, as `application/problem+json` (RFC 9457).
///
/// The types are those that draft-ietf-httpapi-ratelimit-headers-11 registers. Nothing of the request is in it, and of a
/// [`Fault`] neither the dependency's name nor the error's text: clients need not know what stands behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: &'static str,
    retry_after: Option<u64>,
    /// The quoted names of the policies that were hit. JSON quotes printable ASCII as structured fields do.
    policies: Vec<String>,
}

impl Problem {
    fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: &'static str,
    ) -> Self {
        Self { status, kind, title, detail, retry_after: None, policies: Vec::new() }
    }

    fn over_quota(detail: &'static str) -> Self {
        let title = "Request cannot be satisfied as assigned quota has been exceeded";
        Self::new(StatusCode::TOO_MANY_REQUESTS, QUOTA_EXCEEDED, title, detail)
    }

    fn reduced_capacity(detail: &'static str) -> Self {
        let title = "Request cannot be satisfied due to temporary server capacity constraints";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, REDUCED_CAPACITY, title, detail)
    }

    /// A limit was reached: 429.
    #[must_use]
    pub fn quota_exceeded(policy: &QuotaPolicy, fields: &Fields) -> Self {
        let detail = match fields.retry_after {
            Some(_) => REPEAT_LATER,
            None => "The request asks for more than the limit ever allows at once.",
        };
        Self {
            retry_after: fields.retry_after,
            policies: vec![policy.quoted().to_owned()],
            ..Self::over_quota(detail)
        }
    }

    /// Another limit was reached at the same time. A policy that is named already is not named twice.
    #[must_use]
    pub fn and_policy(mut self, policy: &QuotaPolicy) -> Self {
        if self.policies.iter().all(|named| named != policy.quoted()) {
            self.policies.push(policy.quoted().to_owned());
        }
        self
    }

    /// Nobody can tell whose the request is: 403.
    #[must_use]
    pub fn unidentified() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            BLANK,
            "Forbidden",
            "The request does not say whose it is, so it cannot be counted.",
        )
    }

    /// A call behind this answer ended in a [`Fault`]: 503 when a guard has refused it or the dependency is unavailable; 504
    /// when it did not answer in time. `Retry-After` wherever the fault knows when. A rate limiter's refusal is 503 as well:
    /// it is our quota at the dependency that is used up, not the client's with us, who may have asked but once.
    #[must_use]
    pub fn of(fault: &Fault) -> Self {
        let mut problem = match fault {
            Fault::TimedOut { .. } | Fault::DeadlineExceeded { .. } => Self::new(
                StatusCode::GATEWAY_TIMEOUT,
                BLANK,
                "Gateway Timeout",
                "A service that this one depends on did not answer in time.",
            ),
            Fault::Rejected { .. } | Fault::Unavailable { .. } => Self::reduced_capacity(
                "A service that this one depends on is not available at present.",
            ),
        };
        problem.retry_after = fault.retry_after().map(seconds_up);
        problem
    }

    /// A server that is [protected](super::ProtectLayer) has refused a request, or had no answer for it in time: 429 by its rate
    /// limit, otherwise 503. `Retry-After` is there for each refusal: one second, where nobody knows better.
    #[must_use]
    pub fn overloaded(fault: &Fault) -> Self {
        let problem = match fault {
            Fault::Rejected { by: RejectedBy::RateLimit, .. } => Self::over_quota(REPEAT_LATER),
            Fault::TimedOut { .. } | Fault::DeadlineExceeded { .. } => {
                Self::reduced_capacity("The server had no answer in time.")
            }
            Fault::Rejected { .. } | Fault::Unavailable { .. } => {
                Self::reduced_capacity("The server has more requests than it can answer in time.")
            }
        };
        let after = fault.retry_after().map_or(1, seconds_up);
        let retry_after = matches!(fault, Fault::Rejected { .. }).then_some(after);
        Self { retry_after, ..problem }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// When it is worth coming back, in whole seconds, at least one.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// The body.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Self { status, kind, title, detail, .. } = self;
        let status = status.as_u16();
        // Nothing in these needs escaping: they are texts of ours.
        let mut json =
            format!(r#"{{"type":"{kind}","title":"{title}","status":{status},"detail":"{detail}""#);
        // Writing to a string cannot fail.
        if let Some(after) = self.retry_after {
            let _ = write!(json, r#","retry_after":{after}"#);
        }
        if !self.policies.is_empty() {
            let _ = write!(json, r#","violated-policies":[{}]"#, self.policies.join(","));
        }
        json.push('}');
        json
    }

    /// The answer to a gRPC request, as trailers only: HTTP status 200, no body, and the gRPC status among the headers
    /// ([the gRPC protocol](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)). A reached limit is
    /// `RESOURCE_EXHAUSTED` (8). `grpc-retry-pushback-ms` says when a client may retry, or by -1 that it should not (gRFC
    /// A6). `web`: the request was gRPC-Web.
    #[must_use]
    pub fn grpc_response<B: Default>(&self, web: bool) -> Response<B> {
        let code = match self.status {
            StatusCode::TOO_MANY_REQUESTS => 8,
            StatusCode::FORBIDDEN => 7,
            StatusCode::GATEWAY_TIMEOUT => 4,
            _ => 14,
        };
        let mut response = Response::new(B::default());
        let headers = response.headers_mut();
        let content_type = if web { "application/grpc-web+proto" } else { "application/grpc" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert("grpc-status", HeaderValue::from(code));
        // Printable ASCII without a percent sign, so it needs no escaping.
        headers.insert("grpc-message", HeaderValue::from_static(self.title));
        let pushback = match self.retry_after {
            Some(seconds) => HeaderValue::from(seconds.saturating_mul(1_000)),
            None => HeaderValue::from_static("-1"),
        };
        headers.insert("grpc-retry-pushback-ms", pushback);
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, after.into());
        }
        response
    }

    /// The whole answer; to `HEAD`, without a body, but with the length that the answer to `GET` has.
    #[must_use]
    pub fn response<B: From<String>>(&self, method: &Method) -> Response<B> {
        let mut body = self.to_json();
        let length = body.len();
        let is_head = method == Method::HEAD;
        if is_head {
            body.clear();
        }
        let mut response = Response::new(B::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        // The server would count the body as it sends it, and say zero (RFC 9110, 8.6).
        if is_head {
            headers.insert(CONTENT_LENGTH, length.into());
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, after.into());
        }
        response
    }
}

/// At least one: zero would tell an obedient client to hammer.
fn seconds_up(after: Duration) -> u64 {
    after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1)
}

#[cfg(feature = "axum")]
mod into_response {
    use axum::response::{IntoResponse, Response};

    use super::{Fault, Problem};
    use crate::error::CallError;

    impl IntoResponse for Problem {
        fn into_response(self) -> Response {
            self.response(&http::Method::GET)
        }
    }

    impl IntoResponse for Fault {
        /// As [`Problem::of`] says.
        fn into_response(self) -> Response {
            Problem::of(&self).into_response()
        }
    }

    impl<E: IntoResponse> IntoResponse for CallError<E> {
        /// A fault's as [`Problem::of`] says, the dependency's own error as it likes.
        fn into_response(self) -> Response {
            match self {
                Self::Fault(fault) => fault.into_response(),
                Self::Inner(error) => error.into_response(),
            }
        }
    }
}
