//! What is done for shared limits while nobody asks: signs of life, leases that nobody uses.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::deciding::Inner;

/// Starts the task that does it, on this thread's tokio runtime, unless there is one. It ends when the limits are dropped, or left.
pub(super) fn start(inner: &Arc<Inner>) {
    if !inner.parts.store.is_remote() {
        // One process, one instance.
        inner.members.open(inner.parts.time.now());
        inner.is_tended.store(true, Ordering::Release);
        return;
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    if inner.is_tended.swap(true, Ordering::AcqRel) {
        return;
    }
    runtime.spawn(tend(Tending(Arc::downgrade(inner))));
}

/// Dropped with its runtime, another may begin.
struct Tending(Weak<Inner>);

impl Drop for Tending {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.is_tended.store(false, Ordering::Release);
        }
    }
}

async fn tend(tending: Tending) {
    loop {
        let pause = {
            let Some(inner) = tending.0.upgrade() else { return };
            if !inner.is_tended.load(Ordering::Acquire) {
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
        let answer = super::within::within(
            &inner.parts.time,
            inner.parts.time.now() + inner.decide_within,
            inner.parts.store.beat(inner.beat(false)),
        );
        let now = inner.parts.time.now();
        match answer.await {
            Some(Ok(said)) => inner.members.hear(said, now),
            // Whoever waits for it goes by what is expected.
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
