//! A hold on an actor that survives its rebuilding.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Context, Handler, MailboxError, Message};

use crate::dependency::Snapshot;
use crate::time::{Sleep, Time};

use super::dependency::{Control, ControlError, DependencyActor};
use super::supervised::Supervised;
use super::system::Supervision;

/// How long a message waits for an actor that is being rebuilt, or for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a message to a supervised actor has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActorError {
    /// The actor died with the message in hand. It is being rebuilt; the message is lost.
    #[error("the actor died with the message in hand")]
    Died,
    /// No actor took the message, or none answered, in time.
    #[error("the actor did not answer within {PATIENCE:?}")]
    NoAnswer,
    /// The actor has stopped for good: of its own accord, or because Seawall was shut down.
    #[error("the actor has stopped")]
    Stopped,
}

/// A supervised actor of the user's. Clones are holds on the same actor; with the last one it stops.
pub struct ActorHandle<A: Actor<Context = Context<A>>> {
    name: Arc<str>,
    stop_on_drop: Arc<StopOnDrop<A>>,
    /// Keeps supervision going for as long as the actor is held.
    supervision: Supervision,
}

/// Dismisses the actor when the last handle is gone.
struct StopOnDrop<A: Actor<Context = Context<A>>>(Arc<Supervised<A>>);

impl<A: Actor<Context = Context<A>>> Drop for StopOnDrop<A> {
    fn drop(&mut self) {
        self.0.dismiss();
    }
}

impl<A: Actor<Context = Context<A>>> Clone for ActorHandle<A> {
    fn clone(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            stop_on_drop: Arc::clone(&self.stop_on_drop),
            supervision: self.supervision.clone(),
        }
    }
}

impl<A: Actor<Context = Context<A>>> fmt::Debug for ActorHandle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActorHandle").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<A: Actor<Context = Context<A>>> ActorHandle<A> {
    pub(super) fn new(
        name: Arc<str>,
        supervised: Arc<Supervised<A>>,
        supervision: Supervision,
    ) -> Self {
        Self { name, stop_on_drop: Arc::new(StopOnDrop(supervised)), supervision }
    }

    /// The name it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How often the actor was rebuilt.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.stop_on_drop.0.restarts()
    }

    /// Sends a message and waits for the answer, at most 5 s in all; while the actor is being rebuilt
    /// the message waits for its successor. A message is handed to one actor at most once.
    ///
    /// # Errors
    /// [`ActorError`]: the actor died with it, did not answer, or has stopped for good.
    ///
    /// # Cancellation
    /// Dropping this future does not take back a message that the actor has.
    pub async fn send<M>(&self, message: M) -> Result<M::Result, ActorError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        send(&self.stop_on_drop.0, self.supervision.time(), message).await
    }
}

async fn send<A, M>(
    supervised: &Supervised<A>,
    time: &Time,
    message: M,
) -> Result<M::Result, ActorError>
where
    M: Message + Send + 'static,
    M::Result: Send,
    A: Actor<Context = Context<A>> + Handler<M>,
    A::Context: ToEnvelope<A, M>,
{
    let mut patience = time.sleep(PATIENCE);
    let address = loop {
        let mut changed = pin!(supervised.changed());
        changed.as_mut().enable();
        match supervised.address() {
            Some(address) if address.connected() => break address,
            _ if supervised.is_dismissed() => return Err(ActorError::Stopped),
            _ => {}
        }
        let gone_by = poll_fn(|cx| match changed.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending => Pin::new(&mut patience).poll(cx).map(|()| true),
        });
        if gone_by.await {
            return Err(ActorError::NoAnswer);
        }
    };
    let mut answer = pin!(address.send(message));
    let answer = poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(Ok(answer)) => Poll::Ready(Ok(answer)),
        Poll::Ready(Err(MailboxError::Closed | MailboxError::Timeout)) => {
            Poll::Ready(Err(ActorError::Died))
        }
        Poll::Pending => Pin::new(&mut patience).poll(cx).map(|()| Err(ActorError::NoAnswer)),
    })
    .await;
    if matches!(answer, Err(ActorError::Died)) {
        gone_from(supervised, &address, &mut patience).await;
    }
    answer
}

/// Waits until the actor that has just died is no longer to be found, or it would be handed the
/// caller's next message too: an actor that dies lets go of its messages before its supervision knows.
async fn gone_from<A: Actor<Context = Context<A>>>(
    supervised: &Supervised<A>,
    address: &Addr<A>,
    patience: &mut Sleep,
) {
    loop {
        let mut changed = pin!(supervised.changed());
        changed.as_mut().enable();
        if !supervised.is_at(address) {
            return;
        }
        let gone_by = poll_fn(|cx| match changed.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending => Pin::new(&mut *patience).poll(cx).map(|()| true),
        });
        if gone_by.await {
            return;
        }
    }
}

impl Supervised<DependencyActor> {
    /// Sends a request to a dependency's actor and waits for its answer, at most 5 s. Every request but a crash can be
    /// repeated without harm, so one that died with its actor is sent to the next.
    ///
    /// # Errors
    /// [`ControlError`]: no answer in time, or the dependency is no longer supervised.
    pub(crate) async fn tell(
        &self,
        time: &Time,
        control: Control,
    ) -> Result<Snapshot, ControlError> {
        let give_up = time.now() + PATIENCE;
        loop {
            match send(self, time, control).await {
                Ok(answer) => return answer,
                Err(ActorError::Died) if control != Control::Crash && time.now() < give_up => {}
                Err(ActorError::Stopped) => return Err(ControlError::Dismissed),
                Err(ActorError::Died | ActorError::NoAnswer) => return Err(ControlError::NoAnswer),
            }
        }
    }
}
