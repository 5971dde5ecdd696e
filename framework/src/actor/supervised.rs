//! Who is being looked after, and where their actor can be reached just now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Poll, Waker};

use actix::{Actor, Addr, Context};
use tokio::sync::futures::Notified;

use crate::listeners::Listeners;
use crate::sync::{Mutex, keep_waker, wake};

/// The lasting part of an actor: survives every rebuild, ends when it is dismissed.
pub(crate) struct Supervised<A: Actor<Context = Context<A>>> {
    reached: Mutex<Reached<A>>,
    dismissed: AtomicBool,
    /// Those who wait for an address.
    changed: Listeners,
    restarts: AtomicU64,
}

/// Where the actor can be reached, and where its supervision, which waits for the dismissal.
struct Reached<A: Actor<Context = Context<A>>> {
    address: Option<Addr<A>>,
    supervision: Option<Waker>,
}

impl<A: Actor<Context = Context<A>>> Default for Supervised<A> {
    fn default() -> Self {
        Self {
            reached: Mutex::new(Reached { address: None, supervision: None }),
            dismissed: AtomicBool::new(false),
            changed: Listeners::default(),
            restarts: AtomicU64::new(0),
        }
    }
}

impl<A: Actor<Context = Context<A>>> std::fmt::Debug for Supervised<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervised")
            .field("attended", &self.address().is_some())
            .field("dismissed", &self.is_dismissed())
            .finish_non_exhaustive()
    }
}

impl<A: Actor<Context = Context<A>>> Supervised<A> {
    /// Where the actor can be reached; `None` while there is none.
    pub(super) fn address(&self) -> Option<Addr<A>> {
        self.reached.lock().address.clone()
    }

    pub(super) fn publish(&self, address: Option<Addr<A>>) {
        let before = std::mem::replace(&mut self.reached.lock().address, address);
        // With the lock free: the last address takes the messages along that nobody has read.
        drop(before);
        self.changed.tell();
    }

    /// The actor is wanted no more: it stops, and is not rebuilt.
    pub(crate) fn dismiss(&self) {
        self.dismissed.store(true, Ordering::Release);
        // Taken in a statement of its own: the lock is free when the waker runs.
        let supervision = self.reached.lock().supervision.take();
        supervision.into_iter().for_each(wake);
        self.changed.tell();
    }

    /// Ready once it is dismissed. One task at a time may wait here.
    pub(super) fn poll_dismissed(&self, cx: &std::task::Context<'_>) -> Poll<()> {
        // Looked at with the lock held: a dismissal after that finds the waker.
        keep_waker(
            cx,
            || self.reached.lock(),
            |reached| if self.is_dismissed() { Err(()) } else { Ok(&mut reached.supervision) },
        )
    }

    pub(super) fn is_dismissed(&self) -> bool {
        self.dismissed.load(Ordering::Acquire)
    }

    /// Whether this is where the actor can be reached now.
    pub(super) fn is_at(&self, address: &Addr<A>) -> bool {
        self.reached.lock().address.as_ref() == Some(address)
    }

    /// Ends when the address changes, or the actor is dismissed, after this call.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.next()
    }

    pub(super) fn note_restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the actor was rebuilt.
    #[must_use]
    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }
}

/// Supervision's own hold on an supervised. However it ends, on its way to the root, with the root's
/// runtime or in its own time, a caller that waits for the actor hears that there is none any more.
pub(super) struct SupervisionGuard<A: Actor<Context = Context<A>>>(pub(super) Arc<Supervised<A>>);

impl<A: Actor<Context = Context<A>>> Drop for SupervisionGuard<A> {
    fn drop(&mut self) {
        self.0.dismiss();
        self.0.publish(None);
    }
}
