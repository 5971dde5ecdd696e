//! A time limit on something that waits for I/O.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::clock::Moment;

use super::{Sleep, Time};

/// How many turns the I/O driver gets. One brings the bytes to the task that owns the socket; the others let that
/// task hand them on, and a body arrive in pieces.
const TURNS: u32 = 6;

/// A [`Sleep`] that ends what it limits. When its moment has come, it gives the runtime's I/O driver a few turns
/// before it is over.
///
/// Timers of ours wake tasks from a thread of their own. On a runtime whose threads were busy, or in a process that
/// was stopped for a while, a task can be woken while its answer already lies in the socket and the driver has not
/// looked yet. Such an answer is in time and must win. A turn costs a poll, and only limits that were reached take any.
pub(crate) struct TimeLimit {
    sleep: Sleep,
    turns: u32,
    turn: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

impl TimeLimit {
    pub(super) fn new(time: &Time, deadline: Moment) -> Self {
        let turns = if time.is_manual() { 0 } else { TURNS };
        Self { sleep: time.sleep_until(deadline), turns, turn: None }
    }

    /// When it ends.
    pub(crate) fn deadline(&self) -> Moment {
        self.sleep.deadline()
    }
}

impl Future for TimeLimit {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.sleep).poll(cx));
        while this.turns > 0 {
            // tokio wakes a task that yields only after its driver has run. Outside of tokio this wakes the task at once.
            let turn = this.turn.get_or_insert_with(|| Box::pin(tokio::task::yield_now()));
            ready!(turn.as_mut().poll(cx));
            this.turn = None;
            this.turns -= 1;
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeLimit").field("deadline", &self.deadline()).finish_non_exhaustive()
    }
}
