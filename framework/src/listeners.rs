//! Those who wait to hear of a change.

use std::sync::atomic::{Ordering, fence};

use once_cell::race::OnceBox;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Nothing is allocated before somebody listens.
#[derive(Debug, Default)]
pub(crate) struct Listeners(OnceBox<Notify>);

impl Listeners {
    /// Wakes all who listen. Make the change first: a task that begins to listen later then sees the change itself.
    pub(crate) fn tell(&self) {
        // Either those who listen are seen here, or they see the change: see below.
        fence(Ordering::SeqCst);
        if let Some(listeners) = self.0.get() {
            listeners.notify_waiters();
        }
    }

    /// Ends at the next change. Look at what may change after this call.
    pub(crate) fn next(&self) -> Notified<'_> {
        let listeners = self.0.get_or_init(Box::default);
        fence(Ordering::SeqCst);
        listeners.notified()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_change_is_heard_by_those_who_listen_and_costs_nothing_where_nobody_does() {
        let listeners = Listeners::default();
        listeners.tell();
        assert!(listeners.0.get().is_none());
        let mut cx = Context::from_waker(Waker::noop());
        let mut next = pin!(listeners.next());
        assert_eq!(next.as_mut().poll(&mut cx), Poll::Pending);
        listeners.tell();
        assert_eq!(next.as_mut().poll(&mut cx), Poll::Ready(()));
        let next = listeners.next();
        listeners.tell();
        assert_eq!(pin!(next).poll(&mut cx), Poll::Ready(()), "not polled yet");
    }
}
