//! Requests that come in bring a deadline along.

use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderName, Request};
use tower_layer::Layer;
use tower_service::Service;

use crate::deadline::{self, Deadline, Origin, PLAIN_TIMEOUT, Scope, read_header, read_origin};

/// Answers each request in a [`scope`](deadline::scope) that lasts as long as its caller waits, by `grpc-timeout` or a plain
/// field in milliseconds: what the handler calls through clients ends in time. Where the request comes from
/// ([`ORIGIN`](deadline::ORIGIN)) holds in it too: calls in answer to a retry are not retried.
///
/// Put it inside the layers that should not have this deadline. A request that says nothing has that of
/// [`or`](Self::or), or none. It ends no handler by itself.
///
/// ```
/// use std::time::Duration;
/// use seawall::layer::DeadlineLayer;
///
/// let layer = DeadlineLayer::new().or(Duration::from_secs(5)).at_most(Duration::from_secs(30));
/// # drop(layer);
/// ```
#[derive(Clone, Debug)]
pub struct DeadlineLayer {
    plain: HeaderName,
    or: Option<Duration>,
    at_most: Duration,
    ignores_origin: bool,
}

impl Default for DeadlineLayer {
    fn default() -> Self {
        Self { plain: PLAIN_TIMEOUT, or: None, at_most: Duration::MAX, ignores_origin: false }
    }
}

impl DeadlineLayer {
    /// By `grpc-timeout`, or else by `x-envoy-expected-rq-timeout-ms`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another plain field, with whole milliseconds in it.
    #[must_use]
    pub fn header(self, plain: HeaderName) -> Self {
        Self { plain, ..self }
    }

    /// What a request has that says nothing. Default: no deadline.
    #[must_use]
    pub fn or(self, length: Duration) -> Self {
        Self { or: Some(length), ..self }
    }

    /// No request has more, whatever it says: the field is the caller's to write. Default: no limit.
    #[must_use]
    pub fn at_most(self, length: Duration) -> Self {
        Self { at_most: length, ..self }
    }

    /// Does not believe what a request says of where it comes from: each is a root request, of normal priority, and a first
    /// attempt. For a server that anybody can ask, who could say that everything is critical.
    #[must_use]
    pub fn ignore_origin(self) -> Self {
        Self { ignores_origin: true, ..self }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = WithDeadline<S>;

    fn layer(&self, inner: S) -> WithDeadline<S> {
        WithDeadline { settings: self.clone(), inner }
    }
}

/// A service whose requests have deadlines. Made by [`DeadlineLayer`].
#[derive(Clone, Debug)]
pub struct WithDeadline<S> {
    settings: DeadlineLayer,
    inner: S,
}

impl<S, B> Service<Request<B>> for WithDeadline<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Scope<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Scope<S::Future> {
        let said = read_header(request.headers(), &self.settings.plain);
        let length = said.or(self.settings.or).map(|length| length.min(self.settings.at_most));
        let ignores = self.settings.ignores_origin;
        let origin = if ignores { Origin::default() } else { read_origin(request.headers()) };
        let answer = self.inner.call(request);
        let deadline = length.map_or_else(Deadline::never, Deadline::from);
        deadline::scope(deadline.from_origin(origin), answer)
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// A service that answers with what is left.
    struct Left;

    impl Service<Request<()>> for Left {
        type Response = Option<Duration>;
        type Error = std::convert::Infallible;
        type Future =
            std::pin::Pin<Box<dyn Future<Output = Result<Option<Duration>, Self::Error>>>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            Box::pin(async { Ok(deadline::left()) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_has_the_time_that_its_caller_waits() {
        let ms = Duration::from_millis;
        let layer = DeadlineLayer::new().at_most(ms(900));
        for (layer, field, expected) in [
            (layer.clone(), Some(("grpc-timeout", "150m")), Some(ms(150))),
            (layer.clone(), Some(("x-envoy-expected-rq-timeout-ms", "250")), Some(ms(250))),
            (layer.clone(), Some(("grpc-timeout", "1H")), Some(ms(900))),
            (layer.clone(), Some(("x-other", "250")), None),
            (
                layer.clone().header(HeaderName::from_static("x-other")),
                Some(("x-other", "250")),
                Some(ms(250)),
            ),
            (layer.clone(), None, None),
            (layer.clone().or(ms(400)), None, Some(ms(400))),
            (layer.or(ms(4_000)), None, Some(ms(900))),
        ] {
            let mut request = Request::new(());
            if let Some((name, value)) = field {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            let left = layer.layer(Left).call(request).await.unwrap();
            assert_eq!(left, expected, "{field:?}");
        }
    }
}
