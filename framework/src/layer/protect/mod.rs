//! A server that is protected from more requests than it can serve.

mod body;
mod service;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use tower_layer::Layer;

use crate::backpressure::Priority;
use crate::dependency::{MethodSpec, MethodTable};

use super::error::Problem;
use super::key::Head;
use super::responder::{Responder, respond_by};

pub use body::ProtectedBody;
pub use service::{Protected, ProtectedFuture};

/// The one method that a protected server has.
pub(crate) const METHOD: MethodSpec = MethodSpec { name: "request", ..MethodSpec::NONE };

/// How important a request is.
type Prioritize = dyn Fn(&Head<'_>) -> Priority + Send + Sync;

/// Lets as many requests into a server as it can answer in time, the most important first, and refuses the others at once with
/// `503 Service Unavailable` and `Retry-After`, before their bodies are read. Made by `Seawall::protect`. Cheap to clone;
/// clones, and all services made by them, share it.
///
/// A request passes, in this order,
///
/// 1. the rate limit of its section of the policy file (`429`), for all clients together; for one for each client, put a
///    [`RateLimitLayer`](super::RateLimitLayer) around this layer;
/// 2. the priorities: while more come than can be served, the least important share of them is refused, by one decision for all
///    requests of one root request;
/// 3. the permits, whose number finds itself (`limit = "adaptive"`);
/// 4. where none is free, the queue, for up to `max_wait`.
///
/// It is a dependency like any other, with metrics, events and a policy that can be reloaded. A server without a section
/// has [`Policy::for_server`](crate::policy::Policy::for_server); a section says everything itself, and should switch the breaker off:
/// a server that answers a few requests badly is rarely better off answering none.
///
/// ```toml
/// [api]
/// timeout = "5s"
/// breaker = { mode = "disabled" }
/// bulkhead = { max_concurrent = 1000, max_wait = "250ms", limit = "adaptive" }
/// mailbox = { capacity = 200, on_full = "error", priorities = true }
/// rate_limit = { token_bucket = { capacity = 5000, refill_per_second = 2000 } }
/// ```
///
/// ```
/// # #[cfg(feature = "axum")]
/// # async fn app(seawall: seawall::Seawall) -> Result<axum::Router, Box<dyn std::error::Error>> {
/// use axum::{Router, routing::get};
/// use seawall::Priority;
/// use seawall::layer::DeadlineLayer;
///
/// let protect = seawall.protect("api").await?.priority(|request| match request.uri.path() {
///     "/checkout" => Priority::CRITICAL,
///     path if path.starts_with("/reports") => Priority::SHEDDABLE,
///     _ => Priority::NORMAL,
/// });
/// let app = Router::new()
///     .route("/checkout", get(|| async { "paid" }))
///     .layer(protect)
///     // Outermost: callers' deadlines. Where callers are services of your own, without `ignore_origin`: then the priority of
///     // the work that they belong to comes along.
///     .layer(DeadlineLayer::new().ignore_origin());
/// # Ok(app)
/// # }
/// ```
///
/// # What counts as good
/// An answer with a status below 500, in time. The number of permits goes by how many of those there are a second. A request
/// has its permit until its answer's body has been sent, or dropped.
///
/// # Cancellation
/// A client that goes away takes its request out of the queue, or its permit back.
pub struct ProtectLayer {
    shared: Arc<Shared>,
}

/// What all services made by one layer share.
#[derive(Clone)]
struct Shared {
    methods: Arc<MethodTable>,
    prioritize: Option<Arc<Prioritize>>,
    responder: Option<Arc<dyn Responder>>,
}

impl ProtectLayer {
    pub(crate) fn new(methods: Arc<MethodTable>) -> Self {
        Self { shared: Arc::new(Shared { methods, prioritize: None, responder: None }) }
    }

    /// How important a request is. No more than the work that it belongs to, where a [`DeadlineLayer`](super::DeadlineLayer)
    /// outside has read that. Default: as important as that work; normal, if nobody has said anything.
    #[must_use]
    pub fn priority(self, of: impl Fn(&Head<'_>) -> Priority + Send + Sync + 'static) -> Self {
        self.with(|shared| shared.prioritize = Some(Arc::new(of)))
    }

    /// Makes the answers to requests that are refused, or have no answer in time. Default: `application/problem+json` as
    /// [`Problem::overloaded`] has it, and to gRPC requests a gRPC status.
    #[must_use]
    pub fn responder(self, responder: impl Responder) -> Self {
        self.with(|shared| shared.responder = Some(Arc::new(responder)))
    }

    fn with(mut self, set: impl FnOnce(&mut Shared)) -> Self {
        set(Arc::make_mut(&mut self.shared));
        self
    }
}

impl Shared {
    fn respond(&self, head: &Head<'_>, problem: &Problem) -> Response<Bytes> {
        respond_by(self.responder.as_deref(), head, problem)
    }
}

impl<S> Layer<S> for ProtectLayer {
    type Service = Protected<S>;

    fn layer(&self, inner: S) -> Protected<S> {
        Protected::new(Arc::clone(&self.shared), inner)
    }
}

impl Clone for ProtectLayer {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl fmt::Debug for ProtectLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectLayer").field("shared", &self.shared).finish()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("methods", &self.methods).finish_non_exhaustive()
    }
}
