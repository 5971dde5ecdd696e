//! One call, from its first look at the breaker to its last word: the fixed order of the guards.
//!
//! `fallback( deadline( retry( hedge( rate limit( breaker( bulkhead and mailbox( timeout( attempt ))))))))`
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
use crate::degraded::{self, FallbackUsed};
use crate::dependency::{Dependency, HeldKey, Method, Refused};
use crate::error::{CallError, EarlierError, Fallible, Fault, RejectedBy};
use crate::limit::Reservation;
use crate::outcome::{CallOutcome, Class, Outcome};
use crate::retry::Progress;
use crate::time::TimeLimit;

use super::rules::Rules;
use super::spans::Spans;

/// Why a call has no answer. Its [`Fault`] is made at the end, from this and the call's other fields: it is large, and would
/// have to be moved through every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// By [`Call::refused_by`].
    Rejected,
    /// After [`Call::timed_out_after`].
    TimedOut,
    DeadlineExceeded,
    ShutDown,
}

/// What few calls have: together and in a box, so that the others are small, and quickly dropped.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// Its spans, if they are wanted.
    pub(super) spans: Option<Spans>,
    /// How the attempt before this retry ended.
    pub(super) earlier: Option<EarlierError>,
    /// Its retries so far.
    pub(super) retries: Progress,
    /// How the attempt before this retry ended, for the retry budget.
    pub(super) after: Option<Outcome>,
}

/// What a call is to its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// All of it.
    Whole,
    /// An attempt of another call, that others may run beside.
    Attempt,
    /// Such an attempt, made beside one that has no answer yet.
    Hedge,
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
    /// Why the last attempt has no answer, if it has none.
    pub(super) no_answer: NoAnswer,
    /// The timeout of the last attempt that ran into it, in nanoseconds.
    pub(super) timed_out_after: u64,
    /// The attempt's turn by the dependency's own quota, until its answer is there.
    pub(super) reservation: Option<Reservation>,
    /// What the service calls inherits the call's deadline.
    pub(super) passes_on: bool,
    /// The retry budget goes by how attempts end.
    pub(super) is_watched: bool,
    /// Other than `Whole` it counts nothing as a call.
    pub(super) role: Role,
    /// What few calls have.
    pub(super) rare: Option<Box<Rare>>,
    /// The thread has been told of it: it polls the service, or unwinds from there.
    pub(super) has_entered: bool,
    /// The call has had to wait, and is counted among those that have.
    pub(super) pending: bool,
    /// The dependency's own answer is what a fallback may stand in for.
    pub(super) had_answer: bool,
    pub(super) fell_back: bool,
    /// The dependency has seen an attempt.
    pub(super) dispatched: bool,
    /// True while the user's code runs: a drop that finds it true is an unwind.
    pub(super) in_user_code: bool,
    /// Its answer has taken the attempt along, and counts the call when that ends.
    pub(super) goes_on: bool,
    pub(super) over: bool,
}

impl<'a> Call<'a> {
    /// Has every attempt pass this key's breaker too, and teach it.
    #[inline]
    pub fn by_key(&mut self, key: &'a Option<HeldKey>) {
        self.key = key.as_ref();
    }

    /// It was accepted before: it goes on during a drain.
    pub fn accepted(&mut self) {
        self.pend();
    }

    /// Makes the only attempt, if it may begin. `None`: it has no answer, and [`Call::finish`] says why.
    pub async fn once<R: Fallible, Fut: Future<Output = R>>(
        &mut self,
        make: impl FnOnce() -> Fut,
        rules: &Rules<R>,
    ) -> Option<R> {
        if self.goes_ahead() { self.attempt(make, rules).await } else { None }
    }

    /// By when its attempts have to end.
    #[must_use]
    pub fn attempts_end(&self) -> Moment {
        self.deadline
    }

    /// The error in whose place a fallback may answer: a fault, or the dependency's own, but not one that says nothing.
    ///
    /// # Errors
    /// That error.
    pub fn failed<R: Fallible>(
        &mut self,
        answer: Option<R>,
    ) -> Result<Option<R>, CallError<R::Err>> {
        self.had_answer = answer.is_some();
        match answer {
            None => Err(CallError::Fault(self.fault())),
            Some(answer) if self.class == Class::Failure => match answer.into_result() {
                Ok(answer) => Ok(Some(R::from_result(Ok(answer)))),
                Err(error) => Err(CallError::Inner(error)),
            },
            answered => Ok(answered),
        }
    }

    /// Back from [`Call::failed`], where no fallback has answered.
    #[must_use]
    pub fn no_fallback<R: Fallible>(error: CallError<R::Err>) -> Option<R> {
        match error {
            CallError::Inner(error) => Some(R::from_result(Err(error))),
            CallError::Fault(_) => None,
        }
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
                self.enter_deadline();
                let polled = answer.as_mut().poll(cx);
                self.leave_deadline();
                if let Poll::Ready(answer) = polled {
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
        if self.fell_back {
            let instead_of =
                if self.had_answer { (CallOutcome::Failure, None) } else { self.unanswered() };
            self.note_fallback(instead_of, None);
        }
        answer
    }

    /// A fallback has answered; `age`: with the last good answer.
    pub(super) fn note_fallback(
        &mut self,
        instead_of: (CallOutcome, Option<RejectedBy>),
        age: Option<Duration>,
    ) {
        self.fell_back = true;
        self.dependency.fell_back(self.method, instead_of, self.now);
        let (instead_of, refused_by) = instead_of;
        degraded::note(FallbackUsed { instead_of, refused_by, age });
    }

    /// Counts a call that has an answer and was no plain success. `is_ok`: what its answer is.
    #[cold]
    pub(super) fn count_other(&mut self, is_ok: bool, took_nanos: u64) {
        if self.goes_on {
            return;
        }
        let outcome = match is_ok {
            true if self.fell_back => CallOutcome::Fallback,
            // The fallback's own error.
            false if self.fell_back => CallOutcome::Failure,
            _ => self.class.call_outcome(),
        };
        self.method.stats.other(outcome, took_nanos);
        self.end_spans(outcome);
    }

    /// Counts a call that has no answer, and makes its fault. One frame for all of it: refusing is what a process does most
    /// when it is in trouble.
    #[cold]
    pub(super) fn finish_unanswered(&mut self) -> Fault {
        self.over = true;
        let (outcome, by) = self.unanswered();
        if self.rare.is_some() {
            self.end_spans(outcome);
        }
        if by.is_some() {
            return self.rejected(true);
        }
        self.method.stats.other(outcome, self.now.nanos_since(self.started));
        self.fault()
    }

    #[inline(always)]
    fn rejected(&mut self, is_over: bool) -> Fault {
        let refused = Refused { by: self.refused_by, retry_after: self.retry_after };
        let earlier = self.rare.as_mut().and_then(|rare| rare.earlier.take());
        self.dependency.rejected(self.method, refused, earlier, is_over)
    }

    /// How a call without an answer ends, and which guard refused it.
    pub(super) fn unanswered(&self) -> (CallOutcome, Option<RejectedBy>) {
        match self.no_answer {
            NoAnswer::Rejected => (CallOutcome::Rejected, Some(self.refused_by)),
            NoAnswer::TimedOut => (CallOutcome::TimedOut, None),
            NoAnswer::DeadlineExceeded => (CallOutcome::DeadlineExceeded, None),
            NoAnswer::ShutDown => (CallOutcome::Unavailable, None),
        }
    }

    /// The answer to a call that has none.
    #[cold]
    pub(super) fn fault(&mut self) -> Fault {
        let dependency = self.dependency;
        match self.no_answer {
            NoAnswer::Rejected => self.rejected(false),
            NoAnswer::TimedOut => dependency.timed_out(Duration::from_nanos(self.timed_out_after)),
            NoAnswer::DeadlineExceeded => dependency.deadline_exceeded(self.whole_deadline()),
            NoAnswer::ShutDown => dependency.shut_down(),
        }
    }

    /// Counts this call among those that have had to wait, once. From here on a reload may come between, so the
    /// deadline is fixed.
    #[cold]
    pub(super) fn pend(&mut self) {
        if !self.pending {
            self.whole_deadline();
            self.pending = true;
            self.dependency.pend(true);
        }
    }

    /// The deadline of the whole call, counted from its start. A reload after the call began does not change it.
    pub(super) fn whole_deadline(&mut self) -> Duration {
        if self.fixed_deadline == 0 {
            self.fixed_deadline = nanos(self.method.plan.deadline());
        }
        Duration::from_nanos(self.fixed_deadline)
    }
}

impl Drop for Call<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.over {
            self.leave_attempt();
            let outcome =
                if self.in_user_code { CallOutcome::Panicked } else { CallOutcome::Cancelled };
            let took = self.dependency.now().nanos_since(self.started);
            self.method.stats.other(outcome, took);
            self.end_spans(outcome);
        }
        if self.pending {
            self.unpend();
        }
    }
}
