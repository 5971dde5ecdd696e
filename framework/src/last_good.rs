//! How old an answer is that `#[call(fallback = last_good(…))]` gave.
//!
//! ```
//! use std::time::Duration;
//! use seawall::prelude::*;
//!
//! #[resilient]
//! trait Rates {
//!     /// When the bank does not answer: what it said last, for five minutes.
//!     #[call(fallback = last_good(max_age = "5m", max_entries = 1000))]
//!     async fn euro_in(&self, currency: &str) -> std::io::Result<f64>;
//! }
//!
//! # async fn f<R: Rates>(rates: R) -> std::io::Result<()> {
//! let (rate, age) = seawall::last_good::aged(rates.euro_in("USD")).await;
//! match age {
//!     None => println!("{}", rate?),
//!     Some(age) => println!("{}, {} s ago", rate?, age.as_secs()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A call is answered so if it ends in a fault, or in an error that counts as a failure, and a good answer to a call with equal
//! arguments is there (`key = argument` or `key = path` says what has to be equal instead). `max_age` is 5 minutes and
//! `max_entries` 1,000 unless said otherwise; then the answer that was stored longest ago goes. Clones of a client share their
//! answers. Such a call has the outcome `fallback` in metrics, and [`Event::FellBack`](crate::Event::FellBack) says why.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

thread_local! {
    /// The age of the last good answer that was given on this thread, since somebody began to look.
    static AGE: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// An answer of this age has been given.
pub(crate) fn note(age: Duration) {
    // While a thread ends nobody looks.
    let _ = AGE.try_with(|last| last.set(Some(age)));
}

/// What `work` answers, and how old the last good answer is that a call in it was given; `None`: none was.
///
/// # Cancellation
/// Dropped, it drops `work`.
pub fn aged<F: Future>(work: F) -> Aged<F> {
    Aged { work, age: None }
}

pin_project_lite::pin_project! {
    /// Work whose answer may be an old one; see [`aged`].
    #[must_use = "it does nothing until it is polled"]
    pub struct Aged<F> {
        #[pin]
        work: F,
        age: Option<Duration>,
    }
}

impl<F: Future> Future for Aged<F> {
    type Output = (F::Output, Option<Duration>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let around = AGE.try_with(Cell::take).ok().flatten();
        let polled = this.work.poll(cx);
        let age = AGE.try_with(Cell::take).ok().flatten();
        *this.age = age.or(*this.age);
        // Who looks from around this sees it too.
        if let Some(age) = this.age.or(around) {
            note(age);
        }
        Poll::Ready((ready!(polled), *this.age))
    }
}

impl<F> fmt::Debug for Aged<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aged").field("age", &self.age).finish_non_exhaustive()
    }
}
