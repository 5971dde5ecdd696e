//! A deadline that calls inherit: for the work of one task, whichever clients it calls.
//!
//! A handler that has 150 ms for its request has 150 ms for all that it calls. `tokio::time::timeout` around a call
//! drops the call when they are over, before its fallback can answer, and tells nobody further down how much is left.
//! [`scope`] does: within it no call of any client lasts longer, time for its fallback is kept out of it, a retry that cannot
//! finish is not begun, and the outgoing layer (`seawall::outgoing`) tells the next server.
//!
//! A deadline is never extended: an inner scope, a policy or [`within`](#clients) can only be shorter.
//!
//! ```
//! use std::time::Duration;
//! use seawall::deadline;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let answer = deadline::scope(Duration::from_millis(150), async {
//!     // Calls of clients here are over in 150 ms, all together.
//!     deadline::left()
//! });
//! assert!(answer.await.is_some_and(|left| left <= Duration::from_millis(150)));
//! assert!(deadline::left().is_none());
//! # }
//! ```
//!
//! # Clients
//! `client.within(Duration::from_millis(150))` is the same client with that much time for each of its calls, and for what its
//! service calls in turn. A trait that has a method `within` of its own keeps it, and its client has none of ours.
//!
//! # Tasks
//! A task that is spawned is another task: give it the same deadline by [`carry`].
//!
//! # What else travels
//! With the deadline goes the work's [`Origin`]: which attempt of its caller it is, and a lot that is drawn once for each root
//! request. **Calls within an attempt that is a retry are not retried**: three layers of three attempts would make 27 of the last
//! one's. The lot is a random number. The retry budget's mode `accept_ratio` refuses calls by it, so that all calls of one root
//! request are refused, or none. A callee makes neither the attempt nor the lot smaller. The work's
//! [priority](prioritized) travels too, and no callee is more important than the request it belongs to.
//!
//! # From and to other services
//! Features `tower` and `axum`: `seawall::layer::DeadlineLayer` puts a server's requests into a scope, by their `grpc-timeout`
//! or a field of your choice; `deadline::write_header` writes what is left into a request.

#[cfg(feature = "tower")]
mod header;
mod origin;

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::backpressure::Priority;
use crate::clock::Moment;
use crate::time::Time;

#[cfg(feature = "tower")]
pub use header::{GRPC_TIMEOUT, ORIGIN, PLAIN_TIMEOUT, read_header, read_origin, write_header};
#[cfg(feature = "tower")]
pub(crate) use header::{is_grpc, write, write_origin};
pub use origin::Origin;

/// There has been a scope in this process. While there has not, calls do not look for one.
static IS_USED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The deadlines of what is polled on this thread now, the innermost last. A list, so that who enters holds nothing.
    static CURRENT: RefCell<Vec<Deadline>> = const { RefCell::new(Vec::new()) };
}

/// A moment, on the clock that it was made with, by which work has to be done.
#[derive(Clone)]
pub struct Deadline {
    time: Time,
    end: Moment,
    origin: Origin,
}

impl Deadline {
    /// So long from now, by tokio's clock, which follows one that a test has paused; outside a runtime by the system's.
    #[must_use]
    pub fn after(length: Duration) -> Self {
        Self::on(&Time::tokio(), length)
    }

    /// So long from now, by this clock.
    #[must_use]
    pub fn on(time: &Time, length: Duration) -> Self {
        Self::at(time, time.now() + length)
    }

    /// None: for a [`scope`] that only says where its work comes from.
    #[must_use]
    pub fn never() -> Self {
        Self::at(&Time::tokio(), Moment::MAX)
    }

    /// For a request that comes from there: [`scope`] and the calls in it go by it.
    #[must_use]
    pub fn from_origin(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// At this moment of that clock.
    pub(crate) fn at(time: &Time, end: Moment) -> Self {
        Self { time: time.clone(), end, origin: Origin::default() }
    }

    /// How much is left of it.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.end.since(self.time.now())
    }

    /// This one or the one around it, whichever comes first; what is around it came before in any case.
    fn or_earlier(self, around: Option<Self>) -> Self {
        let Some(around) = around else { return self };
        let origin = self.origin.within(around.origin);
        Self { origin, ..if around.left() < self.left() { around } else { self } }
    }
}

impl From<Duration> for Deadline {
    /// So long from now.
    fn from(length: Duration) -> Self {
        Self::after(length)
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline").field("left", &self.left()).finish()
    }
}

/// Runs `work` with this deadline, or with that of the scope around it, if that is earlier. Counted from this call, and not
/// from the first poll.
///
/// It ends nothing by itself: calls of clients within it end in time, and so does what asks [`left`].
///
/// # Cancellation
/// Dropped, it drops `work`.
pub fn scope<F: Future>(deadline: impl Into<Deadline>, work: F) -> Scope<F> {
    is_used_from_now_on();
    let mut deadline = deadline.into().or_earlier(current());
    deadline.origin.draw_lot();
    Scope { deadline: Some(deadline), work }
}

/// Runs `work` as being so important, or less, if a scope around it says so: dependencies whose policy has `mailbox.priorities`
/// serve the most important calls first, and shed the least important ones. Its deadline is that of the scope around it, if
/// there is one.
///
/// ```
/// use seawall::Priority;
/// use seawall::deadline::prioritized;
///
/// # async fn build_report() {}
/// # async fn f() {
/// prioritized(Priority::SHEDDABLE, build_report()).await;
/// # }
/// ```
///
/// # Cancellation
/// Dropped, it drops `work`.
pub fn prioritized<F: Future>(priority: Priority, work: F) -> Scope<F> {
    scope(Deadline::never().from_origin(Origin::default().with_priority(priority)), work)
}

/// Runs `work` with the deadline of the scope that this is called in, if it is in one: for a task to be spawned.
///
/// ```
/// # async fn work() {}
/// # async fn f() {
/// tokio::spawn(seawall::deadline::carry(work()));
/// # }
/// ```
pub fn carry<F: Future>(work: F) -> Scope<F> {
    Scope { deadline: current(), work }
}

/// The deadline of the scope that this is called in.
#[must_use]
pub fn current() -> Option<Deadline> {
    // No thread-local is left while a thread ends.
    CURRENT.try_with(|current| current.borrow().last().cloned()).ok().flatten()
}

/// How much is left in the scope that this is called in; `None`: there is none, or it has no end.
#[must_use]
pub fn left() -> Option<Duration> {
    if !is_used() {
        return None;
    }
    let left = |current: &RefCell<Vec<Deadline>>| {
        let current = current.borrow();
        current.last().filter(|deadline| deadline.end != Moment::MAX).map(Deadline::left)
    };
    CURRENT.try_with(left).ok().flatten()
}

/// Whether this is called in a scope.
pub(crate) fn is_in_scope() -> bool {
    is_used() && CURRENT.try_with(|current| !current.borrow().is_empty()).unwrap_or_default()
}

/// Where the work comes from that this is called in; in no scope, from here.
#[must_use]
pub fn origin() -> Origin {
    if !is_used() {
        return Origin::default();
    }
    let current = CURRENT.try_with(|current| current.borrow().last().map(|it| it.origin));
    current.ok().flatten().unwrap_or_default()
}

/// Runs `work` on this thread with that deadline, taken from the thread of its caller.
pub(crate) fn with<T>(deadline: Option<Deadline>, work: impl FnOnce() -> T) -> T {
    let Some(deadline) = deadline else { return work() };
    push(deadline);
    let _entered = Entered;
    work()
}

/// Whether there may be a scope.
#[inline]
pub(crate) fn is_used() -> bool {
    IS_USED.load(Ordering::Relaxed)
}

/// What is polled on this thread until [`leave`] has that deadline, or an earlier one that it had already.
pub(crate) fn enter(deadline: Deadline) {
    push(deadline.or_earlier(current()));
}

fn push(deadline: Deadline) {
    // While a thread ends there is no list any more, and then nothing to be put back.
    let _ = CURRENT.try_with(|current| current.borrow_mut().push(deadline));
}

/// Puts back the deadline from before [`enter`].
pub(crate) fn leave() {
    // Dropped outside the cell.
    let _current = CURRENT.try_with(|current| current.borrow_mut().pop());
}

/// Clients may have deadlines of their own from now on.
pub(crate) fn is_used_from_now_on() {
    IS_USED.store(true, Ordering::Relaxed);
}

/// Leaves when dropped.
struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        leave();
    }
}

pin_project_lite::pin_project! {
    /// Work with a deadline; see [`scope`].
    #[must_use = "it does nothing until it is polled"]
    pub struct Scope<F> {
        deadline: Option<Deadline>,
        #[pin]
        work: F,
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(deadline) = this.deadline else { return this.work.poll(cx) };
        push(deadline.clone());
        let _entered = Entered;
        this.work.poll(cx)
    }
}

impl<F> fmt::Debug for Scope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn now<F: Future>(work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        match work.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("does not wait"),
        }
    }

    #[test]
    fn an_inner_scope_can_only_be_shorter() {
        let time = Time::manual();
        let on = |length| Deadline::on(&Time::from(time.clone()), length);
        now(scope(on(ms(150)), async {
            assert_eq!(left(), Some(ms(150)));
            now(scope(on(ms(500)), async { assert_eq!(left(), Some(ms(150))) }));
            time.advance(ms(50));
            now(scope(on(ms(80)), async {
                assert_eq!(left(), Some(ms(80)));
                time.advance(ms(200));
                assert_eq!(left(), Some(Duration::ZERO));
            }));
            assert_eq!(left(), Some(Duration::ZERO));
        }));
        assert_eq!(left(), None);
    }

    #[test]
    fn a_scope_is_counted_from_its_making_and_is_gone_between_polls() {
        let time = Time::manual();
        let deadline = Deadline::on(&Time::from(time.clone()), ms(100));
        let mut polls = 0;
        let mut work = std::pin::pin!(scope(
            deadline,
            std::future::poll_fn(|_| {
                polls += 1;
                if polls == 2 { Poll::Ready(left()) } else { Poll::Pending }
            })
        ));
        time.advance(ms(30));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(work.as_mut().poll(&mut cx).is_pending());
        assert_eq!(left(), None);
        time.advance(ms(30));
        assert_eq!(work.as_mut().poll(&mut cx), Poll::Ready(Some(ms(40))));
    }

    #[test]
    fn a_panic_within_a_scope_ends_it() {
        let panics = || now(scope(ms(100), async { panic!("within") }));
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_eq!(left(), None);
    }

    #[test]
    fn a_scope_can_be_carried_into_another_task() {
        let carry_on = |_: &mut Context<'_>| Poll::Ready(carry(async { left() }));
        let carried = now(scope(ms(100), std::future::poll_fn(carry_on)));
        assert!(now(carried).is_some_and(|left| left <= ms(100)));
        assert_eq!(now(carry(async { left() })), None);
    }
}
