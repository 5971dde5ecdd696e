//! The service that the layer makes of another.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::body::ResponseBody;
use super::counting::Taken;
use super::error::Problem;
use super::future::ResponseFuture;
use super::headers::AnswerFields;
use super::key::Head;
use super::limit::{Answer, Limit};
use super::settings::Settings;

/// A service with a limit in front. Made by [`RateLimitLayer`](super::RateLimitLayer).
///
/// The inner service's body may be of any type: an answer's body is a [`ResponseBody`] around it.
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
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    /// Whether the inner service is ready. A limiter never waits, so it is always.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let settings = &self.settings;
        let head = Head::from(&request);
        if settings.exempts(&head) {
            return ResponseFuture::inner(self.inner.call(request));
        }
        let now = settings.clock.now();
        let cost = settings.cost_of(&head);
        let answer = self.limit.check(&head, now, cost);
        let (decision, policy, all, refusing) = match &answer {
            Answer::Free => return ResponseFuture::inner(self.inner.call(request)),
            Answer::Unidentified => {
                settings.meter.count("unidentified", false, now);
                return ResponseFuture::refused(settings.respond(&head, &Problem::unidentified()));
            }
            Answer::Decided { decision, policy } => {
                (decision, policy.unwrap_or(&settings.policy), None, 0)
            }
            Answer::Among { decision, policies, at, refusing } => {
                let policy = policies.as_slice().get(*at).unwrap_or(&settings.policy);
                (decision, policy, Some(&**policies), *refusing)
            }
        };
        settings.meter.count(policy.name(), decision.allowed, now);
        let fields = AnswerFields::new(decision, policy, all, settings);
        if decision.allowed {
            let counting = settings.counting.as_ref();
            let remembered = counting.map(|counting| {
                counting.remember(&request, Taken { cost, at: now }, &settings.clock)
            });
            return ResponseFuture::counted(self.inner.call(request), fields, remembered);
        }
        let mut problem = Problem::quota_exceeded(policy, fields.fields());
        for other in all.into_iter().flat_map(|all| all.of(refusing)) {
            problem = problem.and_policy(other);
        }
        let mut refusal = settings.respond(&head, &problem);
        fields.put(refusal.headers_mut());
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
