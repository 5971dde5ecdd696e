//! A time limit on something that waits for I/O.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::clock::Moment;

use super::{Sleep, Source, Time};

/// How many turns the I/O driver gets. One brings the bytes to the task that owns the socket; the others let that
/// task hand them on, and a body arrive in pieces.
const TURNS: u32 = 6;
/// An end that is noticed later than this was held up: the machine, or all threads of the runtime, were busy.
const LATE: Duration = Duration::from_millis(5);
/// What such an end waits for in addition, at most: the task that reads the answer may be on a thread that has not run yet.
const GRACE_MAX: Duration = Duration::from_millis(20);

/// A [`Sleep`] that ends what it limits. When its moment has come, it gives the runtime's I/O driver a few turns
/// before it is over.
///
/// Timers of ours wake tasks from a thread of their own. On a runtime whose threads were busy, or in a process that
/// was stopped for a while, a task can be woken while its answer already lies in the socket and the driver has not
/// looked yet. Such an answer is in time and must win. A turn costs a poll, and only limits that were reached take any.
///
/// An end that is noticed late waits a little longer, by as much as it is late and 20 ms at most.
pub(crate) struct TimeLimit {
    deadline: Moment,
    sleep: Sleep,
    grace: Grace,
    turns: u32,
    turn: Option<Pin<Box<dyn Future<Output = ()> + Send + Sync>>>,
}

/// What an end that is noticed late still gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grace {
    IfLate,
    Given,
}

impl Time {
    /// A limit at `deadline` on something that waits for I/O; see [`TimeLimit`].
    pub(crate) fn limit(&self, deadline: Moment) -> TimeLimit {
        let (turns, grace) = match self.0 {
            Source::System(_) => (TURNS, Grace::IfLate),
            // Its timers end where its driver runs.
            Source::Tokio(_) => (TURNS, Grace::Given),
            Source::Manual(_) => (0, Grace::Given),
        };
        TimeLimit { deadline, sleep: self.sleep_until(deadline), grace, turns, turn: None }
    }
}

impl TimeLimit {
    /// When it ends.
    pub(crate) fn deadline(&self) -> Moment {
        self.deadline
    }
}

impl Future for TimeLimit {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        loop {
            ready!(Pin::new(&mut this.sleep).poll(cx));
            if std::mem::replace(&mut this.grace, Grace::Given) == Grace::Given {
                break;
            }
            let late = Time::system().now().since(this.deadline);
            if late < LATE {
                break;
            }
            this.sleep = Time::system().sleep(late.min(GRACE_MAX));
        }
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
        f.debug_struct("TimeLimit").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
