//! Producers, and how they wait.

use std::future::Future;
use std::mem::replace;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::backpressure::ItemKey;
use crate::clock::Moment;
use crate::sync::keep_waker;
use crate::time::{Sleep, Time};

use super::outcome::{Put, PutError, PutErrorKind};
use super::shared::Shared;
use super::state::Step;

pub(super) type Done<T> = Result<Put<T>, PutError<T>>;

pub(super) fn try_put<T>(shared: &Shared<T>, item: T) -> Done<T> {
    match shared.step(|state, visit| state.arrive(item, false, visit)) {
        Step::Done(done) => done,
        // Not reached: who may not wait is refused instead.
        Step::Turn(item, _) => Err(PutError::new(PutErrorKind::TooEarly, item)),
        Step::Blocked(_) => Ok(Put::Accepted),
    }
}

/// A put that waits, as the strategy says. Dropped meanwhile, it takes the item along, and gives a turn that it has not
/// used back.
pub(super) struct Putting<S: Deref<Target = Shared<T>>, T> {
    shared: S,
    stage: Stage<T>,
    /// When the producer gives up.
    until: Moment,
}

enum Stage<T> {
    /// For its turn.
    Turn { item: T, at: Moment, sleep: Sleep },
    /// In front of the full queue.
    Blocked { key: ItemKey, sleep: Sleep },
    /// It does not wait any longer.
    Over,
}

impl<T> Stage<T> {
    /// What follows a step: its end, or else a wait.
    fn after(step: Step<T>, until: Moment, time: &Time) -> Result<Done<T>, Self> {
        match step {
            Step::Done(done) => Ok(done),
            Step::Turn(item, at) => Err(Self::Turn { item, at, sleep: time.sleep_until(at) }),
            Step::Blocked(key) => Err(Self::Blocked { key, sleep: time.sleep_until(until) }),
        }
    }
}

impl<S: Deref<Target = Shared<T>>, T> Putting<S, T> {
    /// Puts an item in.
    ///
    /// # Errors
    /// It has to wait, which is no error: this is the wait.
    #[inline]
    pub(super) fn begin(shared: S, item: T) -> Result<Done<T>, Self> {
        match shared.step(|state, visit| state.arrive(item, true, visit)) {
            Step::Done(done) => Ok(done),
            step => {
                let settings = &shared.settings;
                let timeout = settings.strategy.timeout().unwrap_or(Duration::MAX);
                let until = settings.time.now() + timeout;
                Stage::after(step, until, &settings.time).map_err(|stage| Self {
                    shared,
                    stage,
                    until,
                })
            }
        }
    }

    /// Ends a wait in front of the queue. If it has room by now, the item stays there.
    fn give_up(&mut self, key: ItemKey, kind: PutErrorKind) -> Done<T> {
        self.stage = Stage::Over;
        match take_back(&self.shared, key) {
            Some(item) => Err(PutError::new(kind, item)),
            None => Ok(Put::Accepted),
        }
    }
}

/// The item, if it is still in front of the queue.
fn take_back<T>(shared: &Shared<T>, key: ItemKey) -> Option<T> {
    let blocked = shared.step(|state, _| state.line.remove_blocked(key));
    // Its waker is dropped here, once the lock is open.
    blocked.map(|blocked| blocked.item)
}

/// Why a blocked producer need not wait any longer.
enum Moved {
    Up,
    Closed,
}

/// Whether a blocked producer may go on. If not, keeps its waker.
fn poll_blocked<T>(shared: &Shared<T>, key: ItemKey, cx: &mut Context<'_>) -> Poll<Moved> {
    keep_waker(
        cx,
        || shared.lock(),
        |state| {
            let is_closed = state.is_closed;
            match state.line.producer(key) {
                Some(producer) if !is_closed => Ok(producer),
                Some(_) => Err(Moved::Closed),
                None => Err(Moved::Up),
            }
        },
    )
}

impl<S: Deref<Target = Shared<T>>, T> Unpin for Putting<S, T> {}

impl<S: Deref<Target = Shared<T>>, T> Future for Putting<S, T> {
    type Output = Done<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Done<T>> {
        let this = self.get_mut();
        if let Stage::Turn { sleep, .. } = &mut this.stage {
            ready!(Pin::new(sleep).poll(cx));
            if let Stage::Turn { item, .. } = replace(&mut this.stage, Stage::Over) {
                let step = this.shared.step(|state, visit| state.put(item, true, visit));
                match Stage::after(step, this.until, &this.shared.settings.time) {
                    Ok(done) => return Poll::Ready(done),
                    Err(stage) => this.stage = stage,
                }
            }
        }
        let Stage::Blocked { key, sleep } = &mut this.stage else { return Poll::Pending };
        let key = *key;
        match poll_blocked(&this.shared, key, cx) {
            Poll::Ready(Moved::Up) => {
                this.stage = Stage::Over;
                Poll::Ready(Ok(Put::Accepted))
            }
            Poll::Ready(Moved::Closed) => Poll::Ready(this.give_up(key, PutErrorKind::Closed)),
            Poll::Pending => {
                ready!(Pin::new(sleep).poll(cx));
                Poll::Ready(this.give_up(key, PutErrorKind::TimedOut))
            }
        }
    }
}

impl<S: Deref<Target = Shared<T>>, T> Drop for Putting<S, T> {
    fn drop(&mut self) {
        match replace(&mut self.stage, Stage::Over) {
            Stage::Turn { at, .. } => {
                self.shared.step(|state, _| state.give_back(at));
            }
            Stage::Blocked { key, .. } => drop(take_back(&self.shared, key)),
            Stage::Over => {}
        }
    }
}
