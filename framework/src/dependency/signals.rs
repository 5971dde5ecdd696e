//! How calls tell the actor to look again: one flag and one waker.
//!
//! A signal is raised where the breaker has moved, a first call has to wait, or anything else may have changed when the actor has
//! to look. Signals coalesce, so they are bounded, cost next to nothing to raise twice, and can be raised while there is no
//! actor: the next one finds the flag.

use std::task::{Context, Poll, Waker};

use crate::sync::{AtomicU64, Mutex, Ordering, wake};

/// Whether the actor has to look.
#[derive(Debug, Default)]
pub struct Signals {
    raised: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl Signals {
    /// Has the actor look.
    pub fn raise(&self) {
        if self.raised.swap(1, Ordering::AcqRel) == 0 {
            // Taken in a statement of its own: the lock is free when the waker runs.
            let waker = self.waker.lock().take();
            waker.into_iter().for_each(wake);
        }
    }

    /// Takes every signal raised; pends while there are none. One task at a time may wait here.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        // The waker first, then the flag: a signal raised in between finds one of the two. Cloned before the lock is
        // taken, and the old one dropped after it.
        let waker = cx.waker().clone();
        let replaced = self.waker.lock().replace(waker);
        drop(replaced);
        match self.raised.swap(0, Ordering::AcqRel) {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    /// Polls from within, as a thread does that raises a signal while another one polls.
    struct Raises(Arc<Signals>);

    impl Wake for Raises {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Raises {
        fn drop(&mut self) {
            self.0.raise();
        }
    }

    #[test]
    fn a_signal_raised_while_the_waker_is_put_in_place_is_heard_by_the_same_poll() {
        let signals = Arc::new(Signals::default());
        let before = Waker::from(Arc::new(Raises(Arc::clone(&signals))));
        assert_eq!(signals.poll(&mut Context::from_waker(&before)), Poll::Pending);
        drop(before);
        // The waker of the poll before is dropped when this one's is in its place, and raises a signal then.
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(signals.poll(&mut cx), Poll::Ready(()));
        assert_eq!(signals.poll(&mut cx), Poll::Pending, "taken");
    }
}
