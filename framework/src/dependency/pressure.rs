//! What upstream is told of a dependency: how much waits for it, and whether more may come.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::shared::Dependency;
use futures_core::Stream;

impl Dependency {
    /// See [`DependencyHandle::pressure`](crate::DependencyHandle::pressure).
    #[must_use]
    pub fn pressure(&self) -> f64 {
        let room = self.gate().waiting_room();
        if self.gate().breaker().check(self.now()).is_err() || !self.is_serving() {
            return 1.0;
        }
        room.fill_ratio().max(room.shed_share().unwrap_or_default()).min(1.0)
    }

    /// See [`DependencyHandle::ready`](crate::DependencyHandle::ready).
    pub async fn ready(&self) {
        loop {
            // Hears what happens from here on, and so before the look.
            let changed = self.gate().waiting_room().upstream().changed().notified();
            if self.pressure() < 1.0 || !self.is_serving() {
                return;
            }
            changed.await;
        }
    }
}

/// The pressure of a dependency whenever it has changed by a tenth or more, and first as it is now. Ends with the dependency's
/// service.
pub struct PressureChanges {
    dependency: Arc<Dependency>,
    last: Option<f64>,
    changed: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// What is told: a tenth. A hair less, because 0.3 − 0.2 is 0.09999999999999998.
const STEP: f64 = 0.1 - 1e-9;

impl PressureChanges {
    pub(crate) fn new(dependency: Arc<Dependency>) -> Self {
        Self { dependency, last: None, changed: None }
    }
}

impl Stream for PressureChanges {
    type Item = f64;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<f64>> {
        let this = self.get_mut();
        loop {
            if let Some(changed) = &mut this.changed {
                ready!(changed.as_mut().poll(cx));
            }
            let upstream = this.dependency.gate().waiting_room().upstream();
            let changed = Arc::clone(upstream.changed()).notified_owned();
            this.changed = Some(Box::pin(changed));
            if !this.dependency.is_serving() {
                return Poll::Ready(None);
            }
            let now = this.dependency.pressure();
            // Both ends are always told: that nothing waits, and that nothing more may come.
            let is_end = (now == 0.0 || now == 1.0) && this.last != Some(now);
            if is_end || this.last.is_none_or(|last| (now - last).abs() >= STEP) {
                this.last = Some(now);
                return Poll::Ready(Some(now));
            }
        }
    }
}

impl fmt::Debug for PressureChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PressureChanges").field("last", &self.last).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use super::*;
    use crate::backpressure::{Config, Strategy};
    use crate::bulkhead;
    use crate::clock::Moment;
    use crate::dependency::{Claim, Join, Position, StartBy};
    use crate::entropy::Entropy;
    use crate::event::Silent;
    use crate::policy::Policy;
    use crate::time::Time;

    /// Its one permit is out, and two may wait.
    fn dependency() -> Arc<Dependency> {
        let policy = Policy::builder()
            .bulkhead(bulkhead::Config::builder().max_concurrent(1).build())
            .mailbox(Config::builder().capacity(2).on_full(Strategy::Error).build())
            .build()
            .unwrap();
        let (time, entropy) = (Time::from(Time::manual()), Entropy::seeded(0));
        let dependency = Dependency::new("bank".into(), policy, time, entropy, Arc::new(Silent));
        assert!(dependency.gate().waiting_room().try_enter(1));
        Arc::new(dependency)
    }

    fn join(dependency: &Dependency) -> Position {
        match dependency.gate().join(Claim::normal(Moment::ZERO), StartBy::NEVER, || false) {
            Join::Waiting(position) => position,
            joined => panic!("{joined:?}"),
        }
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn it_is_what_waits_and_ready_ends_when_there_is_room() {
        let dependency = dependency();
        assert_eq!(dependency.pressure(), 0.0);
        let first = join(&dependency);
        assert_eq!(dependency.pressure(), 0.5);
        assert!(poll(pin!(dependency.ready())).is_ready());
        let _second = join(&dependency);
        let mut ready = pin!(dependency.ready());
        assert_eq!((dependency.pressure(), poll(ready.as_mut())), (1.0, Poll::Pending));
        assert!(dependency.gate().waiting_room().give_up(&first, || Moment::ZERO).is_some());
        assert_eq!((dependency.pressure(), poll(ready)), (0.5, Poll::Ready(())));
    }

    #[test]
    fn a_breaker_that_refuses_is_all_the_pressure_there_is() {
        let dependency = dependency();
        dependency.execute(crate::event::Command::ForceOpen, None);
        let mut ready = pin!(dependency.ready());
        assert_eq!((dependency.pressure(), poll(ready.as_mut())), (1.0, Poll::Pending));
        dependency.execute(crate::event::Command::Reset, None);
        assert_eq!((dependency.pressure(), poll(ready)), (0.0, Poll::Ready(())));
    }

    #[test]
    fn changes_are_told_by_tenths_and_end_with_the_service() {
        let dependency = dependency();
        let mut changes = PressureChanges::new(Arc::clone(&dependency));
        let mut next = || Pin::new(&mut changes).poll_next(&mut Context::from_waker(Waker::noop()));
        assert_eq!((next(), next()), (Poll::Ready(Some(0.0)), Poll::Pending));
        let first = join(&dependency);
        assert_eq!((next(), next()), (Poll::Ready(Some(0.5)), Poll::Pending));
        let second = join(&dependency);
        dependency.gate().waiting_room().give_up(&second, || Moment::ZERO);
        assert_eq!(next(), Poll::Pending, "it is what it was");
        dependency.gate().waiting_room().give_up(&first, || Moment::ZERO);
        assert_eq!(next(), Poll::Ready(Some(0.0)));
        dependency.drain();
        assert_eq!(next(), Poll::Ready(None));
    }

    #[test]
    fn who_waits_to_be_ready_hears_that_it_never_will_be() {
        let dependency = dependency();
        let (_first, _second) = (join(&dependency), join(&dependency));
        let mut ready = pin!(dependency.ready());
        assert!(poll(ready.as_mut()).is_pending());
        dependency.drain();
        assert!(poll(ready).is_ready());
    }
}
