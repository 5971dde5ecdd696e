//! Producers, and how they wait.

use std::future::Future;
use std::mem::replace;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::backpressure::ItemKey;
use crate::clock::Moment;
use crate::time::Sleep;

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

/// Puts an item in, and waits for it as the strategy says. Dropped while it waits, it takes the item along, and gives
/// a turn that it has not used back.
pub(super) struct Putting<S: Deref<Target = Shared<T>>, T> {
    shared: S,
    stage: Stage<T>,
    /// When a producer gives up; known once it waits.
    until: Option<Moment>,
}

enum Stage<T> {
    /// Nothing is asked yet.
    New(T),
    /// Waits for its turn.
    Turn {
        item: T,
        at: Moment,
        sleep: Sleep,
    },
    /// Waits in front of the full queue.
    Blocked {
        key: ItemKey,
        sleep: Sleep,
    },
    Over,
}

impl<S: Deref<Target = Shared<T>>, T> Putting<S, T> {
    pub(super) fn new(shared: S, item: T) -> Self {
        Self { shared, stage: Stage::New(item), until: None }
    }

    /// Goes as far as it can without waiting. `None`: it waits.
    #[inline]
    pub(super) fn begin(&mut self) -> Option<Done<T>> {
        let Stage::New(item) = replace(&mut self.stage, Stage::Over) else { return None };
        match self.shared.step(|state, visit| state.arrive(item, true, visit)) {
            Step::Done(done) => Some(done),
            step => self.wait(step),
        }
    }

    fn enter(&mut self, item: T) -> Option<Done<T>> {
        let step = self.shared.step(|state, visit| state.put(item, true, visit));
        self.wait(step)
    }

    fn wait(&mut self, step: Step<T>) -> Option<Done<T>> {
        let settings = &self.shared.settings;
        let timeout = settings.strategy.timeout().unwrap_or(Duration::MAX);
        let until = *self.until.get_or_insert_with(|| settings.time.now() + timeout);
        self.stage = match step {
            Step::Done(done) => return Some(done),
            Step::Turn(item, at) => Stage::Turn { item, at, sleep: settings.time.sleep_until(at) },
            Step::Blocked(key) => Stage::Blocked { key, sleep: settings.time.sleep_until(until) },
        };
        None
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
    let entry = shared.step(|state, visit| match state.line.is_blocked(key) {
        Some(true) => state.leave(visit, |line| line.remove(key)),
        _ => None,
    });
    // Its waker is dropped here, once the lock is open.
    entry.map(|entry| entry.item)
}

/// Why a blocked producer need not wait any longer.
enum Moved {
    Up,
    Closed,
}

/// Whether a blocked producer may go on. If not, keeps its waker.
fn poll_blocked<T>(shared: &Shared<T>, key: ItemKey, cx: &mut Context<'_>) -> Poll<Moved> {
    let mut fresh = None;
    loop {
        let mut state = shared.state.lock_briefly();
        if state.line.is_blocked(key) != Some(true) {
            return Poll::Ready(Moved::Up);
        }
        if state.is_closed {
            return Poll::Ready(Moved::Closed);
        }
        // It is blocked, and so in the line.
        let Some(entry) = state.line.get_mut(key) else { return Poll::Ready(Moved::Up) };
        if entry.producer.as_ref().is_some_and(|kept| kept.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        if let Some(fresh) = fresh.take() {
            let replaced = entry.producer.replace(fresh);
            drop(state);
            drop(replaced);
            return Poll::Pending;
        }
        drop(state);
        fresh = Some(cx.waker().clone());
    }
}

impl<S: Deref<Target = Shared<T>>, T> Unpin for Putting<S, T> {}

impl<S: Deref<Target = Shared<T>>, T> Future for Putting<S, T> {
    type Output = Done<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Done<T>> {
        let this = self.get_mut();
        if matches!(this.stage, Stage::New(_))
            && let Some(done) = this.begin()
        {
            return Poll::Ready(done);
        }
        if let Stage::Turn { sleep, .. } = &mut this.stage {
            ready!(Pin::new(sleep).poll(cx));
            if let Stage::Turn { item, .. } = replace(&mut this.stage, Stage::Over)
                && let Some(done) = this.enter(item)
            {
                return Poll::Ready(done);
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
            Stage::New(_) | Stage::Over => {}
        }
    }
}
