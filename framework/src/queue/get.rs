//! Consumers, those who wait for room, and how they wait.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::backpressure::{ItemKey, Push, Queue};

use super::outcome::TryGetError;
use super::shared::Shared;
use super::state::State;

/// A place among those who wait for something, kept from one poll to the next.
#[derive(Debug, Default)]
pub(super) struct WaitingPosition(Option<ItemKey>);

impl WaitingPosition {
    /// Tries, and waits by this task's waker if there is nothing yet. `of` is the queue of those who wait.
    fn poll<T, R>(
        &mut self,
        shared: &Shared<T>,
        cx: &mut Context<'_>,
        of: fn(&mut State<T>) -> &mut Queue<Waker>,
        mut attempt: impl FnMut(&mut State<T>) -> Option<R>,
    ) -> Poll<R> {
        let mut fresh = None;
        loop {
            let mut state = shared.lock();
            if let Some(result) = attempt(&mut state) {
                let kept = self.0.take().and_then(|key| of(&mut state).remove(key));
                drop(state);
                drop(kept);
                return Poll::Ready(result);
            }
            let waiting = of(&mut state);
            let kept = self.0.and_then(|key| waiting.get_mut(key));
            match (kept, fresh.take()) {
                (Some(kept), _) if kept.will_wake(cx.waker()) => return Poll::Pending,
                (Some(kept), Some(fresh)) => {
                    let replaced = std::mem::replace(kept, fresh);
                    drop(state);
                    drop(replaced);
                    return Poll::Pending;
                }
                (None, Some(fresh)) => {
                    let pushed = waiting.push(fresh);
                    drop(state);
                    match pushed {
                        Push::Waiting(key) | Push::Blocked(key) => self.0 = Some(key),
                        // Over a million wait: this one asks again and again.
                        Push::Full(waker) | Push::Dropped(waker) => waker.wake(),
                        Push::Evicted { key, evicted } => {
                            self.0 = Some(key);
                            evicted.wake();
                        }
                    }
                    return Poll::Pending;
                }
                (_, None) => drop(state),
            }
            fresh = Some(cx.waker().clone());
        }
    }

    /// Waits no longer. A consumer that was woken and takes nothing wakes the next one.
    fn leave<T>(&mut self, shared: &Shared<T>, of: fn(&mut State<T>) -> &mut Queue<Waker>) {
        let Some(key) = self.0.take() else { return };
        let mut state = shared.lock();
        let mut waker = of(&mut state).remove(key);
        let was_woken = waker.is_none();
        if was_woken && !state.line.is_empty() {
            waker = of(&mut state).pop();
        }
        drop(state);
        match waker {
            Some(next) if was_woken => next.wake(),
            other => drop(other),
        }
    }
}

fn consumers<T>(state: &mut State<T>) -> &mut Queue<Waker> {
    &mut state.consumers
}

/// Waits for an item.
pub(super) struct Getting<'a, T> {
    shared: &'a Shared<T>,
    place: WaitingPosition,
}

impl<'a, T> Getting<'a, T> {
    pub(super) fn new(shared: &'a Shared<T>) -> Self {
        Self { shared, place: WaitingPosition::default() }
    }
}

impl<T> Future for Getting<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let shared = self.shared;
        poll_get(&mut self.place, shared, cx)
    }
}

impl<T> Drop for Getting<'_, T> {
    fn drop(&mut self) {
        leave_get(&mut self.place, self.shared);
    }
}

pub(super) fn poll_get<T>(
    place: &mut WaitingPosition,
    shared: &Shared<T>,
    cx: &mut Context<'_>,
) -> Poll<Option<T>> {
    let mut visit = shared.visit_to_take();
    let polled = place.poll(shared, cx, consumers, |state| match state.take(&mut visit) {
        Ok(item) => Some(Some(item)),
        Err(TryGetError::Closed) => Some(None),
        Err(TryGetError::Empty) => None,
    });
    visit.end();
    polled
}

pub(super) fn leave_get<T>(place: &mut WaitingPosition, shared: &Shared<T>) {
    place.leave(shared, consumers);
}

/// Waits until the queue is not full.
pub(super) async fn ready<T>(shared: &Shared<T>) {
    struct Upstream<'a, T>(&'a Shared<T>, WaitingPosition);
    impl<T> Drop for Upstream<'_, T> {
        fn drop(&mut self) {
            self.1.leave(self.0, |state| &mut state.upstream);
        }
    }
    let mut upstream = Upstream(shared, WaitingPosition::default());
    poll_fn(|cx| {
        let Upstream(shared, place) = &mut upstream;
        place.poll(
            shared,
            cx,
            |state| &mut state.upstream,
            |state| (!state.line.is_full() || state.is_closed).then_some(()),
        )
    })
    .await;
}
