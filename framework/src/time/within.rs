//! A future with a deadline.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use super::Time;
use crate::clock::Moment;

/// What the future comes to, or `None` if that is not before `deadline`; then it is dropped.
pub(crate) async fn within<F: Future>(
    time: &Time,
    deadline: Moment,
    future: F,
) -> Option<F::Output> {
    let (mut future, mut limit) = (pin!(future), pin!(time.limit(deadline)));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => limit.as_mut().poll(context).map(|()| None),
    })
    .await
}
