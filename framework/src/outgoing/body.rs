//! The body of a response, with what it holds.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::hold::Hold;

pin_project! {
    /// The body of a response that came through a layer. It holds the attempt's permit until it has ended or is dropped, and
    /// tells the breaker how a call of gRPC went when its trailers have come.
    pub struct HeldBody<B> {
        #[pin]
        body: B,
        hold: Hold,
    }
}

impl<B> HeldBody<B> {
    pub(super) fn new(body: B, hold: Hold) -> Self {
        Self { body, hold }
    }
}

impl<B: Body> Body for HeldBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => match frame.trailers_ref() {
                Some(trailers) => this.hold.trailers(trailers),
                None => this.hold.flow(),
            },
            Some(Err(_)) | None => this.hold.ended(),
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

impl<B> fmt::Debug for HeldBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldBody").field("hold", &self.hold).finish_non_exhaustive()
    }
}
