//! The queue as a stream and as a sink.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;

use super::get::{WaitingPosition, leave_get, poll_get};
use super::outcome::PutError;
use super::put::Putting;
use super::shared::Shared;

/// The items of a [`BackpressureQueue`](super::BackpressureQueue). Made by its `stream`.
pub struct QueueStream<T> {
    shared: Arc<Shared<T>>,
    place: WaitingPosition,
}

impl<T> QueueStream<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared, place: WaitingPosition::default() }
    }
}

impl<T> Stream for QueueStream<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        poll_get(&mut this.place, &this.shared, cx)
    }
}

impl<T> Drop for QueueStream<T> {
    fn drop(&mut self) {
        leave_get(&mut self.place, &self.shared);
    }
}

/// A [`BackpressureQueue`](super::BackpressureQueue) to send items into. Made by its `sink`.
///
/// It holds one item at most, which waits for room. What the strategy drops is dropped silently here, as a sink has no
/// way to give it back; [`counts`](super::BackpressureQueue::counts) tells. An item that is not let in is in the error of the next
/// operation. Closing it closes the queue, for all its producers.
pub struct QueueSink<T> {
    shared: Arc<Shared<T>>,
    waiting: Option<Putting<Arc<Shared<T>>, T>>,
}

impl<T> QueueSink<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared, waiting: None }
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PutError<T>>> {
        let Some(waiting) = &mut self.waiting else { return Poll::Ready(Ok(())) };
        let done = ready!(Pin::new(waiting).poll(cx));
        self.waiting = None;
        Poll::Ready(done.map(drop))
    }
}

impl<T> Sink<T> for QueueSink<T> {
    type Error = PutError<T>;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_waiting(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<(), Self::Error> {
        match Putting::begin(Arc::clone(&self.shared), item) {
            Ok(done) => done.map(drop),
            Err(waits) => {
                self.waiting = Some(waits);
                Ok(())
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_waiting(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let done = ready!(self.poll_waiting(cx));
        self.shared.step(|state, visit| state.close(visit));
        Poll::Ready(done)
    }
}

impl<T> fmt::Debug for QueueStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueStream").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for QueueSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueSink").field("waits", &self.waiting.is_some()).finish_non_exhaustive()
    }
}
