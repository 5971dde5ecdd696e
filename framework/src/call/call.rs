//! One call, from its first look at the breaker to its last word: the fixed order of the guards.
//!
//! `fallback( deadline( retry( rate limit( breaker( bulkhead and mailbox( timeout( attempt )))))))`
//!
//! The breaker is looked at first, then a token is taken, then a permit or a place in line; the
//! breaker's lease comes last and counts. Everything taken is a guard: a call that is dropped, at any
//! await, gives all of it back. A call that finds its way free and its answer ready allocates
//! nothing, locks nothing, and reads the clock twice. (A dependency's `quota` locks, briefly.)

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::clock::{Moment, nanos};
use crate::dependency::{Dependency, HeldKey, Method};
use crate::error::{CallError, Fallible, Fault, RejectedBy};
use crate::limit::Reservation;
use crate::limit::headers::Report;
use crate::outcome::{CallOutcome, Class};
use crate::time::TimeLimit;

use super::open_attempt::OpenAttempt;

/// How a method's answers are read.
#[derive(Debug)]
pub struct Rules<R: Fallible> {
    /// What an answer says about the dependency.
    pub classify: fn(&R) -> Class,
    /// Whether an error is worth another attempt.
    pub retry_if: fn(&R::Err) -> bool,
    /// For how long the server wants to be left alone. Asked of failures only: nobody else's answer
    /// opens a breaker or is retried.
    pub retry_after: fn(&R) -> Option<Duration>,
    /// What an answer says of the dependency's quota. Asked of every answer, if the policy has a `quota`.
    pub quota: fn(&R) -> Option<Report>,
    /// The open attempt in an answer whose last word is still to come. Asked of answers that `classify` calls ignored.
    pub goes_on: fn(&R) -> Option<&OpenAttempt>,
}

impl<R: Fallible> Rules<R> {
    /// An error is a failure, worth another attempt, and does not say when. No answer tells of a quota, and each is whole.
    pub const USUAL: Self = Self {
        classify: |answer| match answer.as_result() {
            Ok(_) => Class::Success,
            Err(_) => Class::Failure,
        },
        retry_if: |_| true,
        retry_after: |_| None,
        quota: |_| None,
        goes_on: |_| None,
    };
}

/// A call under way. Dropped before [`Call::finish`], it counts as cancelled.
#[derive(Debug)]
pub struct Call<'a> {
    pub(super) dependency: &'a Dependency,
    pub(super) method: &'a Method,
    /// Whose breaker it has to pass too.
    pub(super) key: Option<&'a HeldKey>,
    pub(super) started: Moment,
    /// The last time anybody looked; saves a look where nothing can have passed.
    pub(super) now: Moment,
    /// Attempts, waits and backoffs end here.
    pub(super) deadline: Moment,
    /// See [`Call::whole_deadline`]; in nanoseconds, zero until it is first asked for.
    pub(super) fixed_deadline: u64,
    /// What the last answer said about the dependency.
    pub(super) class: Class,
    /// When to come back, as the last answer that was a failure asked for, or the last refusal said.
    pub(super) retry_after: Option<Duration>,
    /// Which guard refused last.
    pub(super) refused_by: RejectedBy,
    /// The attempt's turn by the dependency's own quota, until its answer is there.
    pub(super) reservation: Option<Reservation>,
    /// The call has had to wait, and is counted among those that have.
    pub(super) pending: bool,
    pub(super) fell_back: bool,
    /// The dependency has seen an attempt.
    pub(super) dispatched: bool,
    /// True while the user's code runs: a drop that finds it true is an unwind.
    pub(super) in_user_code: bool,
    pub(super) over: bool,
}

impl<'a> Call<'a> {
    /// Has every attempt pass this key's breaker too, and teach it.
    #[inline]
    pub fn by_key(&mut self, key: &'a Option<HeldKey>) {
        self.key = key.as_ref();
    }

    /// Makes the only attempt.
    ///
    /// # Errors
    /// The dependency's own error, or Seawall's fault.
    #[inline]
    pub async fn once<R: Fallible, Fut: Future<Output = R>>(
        &mut self,
        make: impl FnOnce() -> Fut,
        rules: &Rules<R>,
    ) -> Result<R::Ok, CallError<R::Err>> {
        flatten(self.attempt(make, rules).await)
    }

    /// Makes attempts until one succeeds, is not worth repeating, or there is no time or budget left.
    ///
    /// # Errors
    /// The dependency's own error, or Seawall's fault, of the last attempt.
    #[inline]
    pub async fn repeat<R: Fallible, Fut: Future<Output = R>>(
        &mut self,
        mut make: impl FnMut() -> Fut,
        rules: &Rules<R>,
    ) -> Result<R::Ok, CallError<R::Err>> {
        let mut made: u32 = 0;
        let mut previous = Duration::ZERO;
        loop {
            let answer = self.attempt(&mut make, rules).await;
            if self.class == Class::Success {
                return flatten(answer);
            }
            made = made.saturating_add(1);
            let Some(delay) = self.next_delay(&answer, rules, made, &mut previous) else {
                return flatten(answer);
            };
            // What an answer holds (a connection, say) does not wait too.
            drop(answer);
            if let Err(fault) = self.pause(delay).await {
                return Err(CallError::Fault(fault));
            }
        }
    }

    /// By when its attempts have to end.
    #[must_use]
    pub fn attempts_end(&self) -> Moment {
        self.deadline
    }

    /// Whether a fallback may answer in place of this error: not for errors that say nothing.
    #[must_use]
    pub fn may_fall_back<E>(&self, error: &CallError<E>) -> bool {
        matches!(error, CallError::Fault(_)) || self.class == Class::Failure
    }

    /// Runs a fallback in what is left of the whole deadline; one that answers without waiting is
    /// heard even after it. `None`: there was no time.
    pub async fn fall_back<R, Fut: Future<Output = R>>(
        &mut self,
        make: impl FnOnce() -> Fut,
    ) -> Option<R> {
        let deadline = self.started + self.whole_deadline();
        let answer = {
            self.in_user_code = true;
            let mut answer = pin!(make());
            let mut limit: Option<TimeLimit> = None;
            poll_fn(|cx| {
                self.in_user_code = true;
                if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                    return Poll::Ready(Some(answer));
                }
                let limit = limit.get_or_insert_with(|| {
                    self.pend();
                    self.dependency.time().limit(deadline)
                });
                let ended = self.poll_limit(limit, cx);
                self.in_user_code = ended.is_ready();
                ended.map(|_| None)
            })
            .await
        };
        self.in_user_code = false;
        self.now = self.dependency.now();
        self.fell_back = answer.is_some();
        answer
    }

    #[cold]
    pub(super) fn outcome<T, E>(
        &self,
        result: &Result<T, CallError<E>>,
    ) -> (CallOutcome, Option<RejectedBy>) {
        let fault = match result {
            Ok(_) if self.fell_back => return (CallOutcome::Fallback, None),
            // The fallback's own error.
            Err(CallError::Inner(_)) if self.fell_back => return (CallOutcome::Failure, None),
            Ok(_) | Err(CallError::Inner(_)) => {
                let outcome = match self.class {
                    Class::Success => CallOutcome::Success,
                    Class::Failure => CallOutcome::Failure,
                    Class::Ignored => CallOutcome::Ignored,
                };
                return (outcome, None);
            }
            Err(CallError::Fault(fault)) => fault,
        };
        match fault {
            Fault::Rejected { by, .. } => (CallOutcome::Rejected, Some(*by)),
            Fault::TimedOut { .. } => (CallOutcome::TimedOut, None),
            Fault::DeadlineExceeded { .. } => (CallOutcome::DeadlineExceeded, None),
            Fault::Unavailable { .. } => (CallOutcome::Unavailable, None),
        }
    }

    /// Counts this call among those that have had to wait, once. From here on a reload may come between, so the
    /// deadline is fixed.
    #[cold]
    pub(super) fn pend(&mut self) {
        if !self.pending {
            self.whole_deadline();
            self.pending = true;
            self.dependency.pend();
        }
    }

    /// The deadline of the whole call, counted from its start. A reload after the call began does not change it.
    pub(super) fn whole_deadline(&mut self) -> Duration {
        if self.fixed_deadline == 0 {
            self.fixed_deadline = nanos(self.method.plan.deadline());
        }
        Duration::from_nanos(self.fixed_deadline)
    }

    /// The answer to a call whose deadline has passed.
    #[cold]
    pub(super) fn deadline_exceeded(&mut self) -> Fault {
        let after = self.whole_deadline();
        self.dependency.deadline_exceeded(after)
    }
}

impl Drop for Call<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.over {
            let outcome =
                if self.in_user_code { CallOutcome::Panicked } else { CallOutcome::Cancelled };
            let took = self.dependency.now().nanos_since(self.started);
            self.method.stats.other(outcome, None, took);
        }
        if self.pending {
            self.dependency.unpend();
        }
    }
}

pub(super) fn flatten<R: Fallible>(answer: Result<R, Fault>) -> Result<R::Ok, CallError<R::Err>> {
    match answer {
        Ok(answer) => answer.into_result().map_err(CallError::Inner),
        Err(fault) => Err(CallError::Fault(fault)),
    }
}
