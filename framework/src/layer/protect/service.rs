//! The service that the layer makes of another.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body::Body;
use tower_service::Service;

use crate::call::{Call, Rules};
use crate::deadline::{self, Deadline, Origin};
use crate::dependency::HeldPermit;
use crate::error::{CallError, Fault};
use crate::outcome::Class;

use super::Shared;
use super::body::ProtectedBody;
use crate::layer::error::Problem;
use crate::layer::key::Head;

/// A protected service. Made by [`ProtectLayer`](super::ProtectLayer).
pub struct Protected<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S> Protected<S> {
    pub(super) fn new(shared: Arc<Shared>, inner: S) -> Self {
        Self { shared, inner }
    }
}

impl<S, A, B> Service<Request<A>> for Protected<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    A: Send + 'static,
    B: Body + Send + 'static,
{
    type Response = Response<ProtectedBody<B>>;
    type Error = S::Error;
    type Future = ProtectedFuture<Self::Response, S::Error>;

    /// Always ready: a request waits for a permit, and for the inner service to be ready, as part of itself.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let mut origin = Origin::default();
        if let Some(prioritize) = &self.shared.prioritize {
            origin = origin.with_priority(prioritize(&Head::from(&request)));
        }
        let work = serve(Arc::clone(&self.shared), self.inner.clone(), request);
        // Here, and not in the first poll: the scope around it is this task's.
        ProtectedFuture(Box::pin(deadline::scope(Deadline::never().from_origin(origin), work)))
    }
}

/// A good answer, or one that says that the server is in trouble, and its permit from now on.
struct Served<B> {
    response: Response<B>,
    permit: Option<HeldPermit>,
}

fn class<B, E>(answer: &Result<Served<B>, E>) -> Class {
    match answer {
        Ok(served) if !served.response.status().is_server_error() => Class::Success,
        _ => Class::Failure,
    }
}

async fn serve<S, A, B>(
    shared: Arc<Shared>,
    mut inner: S,
    request: Request<A>,
) -> Result<Response<ProtectedBody<B>>, S::Error>
where
    S: Service<Request<A>, Response = Response<B>>,
    B: Body,
{
    let dependency = shared.methods.dependency();
    let mut asked = None;
    let mut waiting = Some(request);
    let mut call = Call::begin(&shared.methods, 0);
    let answer = {
        let (asked, waiting) = (&mut asked, &mut waiting);
        let attempt = async move || {
            poll_fn(|cx| inner.poll_ready(cx)).await?;
            // It is polled to its end once at most.
            let Some(request) = waiting.take() else { return std::future::pending().await };
            *asked = Some(Asked::of(&request));
            let response = inner.call(request).await?;
            let has_body = !response.body().is_end_stream();
            let permit = has_body.then(|| HeldPermit::beside_another(dependency, 1));
            Ok(Served { response, permit })
        };
        let rules = Rules { classify: class::<B, S::Error>, ..Rules::USUAL };
        let answer = call.once(attempt, &rules).await;
        call.finish_wrapped(answer)
    };
    match answer {
        Ok(Served { response, permit }) => {
            Ok(response.map(|body| ProtectedBody::inner(body, permit)))
        }
        Err(CallError::Inner(error)) => Err(error),
        Err(CallError::Fault(fault)) => {
            let refusal = refuse(&shared, waiting.as_ref(), asked.as_ref(), &fault);
            Ok(refusal.map(ProtectedBody::refusal))
        }
    }
}

/// What is kept of a request that the inner service has, to answer in its place.
struct Asked {
    method: Method,
    uri: Uri,
    content_type: Option<HeaderValue>,
}

impl Asked {
    fn of<A>(request: &Request<A>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            content_type: request.headers().get(CONTENT_TYPE).cloned(),
        }
    }
}

fn refuse<A>(
    shared: &Shared,
    waiting: Option<&Request<A>>,
    asked: Option<&Asked>,
    fault: &Fault,
) -> Response<bytes::Bytes> {
    let problem = Problem::overloaded(fault);
    if let Some(request) = waiting {
        return shared.respond(&Head::from(request), &problem);
    }
    let (mut headers, extensions, root) = (HeaderMap::new(), Extensions::new(), Uri::default());
    // The request is either still here or has been looked at.
    let (method, uri) = asked.map_or((&Method::GET, &root), |asked| (&asked.method, &asked.uri));
    if let Some(content_type) = asked.and_then(|asked| asked.content_type.clone()) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    let head = Head { method, uri, headers: &headers, extensions: &extensions };
    shared.respond(&head, &problem)
}

/// The answer to come. Dropped, it gives everything back.
pub struct ProtectedFuture<R, E>(Pin<Box<dyn Future<Output = Result<R, E>> + Send>>);

impl<R, E> Future for ProtectedFuture<R, E> {
    type Output = Result<R, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<R, E> fmt::Debug for ProtectedFuture<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedFuture").finish_non_exhaustive()
    }
}

impl<S: Clone> Clone for Protected<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), inner: self.inner.clone() }
    }
}

impl<S: fmt::Debug> fmt::Debug for Protected<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protected")
            .field("shared", &self.shared)
            .field("inner", &self.inner)
            .finish()
    }
}
