//! The actor of one dependency: drives its breaker onward, is the backstop of its waiting room, and
//! does what it is told by hand. It owns nothing that a call needs.

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

use super::supervise::Watcher;

/// While calls wait, the waiting room is looked over this often.
const SWEEP: Duration = Duration::from_millis(250);

/// What an operator, or a test, tells a dependency's actor. It answers with what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// Says how things are.
    Snapshot,
    /// Refuses every call until a reset, and turns away those that wait.
    ForceOpen,
    /// Admits every call until a reset.
    ForceClosed,
    /// As forced closed, but reported as disabled.
    Disable,
    /// Lets it go on judging, and refuse nothing, until a reset.
    Observe,
    /// Closes the breaker, forgets what it has seen, and lets it decide for itself.
    Reset,
    /// Panics, as a fault in the actor would. For tests of what happens then.
    #[doc(hidden)]
    Crash,
}

/// Why a control message has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The actor did not answer in time: it is stalled, or being rebuilt. What it was told may still be done.
    #[error("the dependency's actor did not answer in time; it may still do as it was told")]
    NoAnswer,
    /// The dependency is no longer looked after: it was dropped, or Seawall was shut down.
    #[error("the dependency is no longer supervised")]
    Dismissed,
}

impl Message for Control {
    type Result = Result<Snapshot, ControlError>;
}

/// See the module.
#[derive(Debug)]
pub struct DependencyActor(Arc<Dependency>);

impl DependencyActor {
    pub(super) fn new(dependency: Arc<Dependency>) -> Self {
        Self(dependency)
    }

    fn execute(&self, control: Control) -> Snapshot {
        match control {
            Control::Snapshot => {}
            Control::ForceOpen => self.0.execute(Command::ForceOpen),
            Control::ForceClosed => self.0.execute(Command::ForceClosed),
            Control::Disable => self.0.execute(Command::Disable),
            Control::Observe => self.0.execute(Command::Observe),
            Control::Reset => self.0.execute(Command::Reset),
            #[expect(clippy::panic, reason = "this is what it is for")]
            Control::Crash => panic!("told to crash"),
        }
        self.0.snapshot()
    }
}

impl Actor for DependencyActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        // Looks at once: its predecessor may have died with a breaker to move on.
        let look = self.0.time().sleep_until(self.0.time().now());
        context.spawn(Monitor { look: Some(look) });
    }
}

impl Handler<Control> for DependencyActor {
    type Result = MessageResult<Control>;

    fn handle(&mut self, control: Control, context: &mut Self::Context) -> Self::Result {
        let done = catch_unwind(AssertUnwindSafe(|| self.execute(control)));
        MessageResult(done.map_err(|_| {
            // Whatever went wrong in here, the next actor begins with a clean sheet.
            context.stop();
            ControlError::NoAnswer
        }))
    }
}

/// Sleeps until something is up, then sees to it.
struct Monitor {
    /// When to look without being called.
    look: Option<Sleep>,
}

impl Monitor {
    fn tend(&mut self, dependency: &Dependency) {
        let mut next = dependency.tick();
        if dependency.gate().waiters() > 0 {
            let sweep = dependency.time().now() + SWEEP;
            next = Some(next.map_or(sweep, |next| next.min(sweep)));
        }
        self.look = next.map(|next| dependency.time().sleep_until(next));
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
        // Each round yields to the signals first; a round that finds nothing ends the loop.
        loop {
            let called = dependency.signals().poll(task).is_ready();
            let due = self.look.as_mut().is_some_and(|look| Pin::new(look).poll(task).is_ready());
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

impl Watcher for Arc<Dependency> {
    fn restarted(&self) {
        self.note_restart();
    }

    fn unattended(&self) {
        self.note_unattended();
    }
}
