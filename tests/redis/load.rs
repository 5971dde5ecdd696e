//! More requests than a limit lets through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use seawall::clock::Clock;
use seawall::distributed::{Request, SharedLimits};

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) admitted: u64,
    pub(crate) took: Duration,
}

impl Load {
    /// What a bucket lets through in this time.
    pub(crate) fn limit(&self, burst: f64, per_second: f64) -> f64 {
        burst + per_second * self.took.as_secs_f64()
    }
}

/// Asks all instances in turn, together three times `per_second`. At the end of each second something `happens`.
pub(crate) async fn at_three_times(
    instances: &[SharedLimits],
    per_second: f64,
    length: Duration,
    happens: impl AsyncFn(u64),
) -> Load {
    let admitted = Arc::new(AtomicU64::new(0));
    let clock = Clock::system();
    let begin = clock.now();
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / (3.0 * per_second)));
    let mut tasks = tokio::task::JoinSet::new();
    let (mut seconds, mut turn) = (0, 0);
    while clock.now().since(begin) < length {
        tick.tick().await;
        let (limits, admitted) = (instances[turn % instances.len()].clone(), Arc::clone(&admitted));
        turn += 1;
        tasks.spawn(async move {
            let decision = limits.check(&Request::default(), 1).await;
            admitted.fetch_add(u64::from(decision.decision.allowed), Ordering::Relaxed);
        });
        while tasks.try_join_next().is_some() {}
        if clock.now().since(begin).as_secs() > seconds {
            seconds += 1;
            happens(seconds).await;
        }
    }
    let took = clock.now().since(begin);
    while tasks.join_next().await.is_some() {}
    Load { admitted: admitted.load(Ordering::Relaxed), took }
}
