//! A place in the queue, and the wait in it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};

use crate::clock::Moment;
use crate::time::{Time, TimeLimit};

use super::waiter::{Position, WaitError};
use super::waiting_room::WaitingRoom;

/// A place in the waiting room, given up when dropped.
#[derive(Debug)]
pub(crate) struct InLine<'a, N: Fn() -> Moment> {
    room: &'a WaitingRoom,
    /// What time it is, for those who are next.
    now: N,
    position: Position,
    weight: u32,
    is_over: bool,
}

impl<'a, N: Fn() -> Moment> InLine<'a, N> {
    pub(crate) fn new(room: &'a WaitingRoom, now: N, position: Position, weight: u32) -> Self {
        Self { room, now, position, weight, is_over: false }
    }

    /// Waits until the place has been exchanged for a permit, which the caller owes back. It has been taken with the waker of the
    /// task that polls this first.
    pub(crate) async fn wait(mut self, time: &Time) -> Result<(), WaitError> {
        let ended = {
            let (room, position) = (self.room, &self.position);
            let mut limit = limit(time, position.gives_up_at);
            // Its waker is in the queue already. If the wait has ended since, that has woken this task.
            let mut has_waker = true;
            poll_fn(|cx| {
                loop {
                    if !std::mem::take(&mut has_waker)
                        && let Poll::Ready(end) = room.poll(position, cx)
                    {
                        return Poll::Ready(end);
                    }
                    let Some(until) = &mut limit else { return Poll::Pending };
                    ready!(Pin::new(&mut *until).poll(cx));
                    // A caller that was blocked outside a full mailbox, and is inside by now, may wait longer.
                    let gives_up_at = room.gives_up_at(position);
                    if gives_up_at <= until.deadline() {
                        let ended = room.give_up(position, &self.now);
                        return Poll::Ready(ended.map_or(Ok(()), Err));
                    }
                    limit = self::limit(time, gives_up_at);
                }
            })
            .await
        };
        self.is_over = true;
        ended
    }
}

/// `None`: for as long as it takes.
fn limit(time: &Time, gives_up_at: Moment) -> Option<TimeLimit> {
    (gives_up_at < Moment::MAX).then(|| time.limit(gives_up_at))
}

impl<N: Fn() -> Moment> Drop for InLine<'_, N> {
    fn drop(&mut self) {
        if !self.is_over && self.room.give_up(&self.position, &self.now).is_none() {
            // It was granted a permit at the same moment. The next waiter gets that.
            self.room.leave(self.weight, &self.now);
        }
    }
}
