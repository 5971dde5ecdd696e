//! The service that the layer makes of another.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::error::Problem;
use super::future::ResponseFuture;
use super::headers::Stamp;
use super::key::Head;
use super::layer::Settings;
use super::limit::{Answer, Limit};

/// A service with a limit in front. Made by [`RateLimitLayer`](super::RateLimitLayer).
///
/// Its body is the inner service's, which must be made from a `String`, as axum's and http-body-util's `Full` are, to
/// answer refused requests.
pub struct RateLimited<L, S> {
    limit: Arc<L>,
    settings: Arc<Settings>,
    inner: S,
}

impl<L, S> RateLimited<L, S> {
    pub(super) fn new(limit: Arc<L>, settings: Arc<Settings>, inner: S) -> Self {
        Self { limit, settings, inner }
    }

    /// The service behind the limit.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<L, S, A, B> Service<Request<A>> for RateLimited<L, S>
where
    L: Limit,
    S: Service<Request<A>, Response = Response<B>>,
    B: From<String>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, B>;

    /// Whether the inner service is ready. A limiter never waits, so it is always.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let settings = &self.settings;
        let head = Head::from(&request);
        if settings.exempts(&head) {
            return ResponseFuture::inner(self.inner.call(request), None);
        }
        let answer = self.limit.check(&head, settings.clock.now(), settings.cost_of(&head));
        let (decision, policy, all, refusing) = match &answer {
            Answer::Free => return ResponseFuture::inner(self.inner.call(request), None),
            Answer::Unidentified => {
                let refusal = Problem::unidentified().response(request.method());
                return ResponseFuture::refused(refusal);
            }
            Answer::Decided { decision, policy } => {
                (decision, policy.unwrap_or(&settings.policy), None, 0)
            }
            Answer::Among { decision, policies, at, refusing } => {
                let policy = policies.as_slice().get(*at).unwrap_or(&settings.policy);
                (decision, policy, Some(&**policies), *refusing)
            }
        };
        let stamp = Stamp::new(decision, policy, all, settings);
        if decision.allowed {
            return ResponseFuture::inner(self.inner.call(request), Some(stamp));
        }
        let mut problem = Problem::quota_exceeded(policy, stamp.fields());
        for other in all.into_iter().flat_map(|all| all.of(refusing)) {
            problem = problem.and_policy(other);
        }
        let mut refusal = problem.response(request.method());
        stamp.put(refusal.headers_mut());
        ResponseFuture::refused(refusal)
    }
}

impl<L, S: Clone> Clone for RateLimited<L, S> {
    fn clone(&self) -> Self {
        Self {
            limit: Arc::clone(&self.limit),
            settings: Arc::clone(&self.settings),
            inner: self.inner.clone(),
        }
    }
}

impl<L: fmt::Debug, S: fmt::Debug> fmt::Debug for RateLimited<L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RateLimited");
        debug.field("limit", &self.limit).field("settings", &self.settings);
        debug.field("inner", &self.inner).finish()
    }
}
