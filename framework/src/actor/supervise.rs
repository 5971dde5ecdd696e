//! Keeps one actor running: builds it, watches it, rebuilds it.
//!
//! actix's own `Supervisor` does not outlive a panic: the address stays dead. So the actor's future is
//! polled here, a panic in it is caught, and the next actor comes from the factory, with a new
//! address in the old place.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use actix::dev::ContextFut;
use actix::{Actor, AsyncContext, Context};

use crate::time::Time;

use super::restart::{Next, RestartPolicy, Restarts};
use super::supervised::{Supervised, SupervisionGuard};

/// An actor that is looked after: how it is built, and who hears what becomes of it.
pub(super) trait Charge {
    /// What is built.
    type Actor: Actor<Context = Context<Self::Actor>>;
    /// One that stops of its own accord has failed too; otherwise that ends its supervision.
    const RESTART_STOPPED: bool;
    /// Builds it.
    fn build(&self) -> Self::Actor;
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

/// How actors are looked after.
pub(super) struct Terms {
    pub(super) policy: RestartPolicy,
    pub(super) time: Time,
}

/// Runs until the actor is dismissed. There is one for every dependency: what an actor that is well does not need is in a box, and an
/// `async fn` would keep each of its arguments twice.
pub(super) fn supervise<C: Charge>(
    charge: C,
    guard: SupervisionGuard<C::Actor>,
    terms: Arc<Terms>,
) -> impl Future<Output = ()> {
    let mut restarts: Option<Box<Restarts>> = None;
    let mut first = true;
    async move {
        let supervised = &*guard.0;
        while !supervised.is_dismissed() {
            let end = match begin(&charge, supervised) {
                Some(life) => {
                    if !first {
                        supervised.note_restart();
                        charge.restarted();
                    }
                    first = false;
                    run(life, supervised).await
                }
                None => End::Panicked,
            };
            supervised.publish(None);
            if end == End::Dismissed || (end == End::Stopped && !C::RESTART_STOPPED) {
                break;
            }
            let new = || Box::new(Restarts::new(terms.policy.clone()));
            let wait = match restarts.get_or_insert_with(new).failed(terms.time.now()) {
                Next::Rebuild(delay) => delay,
                Next::LeaveAlone(length) => {
                    charge.unattended();
                    length
                }
            };
            Box::pin(rest(supervised, &terms.time, wait)).await;
        }
    }
}

/// All that an actor does.
type Life<A> = ContextFut<A, Context<A>>;

/// Builds the actor and publishes its address. `None`: that panicked.
fn begin<C: Charge>(
    charge: &C,
    supervised: &Supervised<C::Actor>,
) -> Option<Pin<Box<Life<C::Actor>>>> {
    let actor = catch_unwind(AssertUnwindSafe(|| charge.build())).ok()?;
    let context = Context::new();
    supervised.publish(Some(context.address()));
    Some(Box::pin(context.into_future(actor)))
}

/// The actor's life, to its end or its dismissal.
fn run<A: Actor<Context = Context<A>>>(
    life: Pin<Box<Life<A>>>,
    supervised: &Supervised<A>,
) -> impl Future<Output = End> {
    let mut life = Some(life);
    poll_fn(move |cx| {
        let end = match (supervised.poll_dismissed(cx), life.as_mut()) {
            (Poll::Ready(()), _) => End::Dismissed,
            (Poll::Pending, None) => End::Stopped,
            (Poll::Pending, Some(life)) => {
                match catch_unwind(AssertUnwindSafe(|| life.as_mut().poll(cx))) {
                    Ok(Poll::Pending) => return Poll::Pending,
                    Ok(Poll::Ready(())) => End::Stopped,
                    Err(_) => End::Panicked,
                }
            }
        };
        // What a half-changed actor does as it goes is its own affair.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(life.take())));
        Poll::Ready(end)
    })
}

/// Waits, but no longer than the actor is wanted.
async fn rest<A: Actor<Context = Context<A>>>(
    supervised: &Supervised<A>,
    time: &Time,
    wait: std::time::Duration,
) {
    let mut sleep = time.sleep(wait);
    poll_fn(|cx| match supervised.poll_dismissed(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => Pin::new(&mut sleep).poll(cx),
    })
    .await;
}
