//! Draining: what a shutdown does.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use crate::dependency::Dependency;
use crate::time::Sleep;

use super::drained::{Drained, ShutdownReport};
use super::seawall::Inner;

/// How long giving leases back may take.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);

impl Inner {
    pub(super) async fn shut_down(&self, limit: Duration) -> ShutdownReport {
        self.closed.store(true, Ordering::Release);
        self.finished.get_or_init(|| self.drain(limit)).await.clone()
    }

    async fn drain(&self, limit: Duration) -> ShutdownReport {
        let mut sleep = self.time.sleep(limit);
        // First: afterwards their stores take no more calls.
        self.sets.leave(limit.min(LEAVES_WITHIN), &self.time).await;
        let all = self.registry.all();
        // All of them first: none may take on what another one passes on.
        for registered in &all {
            registered.dependency.drain();
        }
        let mut report = ShutdownReport::default();
        for registered in &all {
            let dependency = &registered.dependency;
            drained(dependency, &mut sleep).await;
            report.dependencies.push(Drained {
                dependency: dependency.name().to_string(),
                cancelled: dependency.in_flight(),
            });
        }
        for registered in &all {
            registered.dependency.cancel();
            registered.supervised.dismiss();
        }
        if let Some(keeper) = &self.keeper {
            keeper.await_answer(keeper.flush(), &self.time).await;
        }
        self.supervision.stop();
        self.exporting.stop();
        self.unused.tell_sections();
        self.events.0.end();
        report
    }
}

/// Until nothing is in flight, or the limit is reached.
async fn drained(dependency: &Arc<Dependency>, limit: &mut Sleep) {
    loop {
        let mut empty = pin!(dependency.emptied());
        empty.as_mut().enable();
        if dependency.in_flight() == 0 {
            return;
        }
        let over = poll_fn(|cx| match empty.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending => Pin::new(&mut *limit).poll(cx).map(|()| true),
        });
        if over.await {
            return;
        }
    }
}
