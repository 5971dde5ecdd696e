//! A dependency as an operator sees it.

use std::sync::Arc;

use crate::actor::{Control, ControlError};
use crate::dependency::{PressureChanges, Snapshot};
use crate::event::{Command, State};
use crate::policy::Policy;
use crate::time::Time;

use super::registry::Registered;

/// A hold on a dependency for operators. It does not keep the dependency alive.
#[derive(Clone)]
pub struct DependencyHandle {
    registered: Registered,
    time: Time,
    author: Option<Arc<str>>,
}

impl DependencyHandle {
    pub(super) fn new(registered: Registered, time: Time) -> Self {
        Self { registered, time, author: None }
    }

    /// The same, for orders in somebody's name: `handle.by("alice").force_open()`. The name is in the log, in the event, and
    /// in snapshots for as long as the order stands.
    #[must_use]
    pub fn by(&self, author: impl Into<Arc<str>>) -> Self {
        Self { author: Some(author.into()), ..self.clone() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.registered.dependency.name()
    }

    /// Its breaker's state.
    #[must_use]
    pub fn state(&self) -> State {
        self.registered.dependency.gate().breaker().state()
    }

    /// Everything about it, now. Read directly: this works when its actor does not.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.registered.dependency.snapshot()
    }

    /// How much waits for it, from 0 to 1: how full its mailbox is, or the share of calls that it sheds by priority, whichever is
    /// more. 1 while its breaker refuses calls, and once it takes none any more.
    ///
    /// For what produces work for it: a consumer of a queue, a scheduler. A call need not ask; it is told.
    #[must_use]
    pub fn pressure(&self) -> f64 {
        self.registered.dependency.pressure()
    }

    /// Ends when its [`pressure`](Self::pressure) is below 1: a call would be let in, or may wait. Somebody else may be faster. Ends at
    /// once when it takes no calls any more, which a call is told.
    ///
    /// # Cancellation
    /// Dropped, it leaves nothing behind.
    pub async fn ready(&self) {
        self.registered.dependency.ready().await;
    }

    /// Its [`pressure`](Self::pressure) as it is now, and whenever it has changed by a tenth or more. It keeps no client alive, and ends when
    /// the dependency takes no calls any more.
    #[must_use]
    pub fn pressure_changes(&self) -> PressureChanges {
        PressureChanges::new(Arc::clone(&self.registered.dependency))
    }

    /// Puts it under another policy while calls go on, until the next [`Seawall::reload`](super::Seawall::reload),
    /// which says what is kept. False: it is the policy that it had.
    pub fn set_policy(&self, policy: Policy) -> bool {
        self.registered.dependency.reload(policy)
    }

    /// The policy that it goes by now.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.registered.dependency.policy()
    }

    /// Executes a command, or sends a request to its actor. The answer is its state afterwards.
    ///
    /// Commands are executed at the first poll, in this task: they depend on no other thread, and no actor.
    ///
    /// # Errors
    /// [`ControlError`]: its last client was dropped, or Seawall was shut down; or its actor did not answer a request
    /// within 5 s.
    pub async fn tell(&self, control: Control) -> Result<Snapshot, ControlError> {
        match control.command() {
            Some(command) => self.execute(command),
            None => self.registered.supervised.tell(&self.time, control).await,
        }
    }

    fn execute(&self, command: Command) -> Result<Snapshot, ControlError> {
        let dependency = &self.registered.dependency;
        if dependency.is_cancelled() {
            return Err(ControlError::Dismissed);
        }
        dependency.execute(command, self.author.clone());
        Ok(dependency.snapshot())
    }

    /// Refuses every call until [`DependencyHandle::reset`], and refuses those that wait.
    ///
    /// # Errors
    /// [`ControlError::Dismissed`]: its last client was dropped, or Seawall was shut down.
    pub async fn force_open(&self) -> Result<Snapshot, ControlError> {
        self.execute(Command::ForceOpen)
    }

    /// Admits every call until [`DependencyHandle::reset`]. Outcomes are not counted.
    ///
    /// # Errors
    /// [`ControlError::Dismissed`]: its last client was dropped, or Seawall was shut down.
    pub async fn force_closed(&self) -> Result<Snapshot, ControlError> {
        self.execute(Command::ForceClosed)
    }

    /// Takes the breaker out of service until [`DependencyHandle::reset`]: as
    /// [`DependencyHandle::force_closed`], but snapshots say that it is disabled.
    ///
    /// # Errors
    /// [`ControlError::Dismissed`]: its last client was dropped, or Seawall was shut down.
    pub async fn disable(&self) -> Result<Snapshot, ControlError> {
        self.execute(Command::Disable)
    }

    /// Lets the breaker open and close and count what it would have refused, but refuse nothing, until
    /// [`DependencyHandle::reset`].
    ///
    /// # Errors
    /// [`ControlError::Dismissed`]: its last client was dropped, or Seawall was shut down.
    pub async fn observe(&self) -> Result<Snapshot, ControlError> {
        self.execute(Command::Observe)
    }

    /// Closes the breaker with an empty window and lets it decide again.
    ///
    /// # Errors
    /// [`ControlError::Dismissed`]: its last client was dropped, or Seawall was shut down.
    pub async fn reset(&self) -> Result<Snapshot, ControlError> {
        self.execute(Command::Reset)
    }
}

impl std::fmt::Debug for DependencyHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DependencyHandle")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
