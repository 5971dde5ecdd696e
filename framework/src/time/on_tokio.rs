//! tokio's clock and timers, behind the face of our own.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::catch_unwind;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::Time;
use crate::clock::{Clock, Moment};

/// The moment at which this process first asked. Not zero, because a runtime whose clock was paused
/// before that lies in its past, and must still see its own time move.
const FIRST_ASKED: Moment = Moment::from_nanos(24 * 3600 * 1_000_000_000);

pub(super) fn clock() -> Clock {
    origin();
    Clock::from_fn(now)
}

/// The real clock's, not the current runtime's, which may have been advanced by years.
#[expect(clippy::disallowed_methods, reason = "the point from which tokio's clock is counted")]
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

#[expect(clippy::disallowed_methods, reason = "follows tokio's clock: the one place that may")]
pub(super) fn now() -> Moment {
    let (now, origin) = (tokio::time::Instant::now().into_std(), origin());
    match now.checked_duration_since(origin) {
        Some(after) => FIRST_ASKED + after,
        None => FIRST_ASKED.before(origin.saturating_duration_since(now)),
    }
}

/// Whether the clock of the current runtime stands still, or has been moved, as a test has told it to. Takes three looks at a clock.
#[expect(
    clippy::disallowed_methods,
    reason = "tokio does not say so: its clock is held against the other"
)]
pub(super) fn is_paused() -> bool {
    if tokio::runtime::Handle::try_current().is_err() {
        return false;
    }
    // A clock that stands, or has been advanced, does not tell the time between these two.
    let before = Instant::now();
    let told = tokio::time::Instant::now().into_std();
    let after = Instant::now();
    told < before || told > after
}

/// Cuts short every wait, not the sleeps themselves: they find the time not up and wait again.
static NUDGE: Notify = Notify::const_new();

/// Wakes every sleeper.
pub(super) fn nudge() {
    NUDGE.notify_waiters();
}

/// tokio's sleep, or where there is none, ours.
type Boxed = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// A sleep's hold on tokio's timers; made on the first poll that has to wait.
#[derive(Default)]
pub(super) struct Arm(Option<Boxed>);

impl Arm {
    pub(super) fn poll(&mut self, deadline: Moment, context: &mut Context<'_>) -> Poll<()> {
        // Twice, because a timer can end before this runtime's clock says so: one that was nudged, or
        // armed on another runtime, or beyond the 30 years that tokio waits at most.
        for _ in 0..2 {
            let now = now();
            if now >= deadline {
                self.0 = None;
                return Poll::Ready(());
            }
            let sleep = self.0.get_or_insert_with(|| sleep(deadline.since(now)));
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.0 = None;
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl fmt::Debug for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Arm").field(&self.0.is_some()).finish()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is what Time::sleep comes down to on tokio")]
fn sleep(length: Duration) -> Boxed {
    if Handle::try_current().is_ok() {
        // A runtime built without timers panics here, and there is no way to ask it beforehand.
        if let Ok(sleep) = catch_unwind(|| Box::pin(tokio::time::sleep(length))) {
            return Box::pin(first_of(sleep, NUDGE.notified()));
        }
    }
    Box::pin(Time::system().sleep(length))
}

/// Ends when either does.
async fn first_of(mut sleep: Pin<Box<tokio::time::Sleep>>, nudged: impl Future<Output = ()>) {
    let mut nudged = pin!(nudged);
    poll_fn(|context| match nudged.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => sleep.as_mut().poll(context),
    })
    .await;
}
