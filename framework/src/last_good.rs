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

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::degraded::{Watched, degraded};

/// What `work` answers, and how old the last good answer is that a call in it was given; `None`: none was.
/// [`degraded`](crate::degraded()) tells of every other fallback too.
///
/// # Cancellation
/// Dropped, it drops `work`.
pub fn aged<F: Future>(work: F) -> Aged<F> {
    Aged { work: degraded(work) }
}

pin_project_lite::pin_project! {
    /// Work whose answer may be an old one; see [`aged`].
    #[must_use = "it does nothing until it is polled"]
    pub struct Aged<F> {
        #[pin]
        work: Watched<F>,
    }
}

impl<F: Future> Future for Aged<F> {
    type Output = (F::Output, Option<Duration>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut work = self.project().work;
        let it = ready!(work.as_mut().poll(cx));
        Poll::Ready((it.answer, work.age()))
    }
}

impl<F> fmt::Debug for Aged<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aged").field("work", &self.work).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::degraded::{FallbackUsed, note};
    use crate::outcome::CallOutcome;

    #[test]
    fn an_age_is_told_though_another_fallback_answers_after_it() {
        let used = |age| FallbackUsed { instead_of: CallOutcome::Failure, refused_by: None, age };
        let minute = Some(Duration::from_secs(60));
        let mut work = std::pin::pin!(aged(async {
            note(used(minute));
            note(used(None));
        }));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(work.as_mut().poll(&mut cx), Poll::Ready(((), minute)));
    }
}
