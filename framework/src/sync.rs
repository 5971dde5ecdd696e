//! Atomics, a mutex and an `Arc` whose count is looked at, behind one face, so that the model checker runs the real code.
//!
//! Under `--cfg seawall_loom` these are loom's. A mutex here never poisons: what it guards is
//! changed only by code of ours that leaves it whole, so a panic elsewhere must not lock callers out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

#[cfg(seawall_loom)]
pub(crate) use loom::sync::{
    Arc, MutexGuard,
    atomic::{AtomicBool, AtomicU64, Ordering, fence},
};
#[cfg(not(seawall_loom))]
pub(crate) use std::sync::{
    Arc, MutexGuard,
    atomic::{AtomicBool, AtomicU64, Ordering, fence},
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
    /// As [`lock`](Self::lock), for a lock that many threads take for a few nanoseconds each: it looks again a few times before this
    /// one sleeps in the kernel and must be woken.
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
        let mut backoff = Backoff::for_lock();
        while backoff.waits() {
            if let Some(guard) = self.try_lock() {
                return guard;
            }
        }
        self.lock()
    }
}

/// Waits for another thread without sleeping, each time longer: a thread that sleeps in the kernel must be woken, which costs both more
/// than most waits here last.
///
/// From the start it waits so long that the other gets several turns: where two threads take turns with a lock, its cache lines
/// move at each, which takes longer than the turn. `benches/queue.rs` and `permits.rs` are what the numbers were chosen by.
#[derive(Debug)]
pub(crate) struct Backoff {
    round: u32,
    rounds: u32,
}

impl Backoff {
    /// For a lock that is held for nanoseconds: 10 to 50 µs, by the processor, which a thread that holds it only exceeds if it does not run.
    pub(crate) fn for_lock() -> Self {
        Self { round: 0, rounds: 12 }
    }

    /// For what another thread may do soon: 3 to 11 µs.
    pub(crate) fn for_work() -> Self {
        Self { round: 0, rounds: 6 }
    }

    /// Waits. False: it has waited long enough, and the caller is to sleep.
    #[inline]
    pub(crate) fn waits(&mut self) -> bool {
        // The model checker runs others when this one sleeps.
        if self.round == self.rounds || cfg!(seawall_loom) {
            return false;
        }
        (0..4 << self.round.min(5)).for_each(|_| std::hint::spin_loop());
        self.round += 1;
        true
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

/// Sees to it that this task's waker is kept in a place behind a lock. It is cloned, and what it replaces is dropped, while that is not
/// held: both can run any code. Ready: `find` says that nothing needs to be waited for any more.
pub(crate) fn keep_waker<G, R>(
    cx: &Context<'_>,
    lock: impl Fn() -> G,
    find: impl Fn(&mut G) -> Result<&mut Option<Waker>, R>,
) -> Poll<R> {
    let mut fresh = None;
    loop {
        let mut guard = lock();
        let kept = match find(&mut guard) {
            Ok(kept) => kept,
            Err(over) => return Poll::Ready(over),
        };
        if kept.as_ref().is_some_and(|kept| kept.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        if let Some(fresh) = fresh.take() {
            let replaced = kept.replace(fresh);
            drop(guard);
            drop(replaced);
            return Poll::Pending;
        }
        drop(guard);
        fresh = Some(cx.waker().clone());
    }
}

/// Tasks to wake once no lock is held. Mostly it is one, for which nothing is allocated.
#[derive(Debug, Default)]
#[must_use = "a task that is not woken sleeps for ever"]
pub(crate) struct Wakers {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Wakers {
    pub(crate) fn add(&mut self, waker: Option<Waker>) {
        if self.first.is_none() {
            self.first = waker;
        } else {
            self.others.extend(waker);
        }
    }

    pub(crate) fn wake(self) {
        if let Some(first) = self.first {
            wake(first);
        }
        if !self.others.is_empty() {
            self.others.into_iter().for_each(wake);
        }
    }
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
