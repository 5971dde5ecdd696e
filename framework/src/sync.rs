//! Atomics, a mutex and an `Arc` whose count is looked at, behind one face, so that the model checker runs the real code.
//!
//! Under `--cfg seawall_loom` these are loom's. A mutex here never poisons: what it guards is
//! changed only by code of ours that leaves it whole, so a panic elsewhere must not lock callers out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

#[cfg(seawall_loom)]
pub(crate) use loom::sync::{
    Arc, MutexGuard,
    atomic::{AtomicU64, Ordering, fence},
};
#[cfg(not(seawall_loom))]
pub(crate) use std::sync::{
    Arc, MutexGuard,
    atomic::{AtomicU64, Ordering, fence},
};

#[cfg(seawall_loom)]
use loom::sync::Mutex as Inner;
#[cfg(not(seawall_loom))]
use std::sync::{Mutex as Inner, TryLockError};

/// A mutex that does not poison.
#[derive(Debug)]
pub(crate) struct Mutex<T>(Inner<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        match self.0.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

#[cfg(not(seawall_loom))]
impl<T> Mutex<T> {
    /// As [`lock`](Self::lock), for a lock that many threads take for a few nanoseconds each: it looks again a few times, and lets
    /// another thread run, before this one sleeps in the kernel and must be woken.
    #[inline]
    pub(crate) fn lock_briefly(&self) -> MutexGuard<'_, T> {
        self.try_lock().unwrap_or_else(|| self.lock_contended())
    }

    #[inline]
    fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    #[cold]
    fn lock_contended(&self) -> MutexGuard<'_, T> {
        for round in 0..10u32 {
            if round < 6 {
                (0..1 << round).for_each(|_| std::hint::spin_loop());
            } else {
                std::thread::yield_now();
            }
            if let Some(guard) = self.try_lock() {
                return guard;
            }
        }
        self.lock()
    }
}

#[cfg(seawall_loom)]
impl<T> Mutex<T> {
    pub(crate) fn lock_briefly(&self) -> MutexGuard<'_, T> {
        self.lock()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// Runs somebody else's code on behalf of many, or on a thread that must survive it. False: it panicked.
#[cfg_attr(seawall_loom, allow(dead_code, reason = "not everybody who needs it is modelled"))]
pub(crate) fn quietly(code: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(()) => true,
        Err(payload) => {
            std::mem::forget(payload); // Dropping it could panic again.
            false
        }
    }
}

/// Wakes a task. A waker that panics is its task's trouble: the waking thread has others to wake, and
/// guards of its own to put down.
#[cfg_attr(seawall_loom, allow(dead_code, reason = "not everybody who needs it is modelled"))]
pub(crate) fn wake(waker: Waker) {
    quietly(|| waker.wake());
}

/// Keeps two hot words off one cache line. 128 bytes: adjacent-line prefetch pulls pairs of 64.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

/// Runs `work` in every interleaving with up to three forced switches of threads.
#[cfg(all(test, seawall_loom))]
pub(crate) fn model(name: &str, work: impl Fn() + Send + Sync + 'static) {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    let explored = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&explored);
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        work();
    });
    eprintln!("{name}: {} interleavings", explored.load(Ordering::Relaxed));
}
