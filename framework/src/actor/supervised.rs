//! Who is being looked after, and where their actor can be reached just now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use actix::{Actor, Addr, Context};
use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

/// The lasting part of an actor: survives every rebuild, ends when it is dismissed.
pub(crate) struct Supervised<A: Actor<Context = Context<A>>> {
    address: ArcSwapOption<Addr<A>>,
    dismissed: AtomicBool,
    changed: Notify,
    restarts: AtomicU64,
}

impl<A: Actor<Context = Context<A>>> Default for Supervised<A> {
    fn default() -> Self {
        Self {
            address: ArcSwapOption::empty(),
            dismissed: AtomicBool::new(false),
            changed: Notify::new(),
            restarts: AtomicU64::new(0),
        }
    }
}

impl<A: Actor<Context = Context<A>>> std::fmt::Debug for Supervised<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervised")
            .field("attended", &self.address.load().is_some())
            .field("dismissed", &self.is_dismissed())
            .finish_non_exhaustive()
    }
}

impl<A: Actor<Context = Context<A>>> Supervised<A> {
    /// Where the actor can be reached; `None` while there is none.
    pub(super) fn address(&self) -> Option<Arc<Addr<A>>> {
        self.address.load_full()
    }

    pub(super) fn publish(&self, address: Option<Addr<A>>) {
        self.address.store(address.map(Arc::new));
        self.changed.notify_waiters();
    }

    /// The actor is wanted no more: it stops, and is not rebuilt.
    pub(crate) fn dismiss(&self) {
        self.dismissed.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(super) fn is_dismissed(&self) -> bool {
        self.dismissed.load(Ordering::Acquire)
    }

    /// Whether this is where the actor can be reached now.
    pub(super) fn is_at(&self, address: &Arc<Addr<A>>) -> bool {
        self.address.load().as_ref().is_some_and(|now| Arc::ptr_eq(now, address))
    }

    /// Ends when the address changes, or the actor is dismissed, after this call.
    pub(super) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
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
