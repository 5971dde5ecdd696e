//! Time: the present moment and a sleep until a later one, from one source.
//!
//! A [`Time`] is the system's, tokio's (so that a test's paused clock is followed), or cranked by
//! hand. The two must come from one source: a sleep that ends by one clock while the code around it
//! reads another has fired early or late.
//!
//! The system's timers are ours: tokio's cost more to arm and cancel than a whole guarded call, and
//! need a tokio runtime. They sit in timing wheels (see `wheel.rs`) that one thread of the process,
//! `seawall-timers`, drives; it is started by the first sleep that waits.

mod block_on;
mod driver;
mod limit;
#[cfg(all(test, seawall_loom))]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod loom;
mod manual;
mod on_tokio;
#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests;
mod wheel;
mod within;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::{Clock, Moment};

pub(crate) use block_on::block_on;
pub(crate) use limit::TimeLimit;
pub use manual::ManualTime;
pub(crate) use within::within;

/// Tells the time and sleeps, both by the same clock. Cloning is cheap; clones share the clock.
#[derive(Clone)]
pub struct Time(Source);

#[derive(Clone)]
enum Source {
    System(&'static driver::Timers),
    Tokio(Clock),
    Manual(ManualTime),
}

impl Time {
    /// The system's monotonic clock and Seawall's own timers: what production runs on, and the
    /// default. Needs no runtime. The first one in a process takes up to 200 ms to calibrate the
    /// clock; the timer thread starts with the first sleep that waits.
    ///
    /// A process that forks after that has no timer thread in the child, and there its sleeps never end: fork
    /// (daemonise, start workers) before the first call.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System(driver::Timers::of_the_process()))
    }

    /// tokio's clock and tokio's timers: follows a clock that a test has paused or advanced.
    ///
    /// The clock is the current runtime's; outside any runtime it is the real one. A sleep belongs
    /// to the runtime it is first polled on; where there is none, or one without timers, it falls
    /// back to the system's timers. Moments of one runtime compare with those of another only as
    /// well as their clocks do.
    #[must_use]
    pub fn tokio() -> Self {
        Self(Source::Tokio(on_tokio::clock()))
    }

    /// [`Time::system`]; or [`Time::tokio`] on a runtime whose clock a test has paused, as `#[tokio::test(start_paused = true)]`
    /// does.
    pub(crate) fn usual() -> Self {
        if on_tokio::is_paused() { Self::tokio() } else { Self::system() }
    }

    /// Time that stands still until it is advanced by hand; starts at [`Moment::ZERO`].
    #[must_use]
    pub fn manual() -> ManualTime {
        ManualTime::new()
    }

    /// The present moment.
    #[must_use]
    #[inline]
    pub fn now(&self) -> Moment {
        self.clock().now()
    }

    /// The clock behind [`Time::now`], for a part that only ever asks the time.
    #[must_use]
    #[inline]
    pub fn clock(&self) -> &Clock {
        match &self.0 {
            Source::System(timers) => timers.clock(),
            Source::Tokio(clock) => clock,
            Source::Manual(manual) => manual.clock(),
        }
    }

    /// A sleep that ends at `deadline`, or at once if that has passed; [`Moment::MAX`] never comes.
    ///
    /// It costs nothing until it is polled and has to wait; see [`Sleep`].
    #[inline]
    pub fn sleep_until(&self, deadline: Moment) -> Sleep {
        let arm = match &self.0 {
            Source::System(timers) => Arm::System(driver::Arm::new(timers)),
            Source::Tokio(_) => Arm::Tokio(on_tokio::Arm::default()),
            Source::Manual(manual) => Arm::Manual(manual::Arm::new(manual)),
        };
        Sleep { deadline, arm }
    }

    /// Wakes every task that sleeps by this time, once; its sleep is not over and goes on. For code that
    /// has changed something that sleepers look at when they wake, such as a shutdown.
    pub(crate) fn nudge(&self) {
        match &self.0 {
            Source::System(timers) => timers.nudge(),
            Source::Tokio(_) => on_tokio::nudge(),
            Source::Manual(manual) => manual.nudge(),
        }
    }

    /// A sleep that ends `length` from now: counted from this call, not from the first poll.
    /// One too long for the clock (584 years) never ends.
    pub fn sleep(&self, length: Duration) -> Sleep {
        self.sleep_until(self.now() + length)
    }
}

impl ManualTime {
    /// See [`Time::sleep_until`].
    pub fn sleep_until(&self, deadline: Moment) -> Sleep {
        Time::from(self).sleep_until(deadline)
    }

    /// See [`Time::sleep`].
    pub fn sleep(&self, length: Duration) -> Sleep {
        Time::from(self).sleep(length)
    }
}

impl From<ManualTime> for Time {
    fn from(manual: ManualTime) -> Self {
        Self(Source::Manual(manual))
    }
}

impl From<&ManualTime> for Time {
    fn from(manual: &ManualTime) -> Self {
        Self(Source::Manual(manual.clone()))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System(_) => "Time::system",
            Source::Tokio(_) => "Time::tokio",
            Source::Manual(_) => "Time::manual",
        })
    }
}

/// Waits for a moment. Made by [`Time::sleep_until`] and [`Time::sleep`].
///
/// Creating one registers nothing; the first poll that finds the deadline ahead does. A poll looks
/// at the clock that armed it, so a sleep never ends early; by [`Time::system`] it ends within
/// about 2 ms of its deadline on a machine that has a core to spare. Polled again with another
/// waker it wakes the new one only. Once over it stays over: later polls are ready too.
///
/// # Cancellation
/// Dropping it takes its timer out at once, in constant time (logarithmic by [`Time::manual`]), and
/// frees the place: a million sleeps a second that are all dropped leave nothing behind.
///
/// # Panics
/// By [`Time::tokio`], when it is polled while the runtime it belongs to is shutting down: tokio's
/// own sleep does. Otherwise never.
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    deadline: Moment,
    arm: Arm,
}

/// What is to be taken out when the sleep is dropped; each does so in its own drop.
enum Arm {
    System(driver::Arm),
    Tokio(on_tokio::Arm),
    Manual(manual::Arm),
}

impl Sleep {
    /// When it ends.
    #[must_use]
    pub fn deadline(&self) -> Moment {
        self.deadline
    }

    /// Whether that moment has come, by the clock that the sleep was made with. Reads that clock.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        let now = match &self.arm {
            Arm::System(arm) => arm.now(),
            Arm::Tokio(_) => on_tokio::now(),
            Arm::Manual(arm) => arm.now(),
        };
        self.deadline != Moment::MAX && now >= self.deadline
    }
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.deadline == Moment::MAX {
            return Poll::Pending; // "Never" needs nobody to wake it.
        }
        match &mut this.arm {
            Arm::System(arm) => arm.poll(this.deadline, context),
            Arm::Tokio(arm) => arm.poll(this.deadline, context),
            Arm::Manual(arm) => arm.poll(this.deadline, context),
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
