//! What is done for shared limits while nobody asks: signs of life, leases that nobody uses.

use crate::time::within;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::deciding::{Inner, NOBODY};

/// Numbers for tasks; the first is no task's.
static TASKS: AtomicU64 = AtomicU64::new(NOBODY);

/// Starts the task that does it, on this thread's tokio runtime, unless there is one. It ends when the limits are dropped, or left.
pub(super) fn start(inner: &Arc<Inner>) {
    let number = TASKS.fetch_add(1, Ordering::Relaxed) + 1;
    let claim = || {
        let tended_by = &inner.tended_by;
        tended_by.compare_exchange(NOBODY, number, Ordering::AcqRel, Ordering::Acquire).is_ok()
    };
    if !inner.parts.store.is_remote() {
        // One process, one instance.
        inner.members.open(inner.parts.time.now());
        claim();
        return;
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    if claim() {
        runtime.spawn(tend(Tending { inner: Arc::downgrade(inner), number }));
    }
}

/// Dropped with its runtime, another may begin.
struct Tending {
    inner: Weak<Inner>,
    number: u64,
}

impl Drop for Tending {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            let (own, none) = (self.number, NOBODY);
            // Another one may tend it by now.
            let _ =
                inner.tended_by.compare_exchange(own, none, Ordering::AcqRel, Ordering::Acquire);
        }
    }
}

async fn tend(tending: Tending) {
    loop {
        let pause = {
            let Some(inner) = tending.inner.upgrade() else { return };
            if inner.tended_by.load(Ordering::Acquire) != tending.number {
                return;
            }
            round(&inner).await;
            inner.parts.time.sleep(inner.members.beat)
        };
        pause.await;
    }
}

async fn round(inner: &Arc<Inner>) {
    if inner.layers.iter().any(|layer| layer.needs_members()) {
        let answer = within(
            &inner.parts.time,
            inner.parts.time.now() + inner.decide_within,
            inner.parts.store.beat(inner.beat(false)),
        );
        let now = inner.parts.time.now();
        match answer.await {
            Some(Ok(said)) => inner.members.hear(said, now),
            // Requests that wait for it go by the number of instances that is expected.
            Some(Err(_)) | None => inner.members.open(now),
        }
    }
    let now = inner.parts.time.now();
    for layer in &inner.layers {
        layer.share.sweep(now);
        if let Some(leased) = &layer.leased {
            leased.tend().await;
        }
    }
}
