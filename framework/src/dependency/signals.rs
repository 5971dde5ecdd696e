//! How calls tell the actor that something happened: a few bits and one waker.
//!
//! Signals of a kind coalesce, so they are bounded, cost nothing to raise twice, and can be raised while there is no
//! actor: the next one finds them.

use std::task::{Context, Poll, Waker};

use crate::sync::{AtomicU64, Mutex, Ordering, wake};

/// What happened. Values are bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Signal {
    /// The breaker moved.
    Moved = 1,
    /// The first call had to wait.
    Saturated = 2,
    /// The user's code panicked.
    Panicked = 4,
}

/// The signals that have been raised and not yet taken.
#[derive(Debug, Default)]
pub struct Signals {
    bits: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl Signals {
    /// Raises a signal.
    pub fn raise(&self, signal: Signal) {
        let before = self.bits.fetch_or(signal as u64, Ordering::AcqRel);
        if before & signal as u64 == 0 {
            // Taken in a statement of its own: the lock is free when the waker runs.
            let waker = self.waker.lock().take();
            waker.into_iter().for_each(wake);
        }
    }

    /// Takes every signal raised, as bits; pends while there are none. One task at a time may wait here.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<u64> {
        // The waker first, then the bits: a signal raised in between finds one of the two. Cloned before the lock is
        // taken, and the old one dropped after it.
        let waker = cx.waker().clone();
        let replaced = self.waker.lock().replace(waker);
        drop(replaced);
        match self.bits.swap(0, Ordering::AcqRel) {
            0 => Poll::Pending,
            bits => Poll::Ready(bits),
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
            self.0.raise(Signal::Moved);
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
        assert_eq!(signals.poll(&mut cx), Poll::Ready(Signal::Moved as u64));
        assert_eq!(signals.poll(&mut cx), Poll::Pending, "taken");
    }
}
