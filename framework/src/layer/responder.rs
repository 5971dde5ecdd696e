//! Makes the answers to refused requests.

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;

use super::error::Problem;
use super::key::Head;

/// Makes the answer to a refused request; see [`RateLimitLayer::responder`](super::RateLimitLayer::responder). Implemented
/// for functions.
///
/// ```
/// use bytes::Bytes;
/// use http::Response;
/// use seawall::layer::{Head, Problem};
///
/// fn plain(_: &Head<'_>, problem: &Problem) -> Response<Bytes> {
///     let mut response = Response::new(Bytes::from_static(b"slow down"));
///     *response.status_mut() = problem.status();
///     response
/// }
/// # use seawall::clock::Moment;
/// # use seawall::layer::RateLimitLayer;
/// # use seawall::limit::{Rate, RateLimiter, TokenBucket};
/// # let limiter = RateLimiter::new(TokenBucket::new(&Rate::new(1, 1.0)?), Moment::ZERO);
/// let layer = RateLimitLayer::new(limiter).responder(plain);
/// # Ok::<(), seawall::constraint::InvalidSettings>(())
/// ```
pub trait Responder: Send + Sync + 'static {
    /// The answer. The rate-limit fields are put on it afterwards.
    fn respond(&self, head: &Head<'_>, problem: &Problem) -> Response<Bytes>;
}

impl<F> Responder for F
where
    F: Fn(&Head<'_>, &Problem) -> Response<Bytes> + Send + Sync + 'static,
{
    fn respond(&self, head: &Head<'_>, problem: &Problem) -> Response<Bytes> {
        self(head, problem)
    }
}

/// The answer of the layer's own responder, or the usual one.
pub(super) fn respond_by(
    responder: Option<&dyn Responder>,
    head: &Head<'_>,
    problem: &Problem,
) -> Response<Bytes> {
    match responder {
        Some(responder) => responder.respond(head, problem),
        None => respond(head, problem),
    }
}

/// In gRPC to a gRPC request, else in `application/problem+json`.
fn respond(head: &Head<'_>, problem: &Problem) -> Response<Bytes> {
    let content_type = head.headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if content_type.starts_with(b"application/grpc") {
        problem.grpc_response(content_type.starts_with(b"application/grpc-web"))
    } else {
        problem.response(head.method)
    }
}
