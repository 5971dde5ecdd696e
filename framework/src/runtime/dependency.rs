//! A dependency as an operator sees it.

use std::sync::Arc;

use crate::actor::{Control, ControlError};
use crate::dependency::Snapshot;
use crate::event::State;
use crate::policy::Policy;
use crate::time::Time;

use super::registry::Registered;

/// A hold on a dependency for operators. It does not keep the dependency alive.
#[derive(Clone)]
pub struct DependencyHandle {
    registered: Registered,
    time: Time,
}

impl DependencyHandle {
    pub(super) fn new(registered: Registered, time: Time) -> Self {
        Self { registered, time }
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

    /// Tells its actor something; the answer is how things are afterwards.
    ///
    /// # Errors
    /// [`ControlError`]: no answer within 5 s, or nobody looks after the dependency any more.
    pub async fn tell(&self, control: Control) -> Result<Snapshot, ControlError> {
        self.registered.supervised.tell(&self.time, control).await
    }

    /// Refuses every call until [`DependencyHandle::reset`], and turns away those that wait.
    ///
    /// # Errors
    /// As for [`DependencyHandle::tell`].
    pub async fn force_open(&self) -> Result<Snapshot, ControlError> {
        self.tell(Control::ForceOpen).await
    }

    /// Admits every call until [`DependencyHandle::reset`]; outcomes are not counted.
    ///
    /// # Errors
    /// As for [`DependencyHandle::tell`].
    pub async fn force_closed(&self) -> Result<Snapshot, ControlError> {
        self.tell(Control::ForceClosed).await
    }

    /// Takes the breaker out of service until [`DependencyHandle::reset`]: as
    /// [`DependencyHandle::force_closed`], but snapshots say that it is disabled.
    ///
    /// # Errors
    /// As for [`DependencyHandle::tell`].
    pub async fn disable(&self) -> Result<Snapshot, ControlError> {
        self.tell(Control::Disable).await
    }

    /// Lets the breaker open and close, count what it would have refused, and refuse nothing, until
    /// [`DependencyHandle::reset`].
    ///
    /// # Errors
    /// As for [`DependencyHandle::tell`].
    pub async fn observe(&self) -> Result<Snapshot, ControlError> {
        self.tell(Control::Observe).await
    }

    /// Closes the breaker with an empty window and lets it decide for itself again.
    ///
    /// # Errors
    /// As for [`DependencyHandle::tell`].
    pub async fn reset(&self) -> Result<Snapshot, ControlError> {
        self.tell(Control::Reset).await
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
