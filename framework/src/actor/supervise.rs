//! Keeps one actor running: builds it, watches it, rebuilds it.
//!
//! actix's own `Supervisor` does not outlive a panic: the address stays dead. So the actor's future is
//! polled here, a panic in it is caught, and the next actor comes from the factory, with a new
//! address in the old place.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;

use actix::{Actor, AsyncContext, Context};

use crate::time::Time;

use super::restart::{Next, RestartPolicy, Restarts};
use super::supervised::{Supervised, SupervisionGuard};

/// What becomes known about an actor while it is looked after.
pub(super) trait Watcher {
    /// It has been rebuilt.
    fn restarted(&self);
    /// It keeps failing, and is left alone for a while.
    fn unattended(&self);
}

/// How an actor's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It stopped of its own accord.
    Stopped,
    Panicked,
    Dismissed,
}

/// How an actor is looked after.
pub(super) struct Terms<W> {
    pub(super) policy: RestartPolicy,
    pub(super) time: Time,
    pub(super) watcher: W,
    /// An actor that stops of its own accord has failed too; otherwise that ends its supervision.
    pub(super) restart_stopped: bool,
}

/// Runs until the actor is dismissed. There is one for every dependency: an `async fn` would keep each of its arguments twice.
pub(super) fn supervise<A, F, W>(
    factory: F,
    guard: SupervisionGuard<A>,
    terms: Terms<W>,
) -> impl Future<Output = ()>
where
    A: Actor<Context = Context<A>>,
    F: Fn() -> A,
    W: Watcher,
{
    let Terms { policy, time, watcher, restart_stopped } = terms;
    let mut restarts = Restarts::new(policy);
    async move {
        let supervised = &*guard.0;
        let mut first = true;
        while !supervised.is_dismissed() {
            let end = match begin(&factory, supervised) {
                Some(life) => {
                    if !first {
                        supervised.note_restart();
                        watcher.restarted();
                    }
                    first = false;
                    run(life, supervised).await
                }
                None => End::Panicked,
            };
            supervised.publish(None);
            if end == End::Dismissed || (end == End::Stopped && !restart_stopped) {
                break;
            }
            let wait = match restarts.failed(time.now()) {
                Next::Rebuild(delay) => delay,
                Next::LeaveAlone(length) => {
                    watcher.unattended();
                    length
                }
            };
            // In a box, so that an actor that is well is not made larger by it.
            Box::pin(rest(supervised, &time, wait)).await;
        }
    }
}

/// Builds the actor and publishes its address. `None`: the factory panicked.
fn begin<A: Actor<Context = Context<A>>, F: Fn() -> A>(
    factory: &F,
    supervised: &Supervised<A>,
) -> Option<Pin<Box<impl Future<Output = ()> + use<A, F>>>> {
    let actor = catch_unwind(AssertUnwindSafe(factory)).ok()?;
    let context = Context::new();
    supervised.publish(Some(context.address()));
    Some(Box::pin(context.into_future(actor)))
}

/// The actor's life, to its end or its dismissal.
async fn run<A: Actor<Context = Context<A>>, Life: Future<Output = ()>>(
    life: Pin<Box<Life>>,
    supervised: &Supervised<A>,
) -> End {
    let mut life = Some(life);
    let end = loop {
        let mut changed = pin!(supervised.changed());
        changed.as_mut().enable();
        if supervised.is_dismissed() {
            break End::Dismissed;
        }
        let end = poll_fn(|cx| {
            let Some(life) = life.as_mut() else { return Poll::Ready(Some(End::Stopped)) };
            match catch_unwind(AssertUnwindSafe(|| life.as_mut().poll(cx))) {
                Ok(Poll::Ready(())) => Poll::Ready(Some(End::Stopped)),
                Err(_) => Poll::Ready(Some(End::Panicked)),
                Ok(Poll::Pending) => changed.as_mut().poll(cx).map(|()| None),
            }
        })
        .await;
        if let Some(end) = end {
            break end;
        }
    };
    // What a half-changed actor does as it goes is its own affair.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(life.take())));
    end
}

/// Waits, but no longer than the actor is wanted.
async fn rest<A: Actor<Context = Context<A>>>(
    supervised: &Supervised<A>,
    time: &Time,
    wait: std::time::Duration,
) {
    let mut sleep = time.sleep(wait);
    loop {
        let mut changed = pin!(supervised.changed());
        changed.as_mut().enable();
        if supervised.is_dismissed() {
            return;
        }
        let over = poll_fn(|cx| match Pin::new(&mut sleep).poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => changed.as_mut().poll(cx).map(|()| false),
        })
        .await;
        if over {
            return;
        }
    }
}
