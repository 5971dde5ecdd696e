//! How the data plane tells the actor that something is up: a few bits and one waker.
//!
//! Signals of a kind coalesce, so they are bounded by nature, cost nothing to send twice, and can be
//! sent while the actor is dead: whoever comes next finds them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use crate::sync::Mutex;

/// What is up. Values are bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Signal {
    /// The breaker moved.
    Moved = 1,
    /// The first call had to wait.
    Saturated = 2,
    /// The user's code panicked.
    Panicked = 4,
}

/// The signals that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Signals {
    bits: AtomicU32,
    waker: Mutex<Option<Waker>>,
}

impl Signals {
    /// Raises a signal.
    pub fn raise(&self, signal: Signal) {
        let before = self.bits.fetch_or(signal as u32, Ordering::AcqRel);
        if before & signal as u32 == 0 {
            let waker = self.waker.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Takes every signal raised, as bits; pends while there are none. One task at a time may wait here.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<u32> {
        // The waker first, then the bits: a signal raised in between finds one of the two.
        *self.waker.lock() = Some(cx.waker().clone());
        match self.bits.swap(0, Ordering::AcqRel) {
            0 => Poll::Pending,
            bits => Poll::Ready(bits),
        }
    }
}
