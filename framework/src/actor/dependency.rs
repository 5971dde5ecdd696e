//! The actor of one dependency: moves its breaker on, and is the backstop of its waiting room. It owns nothing that a
//! call needs.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFuture, AsyncContext, Context, Handler, Message, MessageResult,
};

use crate::dependency::{Dependency, Snapshot};
use crate::event::Command;
use crate::time::Sleep;

use super::supervise::Charge;

/// While calls wait, the waiting room is looked over this often.
const SWEEP: Duration = Duration::from_millis(250);

/// What an operator, or a test, asks of a dependency. Commands are executed on its guards at once, in the caller's task,
/// whatever its actor does; the answer is the state afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// The actor answers with the state. For tests of supervision: `DependencyHandle::snapshot` needs no actor.
    Snapshot,
    /// Refuses every call until a reset, and refuses those that wait.
    ForceOpen,
    /// Admits every call until a reset.
    ForceClosed,
    /// As forced closed, but reported as disabled.
    Disable,
    /// The breaker goes on deciding, but refuses nothing, until a reset.
    Observe,
    /// Closes the breaker, clears its window, and lets it decide again.
    Reset,
    /// The actor panics. For tests of what happens then.
    #[doc(hidden)]
    Crash,
}

impl Control {
    /// The command to execute, if it is one.
    #[must_use]
    pub fn command(self) -> Option<Command> {
        match self {
            Self::ForceOpen => Some(Command::ForceOpen),
            Self::ForceClosed => Some(Command::ForceClosed),
            Self::Disable => Some(Command::Disable),
            Self::Observe => Some(Command::Observe),
            Self::Reset => Some(Command::Reset),
            Self::Snapshot | Self::Crash => None,
        }
    }
}

/// Why a control request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The actor did not answer in time: it is stalled, or being rebuilt. Only requests for the actor end so, never
    /// commands.
    #[error("the dependency's actor did not answer in time")]
    NoAnswer,
    /// The dependency is no longer supervised: its last client was dropped, or Seawall was shut down.
    #[error("the dependency is no longer supervised")]
    Dismissed,
}

impl Message for Control {
    type Result = Result<Snapshot, ControlError>;
}

/// See the module.
#[derive(Debug)]
pub(crate) struct DependencyActor(Arc<Dependency>);

impl DependencyActor {
    fn answer(&self, control: Control) -> Snapshot {
        #[expect(clippy::panic, reason = "this is what it is for")]
        if control == Control::Crash {
            panic!("told to crash");
        }
        // Commands do not come here: they are executed in their sender's task.
        self.0.snapshot()
    }
}

impl Actor for DependencyActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // Looks at once: the actor before it may have died with a breaker to move on.
        let look = self.0.time().sleep_until(self.0.time().now());
        context.spawn(Monitor { look: Some(Box::new(look)) });
    }
}

impl Handler<Control> for DependencyActor {
    type Result = MessageResult<Control>;

    fn handle(&mut self, control: Control, context: &mut Self::Context) -> Self::Result {
        let done = catch_unwind(AssertUnwindSafe(|| self.answer(control)));
        MessageResult(done.map_err(|_| {
            // The next actor starts from the dependency's own state.
            context.stop();
            ControlError::NoAnswer
        }))
    }
}

/// Sleeps until there is a signal or a time to look, then looks.
struct Monitor {
    /// When to look without a signal. In a box: mostly there is no such time.
    look: Option<Box<Sleep>>,
}

impl Monitor {
    fn tend(&mut self, dependency: &Dependency) {
        let mut next = dependency.tick();
        if dependency.gate().waiters() > 0 {
            let sweep = dependency.time().now() + SWEEP;
            next = Some(next.map_or(sweep, |next| next.min(sweep)));
        }
        self.look = next.map(|next| Box::new(dependency.time().sleep_until(next)));
    }
}

impl ActorFuture<DependencyActor> for Monitor {
    type Output = ();

    fn poll(
        mut self: Pin<&mut Self>,
        actor: &mut DependencyActor,
        context: &mut Context<DependencyActor>,
        task: &mut std::task::Context<'_>,
    ) -> Poll<()> {
        let dependency = &actor.0;
        // Each round takes the signals first. A round that finds nothing ends the loop.
        loop {
            let called = dependency.signals().poll(task).is_ready();
            let due =
                self.look.as_mut().is_some_and(|look| Pin::new(&mut **look).poll(task).is_ready());
            if !called && !due {
                return Poll::Pending;
            }
            if catch_unwind(AssertUnwindSafe(|| self.tend(dependency))).is_err() {
                context.stop();
                return Poll::Ready(());
            }
        }
    }
}

impl Charge for Arc<Dependency> {
    type Actor = DependencyActor;
    const RESTART_STOPPED: bool = true;

    fn build(&self) -> DependencyActor {
        DependencyActor(Self::clone(self))
    }

    fn restarted(&self) {
        self.note_restart();
    }

    fn unattended(&self) {
        self.note_unattended();
    }
}
