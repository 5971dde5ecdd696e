//! A request for permits that has to wait.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::clock::Moment;
use crate::error::RejectedBy;
use crate::time::TimeLimit;

use super::semaphore::{Joins, Place};
use super::{Bulkhead, NoPermit, Permit};

/// Joins the queue when it is first polled, and leaves it when it is dropped.
pub(super) struct Request<'a> {
    bulkhead: &'a Bulkhead,
    weight: u32,
    in_line: Option<InLine>,
}

struct InLine {
    place: Place,
    /// When it has waited long enough for a permit.
    give_up_at: Moment,
    limit: Option<TimeLimit>,
}

impl<'a> Request<'a> {
    #[inline]
    pub(super) fn new(bulkhead: &'a Bulkhead, weight: u32) -> Self {
        Self { bulkhead, weight, in_line: None }
    }

    fn join(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RejectedBy>> {
        let bulkhead = self.bulkhead;
        if bulkhead.max_wait.is_some_and(|wait| wait.is_zero()) {
            return Poll::Ready(Err(RejectedBy::Bulkhead));
        }
        // Before the queue has it, so that nothing comes between its place there and what gives that up.
        let (give_up_at, blocked_until) = bulkhead.ends();
        match bulkhead.semaphore.join(self.weight, cx.waker()) {
            Joins::Acquired => Poll::Ready(Ok(())),
            Joins::Refused(by) => Poll::Ready(Err(by)),
            Joins::Waiting { place, is_blocked } => {
                let first = if is_blocked { give_up_at.min(blocked_until) } else { give_up_at };
                let limit = bulkhead.limit_at(first);
                let in_line = self.in_line.insert(InLine { place, give_up_at, limit });
                in_line.poll_limit(bulkhead, cx)
            }
        }
    }
}

impl InLine {
    fn poll(&mut self, at: &Bulkhead, cx: &mut Context<'_>) -> Poll<Result<(), RejectedBy>> {
        match at.semaphore.poll(self.place, cx) {
            Poll::Ready(end) => Poll::Ready(end),
            Poll::Pending => self.poll_limit(at, cx),
        }
    }

    fn poll_limit(&mut self, at: &Bulkhead, cx: &mut Context<'_>) -> Poll<Result<(), RejectedBy>> {
        while let Some(limit) = &mut self.limit {
            ready!(Pin::new(&mut *limit).poll(cx));
            let is_over = self.give_up_at <= limit.deadline();
            if is_over || at.semaphore.is_blocked(self.place) {
                return match at.semaphore.give_up(self.place) {
                    Some(by) => Poll::Ready(Err(by)),
                    // It has left the queue before.
                    None => at.semaphore.poll(self.place, cx),
                };
            }
            // It was blocked in front of the full queue, and has moved up since.
            self.limit = at.limit_at(self.give_up_at);
        }
        Poll::Pending
    }
}

impl<'a> Future for Request<'a> {
    type Output = Result<Permit<'a>, NoPermit>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let ended = match &mut this.in_line {
            None => this.join(cx),
            Some(in_line) => in_line.poll(this.bulkhead, cx),
        };
        let ended = ready!(ended);
        this.in_line = None;
        let (bulkhead, weight) = (this.bulkhead, this.weight);
        Poll::Ready(match ended {
            Ok(()) => Ok(Permit { bulkhead, weight }),
            Err(by) => Err(bulkhead.refused(by, weight)),
        })
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        if let Some(in_line) = &self.in_line {
            self.bulkhead.semaphore.abandon(in_line.place, self.weight);
        }
    }
}
