//! The answer to come.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;

use super::body::ResponseBody;
use super::counting::Remembered;
use super::headers::AnswerFields;

pin_project! {
    /// The inner service's answer with the limit's fields on it, or the refusal. Dropping it drops the inner service's
    /// future, and gives nothing back.
    pub struct ResponseFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = Projected]
    enum Kind<F> {
        Inner {
            #[pin]
            future: F,
            fields: Option<AnswerFields>,
            remembered: Option<Box<Remembered>>,
        },
        Refused {
            response: Option<Response<Bytes>>,
        },
    }
}

impl<F> ResponseFuture<F> {
    /// For a request that is not limited.
    pub(super) fn inner(future: F) -> Self {
        Self { kind: Kind::Inner { future, fields: None, remembered: None } }
    }

    pub(super) fn counted(
        future: F,
        fields: AnswerFields,
        remembered: Option<Box<Remembered>>,
    ) -> Self {
        Self { kind: Kind::Inner { future, fields: Some(fields), remembered } }
    }

    pub(super) fn refused(response: Response<Bytes>) -> Self {
        Self { kind: Kind::Refused { response: Some(response) } }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            Projected::Inner { future, fields, remembered } => {
                let mut answer = ready!(future.poll(context));
                if let (Ok(response), Some(remembered)) = (&answer, remembered.take()) {
                    remembered.answered(response.status(), response.headers());
                }
                if let (Ok(response), Some(fields)) = (&mut answer, fields.take()) {
                    fields.put(response.headers_mut());
                }
                Poll::Ready(answer.map(|response| response.map(ResponseBody::inner)))
            }
            // Polled again after it was ready: it stays pending.
            Projected::Refused { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response.map(ResponseBody::refusal))),
                None => Poll::Pending,
            },
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = matches!(self.kind, Kind::Refused { .. });
        f.debug_struct("ResponseFuture").field("refused", &refused).finish_non_exhaustive()
    }
}
