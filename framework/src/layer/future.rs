//! The answer to come.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use super::headers::Stamp;

pin_project! {
    /// The inner service's answer with the limit's fields on it, or the refusal. Dropping it drops the inner service's
    /// future, and gives nothing back.
    pub struct ResponseFuture<F, B> {
        #[pin]
        kind: Kind<F, B>,
    }
}

pin_project! {
    #[project = Projected]
    enum Kind<F, B> {
        Inner {
            #[pin]
            future: F,
            stamp: Option<Stamp>,
        },
        Refused {
            response: Option<Response<B>>,
        },
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(super) fn inner(future: F, stamp: Option<Stamp>) -> Self {
        Self { kind: Kind::Inner { future, stamp } }
    }

    pub(super) fn refused(response: Response<B>) -> Self {
        Self { kind: Kind::Refused { response: Some(response) } }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            Projected::Inner { future, stamp } => {
                let mut answer = ready!(future.poll(context));
                if let (Ok(response), Some(stamp)) = (&mut answer, stamp.take()) {
                    stamp.put(response.headers_mut());
                }
                Poll::Ready(answer)
            }
            // Polled again after it was ready: it has nothing more to say, ever.
            Projected::Refused { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
        }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = matches!(self.kind, Kind::Refused { .. });
        f.debug_struct("ResponseFuture").field("refused", &refused).finish_non_exhaustive()
    }
}
