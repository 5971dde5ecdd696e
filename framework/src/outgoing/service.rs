//! A client behind guards, as a `tower::Service`.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tower_service::Service;

use crate::call::Call;
use crate::clock::Moment;
use crate::deadline::{self, Origin};
use crate::error::{CallError, Fault};

use super::answered::{Answered, BoxError};
use super::guards::Guards;
use super::message::{OutgoingRequest, OutgoingResponse};
use super::resend::{Resend, SentOnce};

/// A client with the guards of its dependency around it. Made by [`OutgoingLayer`](super::OutgoingLayer).
pub struct Outgoing<S, F = SentOnce> {
    guards: Arc<Guards>,
    inner: S,
    resend: F,
    /// The wait of a service that is not ready.
    waiting: Option<Waiting>,
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

impl<S, F> Outgoing<S, F> {
    pub(super) fn new(guards: Arc<Guards>, inner: S, resend: F) -> Self {
        Self { guards, inner, resend, waiting: None }
    }

    /// The client behind the guards.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S, F, Q> Service<Q> for Outgoing<S, F>
where
    Q: OutgoingRequest + Send + 'static,
    S: Service<Q> + Clone + Send + 'static,
    S::Response: OutgoingResponse + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    F: Resend<Q> + Send + 'static,
{
    type Response = <S::Response as OutgoingResponse>::Guarded;
    type Error = BoxError;
    type Future = ResponseFuture<Self::Response>;

    /// Always ready: a call waits for a permit, and for the inner service to be ready, as part of itself, where the policy
    /// bounds it. With [`LayerBuilder::wait_until_ready`](crate::runtime::LayerBuilder::wait_until_ready), ready while the
    /// [pressure](crate::DependencyHandle::pressure) is below 1.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.guards.settings.waits_until_ready {
            let waiting = self.waiting.get_or_insert_with(|| {
                let methods = Arc::clone(&self.guards.methods);
                Box::pin(async move { methods.dependency().ready().await })
            });
            ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let call = Sending {
            guards: Arc::clone(&self.guards),
            inner: self.inner.clone(),
            resend: self.resend.clone(),
            request,
        };
        ResponseFuture(Box::pin(call.run()))
    }
}

impl<S: Clone, F: Clone> Clone for Outgoing<S, F> {
    fn clone(&self) -> Self {
        Self {
            guards: Arc::clone(&self.guards),
            inner: self.inner.clone(),
            resend: self.resend.clone(),
            waiting: None,
        }
    }
}

impl<S: fmt::Debug, F> fmt::Debug for Outgoing<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Outgoing");
        debug.field("guards", &self.guards).field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// The response to come. Dropped, it gives everything back, as a client's method does.
pub struct ResponseFuture<R>(Pin<Box<dyn Future<Output = Result<R, BoxError>> + Send>>);

impl<R> Future for ResponseFuture<R> {
    type Output = Result<R, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<R> fmt::Debug for ResponseFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// One call.
struct Sending<S, F, Q> {
    guards: Arc<Guards>,
    inner: S,
    resend: F,
    request: Q,
}

impl<S, F, Q> Sending<S, F, Q>
where
    Q: OutgoingRequest,
    S: Service<Q> + Clone,
    S::Response: OutgoingResponse + 'static,
    S::Error: Into<BoxError>,
    F: Resend<Q>,
{
    async fn run(self) -> Result<<S::Response as OutgoingResponse>::Guarded, BoxError> {
        let Self { guards, inner, resend, request } = self;
        let head = request.head();
        let (method, is_grpc) = (guards.method_of(&head), head.is_grpc());
        // Before the request is copied for attempts that will not be made.
        if let Some(fault) = Call::refused_at_once(&guards.methods, method) {
            return Err(told(fault, is_grpc));
        }
        let mut call = Call::begin(&guards.methods, method);
        let to = Attempt { guards: &guards, method, is_grpc, deadline: call.attempts_end() };
        let spare =
            if guards.methods.is_idempotent(method) { resend.resend(&request) } else { None };
        let answer = match spare {
            None => {
                let only = move || to.send(inner, Some(request), Origin::default());
                call.once(only, Answered::RULES).await
            }
            Some(spare) => {
                let mut first = Some(request);
                let mut attempts = 0_u32;
                let next = move || {
                    attempts = attempts.saturating_add(1);
                    let request = first.take().or_else(|| resend.resend(&spare));
                    to.send(inner.clone(), request, Origin::of_attempt(attempts))
                };
                call.repeat(next, Answered::RULES).await
            }
        };
        let answer = match answer {
            // It is counted when its last word has come.
            Some(Ok(answered)) if answered.goes_on() => return Ok(answered.into_response()),
            answer => call.finish_wrapped(answer),
        };
        match answer {
            Ok(answered) => Ok(answered.into_response()),
            Err(CallError::Inner(error)) => Err(error),
            Err(CallError::Fault(fault)) => Err(told(fault, is_grpc)),
        }
    }
}

/// What the attempts of one call have in common.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    guards: &'a Arc<Guards>,
    method: usize,
    is_grpc: bool,
    /// By when the call's attempts have to end.
    deadline: Moment,
}

impl Attempt<'_> {
    async fn send<S, Q>(
        self,
        mut inner: S,
        request: Option<Q>,
        origin: Origin,
    ) -> Result<Answered<S::Response>, BoxError>
    where
        Q: OutgoingRequest,
        S: Service<Q>,
        S::Response: OutgoingResponse + 'static,
        S::Error: Into<BoxError>,
    {
        let mut request = request.ok_or("the request could be copied once, and not again")?;
        let timeout = self.guards.methods.timeout(self.method);
        let until = self.deadline.min(self.guards.now() + timeout);
        poll_fn(|cx| inner.poll_ready(cx)).await.map_err(Into::into)?;
        let plain = self.guards.settings.timeout_header.as_ref();
        let left = until.since(self.guards.now());
        deadline::write(request.headers_mut(), self.is_grpc, plain, left);
        let origin = origin.within(deadline::origin());
        deadline::write_origin(request.headers_mut(), origin);
        let response = inner.call(request).await.map_err(Into::into)?;
        Ok(Answered::read(response, self.guards, self.method, self.is_grpc.then_some(until)))
    }
}

/// A fault as an error. A client of tonic's looks for a status.
fn told(fault: Fault, is_grpc: bool) -> BoxError {
    #[cfg(feature = "tonic")]
    if is_grpc {
        return Box::new(tonic::Status::from(fault));
    }
    let _ = is_grpc;
    Box::new(fault)
}
