//! A body that holds its request's permit.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::dependency::HeldPermit;

use crate::layer::body::ResponseBody;

pin_project! {
    /// The body of an answer of [`Protected`](super::Protected): the inner service's, or that of a refusal. It holds the request's permit until it is
    /// sent or dropped.
    pub struct ProtectedBody<B> {
        #[pin]
        body: ResponseBody<B>,
        permit: Option<HeldPermit>,
    }
}

impl<B> ProtectedBody<B> {
    pub(super) fn inner(body: B, permit: Option<HeldPermit>) -> Self {
        Self { body: ResponseBody::inner(body), permit }
    }

    pub(super) fn refusal(bytes: Bytes) -> Self {
        Self { body: ResponseBody::refusal(bytes), permit: None }
    }
}

impl<B: Body> Body for ProtectedBody<B>
where
    B::Data: From<Bytes>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            *this.permit = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: Default> Default for ProtectedBody<B> {
    fn default() -> Self {
        Self::inner(B::default(), None)
    }
}

impl<B> fmt::Debug for ProtectedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedBody")
            .field("body", &self.body)
            .field("has_permit", &self.permit.is_some())
            .finish()
    }
}
