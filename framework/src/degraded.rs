//! Whether an answer is a fallback's, and in place of what.
//!
//! A fallback's answer looks like any other. Who has to know, because a page says "as of 10:15" or an order has to be checked
//! again, asks by [`degraded`]:
//!
//! ```
//! use seawall::prelude::*;
//! use seawall::{CallError, degraded};
//!
//! #[resilient]
//! trait Rates {
//!     #[call(fallback = usual)]
//!     async fn euro_in(&self, currency: &str) -> std::io::Result<f64>;
//! }
//!
//! async fn usual<S>(_: &S, _: &CallError<std::io::Error>, _: &str) -> std::io::Result<f64> {
//!     Ok(1.08)
//! }
//!
//! # async fn f<R: Rates>(rates: R) -> std::io::Result<()> {
//! let rate = degraded(rates.euro_in("USD")).await;
//! if let Some(fallback) = &rate.fallback {
//!     println!("an estimate, because: {}", fallback.reason());
//! }
//! println!("{}", rate.answer?);
//! # Ok(())
//! # }
//! ```

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::error::RejectedBy;
use crate::outcome::CallOutcome;

thread_local! {
    /// What has been seen on this thread, since somebody began to look.
    static LAST: Cell<Seen> = const { Cell::new(Seen { fallback: None, age: None }) };
}

/// An answer, with the fallback that gave it, if one did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Degraded<T> {
    /// The answer.
    pub answer: T,
    /// `None`: it is the dependency's own. Of several calls in one, the last fallback.
    pub fallback: Option<FallbackUsed>,
}

/// A fallback that has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FallbackUsed {
    /// How the call would have ended without it.
    pub instead_of: CallOutcome,
    /// Which guard had refused the call, if one had.
    pub refused_by: Option<RejectedBy>,
    /// How old the answer is, if it is the last good one.
    pub age: Option<Duration>,
}

impl FallbackUsed {
    /// Why the fallback was asked, as the metrics say it: the guard that refused, or how the call would have ended.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.refused_by.map_or(self.instead_of.as_str(), RejectedBy::as_str)
    }
}

/// A fallback has answered.
pub(crate) fn note(used: FallbackUsed) {
    let age = used.age;
    put(Seen { fallback: Some(used), age }.or(take()));
}

/// What has been seen on this thread.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    fallback: Option<FallbackUsed>,
    /// Of the last good answer that was given, whatever other fallback has answered since.
    age: Option<Duration>,
}

impl Seen {
    /// This, and before it the other.
    fn or(self, before: Self) -> Self {
        Self { fallback: self.fallback.or(before.fallback), age: self.age.or(before.age) }
    }
}

// While a thread ends nobody looks.
fn take() -> Seen {
    LAST.try_with(Cell::take).unwrap_or_default()
}

fn put(seen: Seen) {
    let _ = LAST.try_with(|last| last.set(seen));
}

/// What `work` answers, and whether a fallback answered in a call in it.
///
/// # Cancellation
/// Dropped, it drops `work`.
pub fn degraded<F: Future>(work: F) -> Watched<F> {
    Watched { work, seen: Seen::default() }
}

pin_project_lite::pin_project! {
    /// Work whose answer may be a fallback's; see [`degraded`].
    #[must_use = "it does nothing until it is polled"]
    pub struct Watched<F> {
        #[pin]
        work: F,
        seen: Seen,
    }
}

impl<F> Watched<F> {
    /// The age of the last good answer that was given in it, so far.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.seen.age
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = Degraded<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let around = take();
        let polled = this.work.poll(cx);
        *this.seen = take().or(*this.seen);
        // Who looks from around this sees it too.
        put(this.seen.or(around));
        Poll::Ready(Degraded { answer: ready!(polled), fallback: this.seen.fallback })
    }
}

impl<F> fmt::Debug for Watched<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("seen", &self.seen).finish_non_exhaustive()
    }
}
