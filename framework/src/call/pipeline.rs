//! One call, from its first look at the breaker to its last word: the fixed order of the guards.
//!
//! `fallback( deadline( retry( rate limit( breaker( bulkhead and mailbox( timeout( attempt )))))))`
//!
//! The breaker is looked at first, then a token is taken, then a permit or a place in line; the
//! breaker's lease comes last and counts. Everything taken is a guard: a call that is dropped, at any
//! await, gives all of it back. A call that finds its way free and its answer ready allocates
//! nothing, locks nothing, and reads the clock twice.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use crate::clock::Moment;
use crate::error::{CallError, Fallible, Fault, RejectedBy};
use crate::outcome::{CallOutcome, Class, Outcome};

use super::core::{Core, Method};
use super::dependency::Dependency;
use super::gate::Refused;
use super::lease::{Entry, Lease, Place};
use super::room::{Join, Room, TurnedAway};
use super::signal::Signal;
use super::timer::Sleep;

/// How a method's answers are read.
#[derive(Debug)]
pub struct Rules<R: Fallible> {
    /// What an answer says about the dependency.
    pub classify: fn(&R) -> Class,
    /// Whether an error is worth another attempt.
    pub retry_if: fn(&R::Err) -> bool,
}

impl<R: Fallible> Default for Rules<R> {
    /// An error is a failure, and worth another attempt.
    fn default() -> Self {
        Self {
            classify: |answer| match answer.as_result() {
                Ok(_) => Class::Success,
                Err(_) => Class::Failure,
            },
            retry_if: |_| true,
        }
    }
}

/// A call under way. Dropped before [`Call::finish`], it counts as cancelled.
#[derive(Debug)]
pub struct Call<'a> {
    dependency: &'a Dependency,
    method: &'a Method,
    started: Moment,
    /// The last time anybody looked; saves a look where nothing can have passed.
    now: Moment,
    /// Attempts, waits and backoffs end here.
    deadline: Moment,
    /// What the last answer said about the dependency.
    class: Class,
    /// The call has had to wait, and is counted among those that have.
    pending: bool,
    fell_back: bool,
    /// The dependency has seen an attempt.
    dispatched: bool,
    /// True while the user's code runs: a drop that finds it true is an unwind.
    in_user_code: bool,
    over: bool,
}

/// Why an attempt has no answer.
enum Ended {
    Time,
    Cancelled,
}

impl<'a> Call<'a> {
    /// Begins a call of the method of this index.
    #[must_use]
    #[inline]
    pub fn begin(core: &'a Core, method: usize) -> Self {
        let dependency = core.dependency();
        let method = core.method(method);
        let started = dependency.now();
        if let Some(budget) = dependency.budget() {
            budget.call(started);
        }
        Self {
            dependency,
            method,
            started,
            now: started,
            deadline: started + method.plan.attempts_deadline,
            class: Class::Failure,
            pending: false,
            fell_back: false,
            dispatched: false,
            in_user_code: false,
            over: false,
        }
    }

    /// Makes the only attempt.
    ///
    /// # Errors
    /// The dependency's own error, or Seawall's fault.
    #[inline]
    pub async fn once<R: Fallible, Fut: Future<Output = R>>(
        &mut self,
        make: impl FnOnce() -> Fut,
        rules: Rules<R>,
    ) -> Result<R::Ok, CallError<R::Err>> {
        flatten(self.attempt(make, &rules).await)
    }

    /// Makes attempts until one succeeds, is not worth repeating, or there is no time or budget left.
    ///
    /// # Errors
    /// The dependency's own error, or Seawall's fault, of the last attempt.
    #[inline]
    pub async fn repeat<R: Fallible, Fut: Future<Output = R>>(
        &mut self,
        mut make: impl FnMut() -> Fut,
        rules: Rules<R>,
    ) -> Result<R::Ok, CallError<R::Err>> {
        let mut made: u32 = 0;
        let mut previous = Duration::ZERO;
        loop {
            let answer = self.attempt(&mut make, &rules).await;
            made = made.saturating_add(1);
            if self.class == Class::Success || !self.is_worth_repeating(&answer, &rules, made) {
                return flatten(answer);
            }
            let Some(delay) = self.backoff(&answer, made, previous) else {
                return flatten(answer);
            };
            // What this answer holds (a connection, a permit of somebody's pool) is not kept waiting.
            drop(answer);
            if let Err(fault) = self.pause(delay).await {
                return Err(CallError::Fault(fault));
            }
            previous = delay;
        }
    }

    #[inline]
    async fn attempt<R: Fallible, Fut: Future<Output = R>>(
        &mut self,
        make: impl FnOnce() -> Fut,
        rules: &Rules<R>,
    ) -> Result<R, Fault> {
        let mut lease = self.admit().await?;
        let ended = {
            self.dispatch(&mut lease);
            self.enter_user_code(&mut lease);
            let mut future = pin!(make());
            self.leave_user_code(&mut lease);
            let ends_at = (lease.started() + self.method.plan.timeout).min(self.deadline);
            let mut sleep = None;
            poll_fn(|cx| {
                self.enter_user_code(&mut lease);
                let polled = future.as_mut().poll(cx);
                self.leave_user_code(&mut lease);
                match polled {
                    Poll::Ready(answer) => Poll::Ready(Ok(answer)),
                    Poll::Pending => self.poll_end(&mut sleep, ends_at, cx).map(Err),
                }
            })
            .await
            // The user's future is gone here, before its permit is.
        };
        self.now = self.dependency.now();
        match ended {
            Ok(answer) => {
                self.enter_user_code(&mut lease);
                self.class = (rules.classify)(&answer);
                self.leave_user_code(&mut lease);
                let outcome = match self.class {
                    Class::Success => Outcome::Success,
                    Class::Failure => Outcome::Failure,
                    Class::Ignored => Outcome::Ignored,
                };
                lease.end(outcome, outcome, self.now);
                Ok(answer)
            }
            Err(ended) => Err(self.end_unanswered(lease, &ended)),
        }
    }

    /// Admission, in the caller's own task.
    #[inline]
    async fn admit(&mut self) -> Result<Lease<'a>, Fault> {
        let dependency = self.dependency;
        self.class = Class::Failure;
        self.still_served()?;
        let gate = dependency.gate();
        gate.knock(self.now).map_err(|refused| dependency.refuse(refused))?;
        let mut entry = Entry::new(dependency);
        if gate.room().try_enter() {
            entry.take_permit();
        } else {
            self.wait(&mut entry).await?;
        }
        // Again with the permit in hand, because a shutdown waits for whoever has one: it has seen this
        // call, or is seen here.
        self.still_served()?;
        let mut moved = None;
        let admission = gate.admit(self.now, &mut moved);
        if let Some(transition) = moved {
            dependency.moved(transition);
        }
        let admission = admission.map_err(|refused| dependency.refuse(refused))?;
        let plan = &self.method.plan;
        Ok(Lease::new(entry, &self.method.stats, admission, self.now, self.now + plan.slow_call))
    }

    /// A shutdown lets calls that are under way go on, until it ends them.
    #[inline]
    fn still_served(&self) -> Result<(), Fault> {
        let dependency = self.dependency;
        if !dependency.is_serving() && (!self.pending || dependency.is_cancelled()) {
            return Err(dependency.shut_down());
        }
        Ok(())
    }

    /// Waits for a permit and puts it into the entry.
    #[cold]
    async fn wait(&mut self, entry: &mut Entry<'a>) -> Result<(), Fault> {
        let dependency = self.dependency;
        let joined = dependency.gate().join(self.now, self.deadline, || dependency.is_cancelled());
        let ticket = match joined {
            Join::Acquired => {
                entry.take_permit();
                return Ok(());
            }
            Join::Refused(end) => return Err(self.turned_away(end)),
            Join::Waiting(ticket) => ticket,
        };
        let mut place = Place::new(dependency, ticket);
        dependency.signals().raise(Signal::Saturated);
        self.pend();
        let mut sleep = dependency.time().sleep_until(Room::gives_up_at(&place.ticket));
        let waited = poll_fn(|cx| match place.room().poll(&place.ticket, cx) {
            Poll::Ready(end) => Poll::Ready(end),
            Poll::Pending => Pin::new(&mut sleep)
                .poll(cx)
                .map(|()| place.room().give_up(&place.ticket).map_or(Ok(()), Err)),
        })
        .await;
        place.settled();
        self.now = dependency.now();
        if let Err(end) = waited {
            return Err(self.turned_away(end));
        }
        entry.take_permit();
        if self.now >= self.deadline {
            return Err(dependency.deadline_exceeded(self.method.plan.deadline));
        }
        Ok(())
    }

    #[cold]
    fn turned_away(&self, end: TurnedAway) -> Fault {
        let by = match end {
            TurnedAway::ShutDown => return self.dependency.shut_down(),
            TurnedAway::Expired | TurnedAway::ExpiredBlocked if self.now >= self.deadline => {
                return self.dependency.deadline_exceeded(self.method.plan.deadline);
            }
            TurnedAway::Expired => RejectedBy::Bulkhead,
            TurnedAway::ExpiredBlocked | TurnedAway::Full => RejectedBy::QueueFull,
            TurnedAway::Dropped => RejectedBy::Dropped,
            TurnedAway::Flushed => RejectedBy::Breaker,
        };
        let retry_after = if by == RejectedBy::Breaker {
            let refusal = self.dependency.gate().breaker().check(self.now).err();
            refusal.and_then(|refusal| refusal.retry_after)
        } else {
            None
        };
        self.dependency.refuse(Refused { by, retry_after })
    }

    /// Whether an attempt that pends has run out of time. The timer is armed the first time round.
    fn poll_end(
        &mut self,
        sleep: &mut Option<Sleep>,
        ends_at: Moment,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Ended> {
        let sleep = sleep.get_or_insert_with(|| {
            self.pend();
            self.dependency.time().sleep_until(ends_at)
        });
        // Armed before looking: a nudge that comes in between finds it.
        match Pin::new(sleep).poll(cx) {
            Poll::Ready(()) => Poll::Ready(Ended::Time),
            Poll::Pending if self.dependency.is_cancelled() => Poll::Ready(Ended::Cancelled),
            Poll::Pending => Poll::Pending,
        }
    }

    #[cold]
    fn end_unanswered(&mut self, lease: Lease<'_>, ended: &Ended) -> Fault {
        let plan = &self.method.plan;
        if matches!(ended, Ended::Cancelled) {
            lease.end(Outcome::Cancelled, Outcome::Cancelled, self.now);
            return self.dependency.shut_down();
        }
        let given = self.deadline.since(lease.started());
        if given >= plan.timeout {
            lease.end(Outcome::TimedOut, Outcome::TimedOut, self.now);
            return self.dependency.timed_out(plan.timeout);
        }
        // The deadline ended it. With under a tenth of its timeout left it never had a chance, and
        // says nothing about the dependency.
        let lesson = if given < plan.timeout / 10 { Outcome::Cancelled } else { Outcome::TimedOut };
        lease.end(Outcome::TimedOut, lesson, self.now);
        self.dependency.deadline_exceeded(plan.deadline)
    }

    fn is_worth_repeating<R: Fallible>(
        &mut self,
        answer: &Result<R, Fault>,
        rules: &Rules<R>,
        made: u32,
    ) -> bool {
        if made >= self.method.plan.max_attempts || self.class != Class::Failure {
            return false;
        }
        match answer {
            Ok(answer) => match answer.as_result() {
                // A value that `classify` calls a failure.
                Ok(_) => true,
                Err(error) => {
                    self.in_user_code = true;
                    let worth = (rules.retry_if)(error);
                    self.in_user_code = false;
                    worth
                }
            },
            Err(Fault::TimedOut { .. }) => true,
            Err(Fault::Rejected { .. }) => self.method.plan.retry.retry_rejections(),
            Err(Fault::DeadlineExceeded { .. } | Fault::Unavailable { .. }) => false,
        }
    }

    /// How long to wait before the next attempt; `None` if it would end past the deadline, or the
    /// budget has nothing left. A wait counts against the budget from its beginning.
    #[cold]
    fn backoff<R>(
        &self,
        answer: &Result<R, Fault>,
        made: u32,
        previous: Duration,
    ) -> Option<Duration> {
        let retry = &self.method.plan.retry;
        let unit = self.dependency.entropy().unit();
        let mut delay = retry.delay(made - 1, previous, unit);
        if let Err(fault) = answer {
            delay = delay.max(fault.retry_after().unwrap_or_default());
        }
        if self.now + delay >= self.deadline {
            return None;
        }
        match self.dependency.budget() {
            Some(budget) if !budget.try_retry(self.now) => None,
            _ => Some(delay),
        }
    }

    #[cold]
    async fn pause(&mut self, delay: Duration) -> Result<(), Fault> {
        self.pend();
        let mut sleep = self.dependency.time().sleep_until(self.now + delay);
        let dependency = self.dependency;
        let paused = poll_fn(|cx| match Pin::new(&mut sleep).poll(cx) {
            Poll::Ready(()) => Poll::Ready(Ok(())),
            Poll::Pending if dependency.is_cancelled() => Poll::Ready(Err(dependency.shut_down())),
            Poll::Pending => Poll::Pending,
        })
        .await;
        self.now = dependency.now();
        paused?;
        // The backoff was to end before the deadline, but on a busy machine it ended when it did.
        if self.now >= self.deadline {
            return Err(dependency.deadline_exceeded(self.method.plan.deadline));
        }
        Ok(())
    }

    /// Whether a fallback may answer in place of this error: not for errors that say nothing.
    #[must_use]
    pub fn may_fall_back<E>(&self, error: &CallError<E>) -> bool {
        matches!(error, CallError::Fault(_)) || self.class == Class::Failure
    }

    /// Runs a fallback in what is left of the whole deadline; one that answers without waiting is
    /// heard even after it. `None`: there was no time.
    pub async fn fall_back<R>(&mut self, answer: impl Future<Output = R>) -> Option<R> {
        let deadline = self.started + self.method.plan.deadline;
        let mut answer = pin!(answer);
        let mut sleep: Option<Sleep> = None;
        let answer = poll_fn(|cx| {
            self.in_user_code = true;
            let polled = answer.as_mut().poll(cx);
            self.in_user_code = false;
            match polled {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending => self.poll_end(&mut sleep, deadline, cx).map(|_| None),
            }
        })
        .await;
        self.now = self.dependency.now();
        self.fell_back = answer.is_some();
        answer
    }

    /// Counts the call, and hands its result on.
    ///
    /// # Errors
    /// The one it is given.
    #[inline]
    pub fn finish<T, E>(mut self, result: Result<T, CallError<E>>) -> Result<T, CallError<E>> {
        self.over = true;
        let took = self.now.since(self.started);
        // Of this class there is an answer of the dependency's own: faults and fallbacks follow failures.
        if self.class == Class::Success {
            self.method.stats.success(took);
        } else {
            let (outcome, by) = self.outcome(&result);
            self.method.stats.other(outcome, by, took);
        }
        result
    }

    #[cold]
    fn outcome<T, E>(&self, result: &Result<T, CallError<E>>) -> (CallOutcome, Option<RejectedBy>) {
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

    #[inline]
    fn enter_user_code(&mut self, lease: &mut Lease<'_>) {
        self.in_user_code = true;
        lease.in_user_code = true;
    }

    #[inline]
    fn leave_user_code(&mut self, lease: &mut Lease<'_>) {
        self.in_user_code = false;
        lease.in_user_code = false;
    }

    /// The dependency is about to see an attempt; if it has seen one of this call before, that is a retry.
    #[inline]
    fn dispatch(&mut self, lease: &mut Lease<'_>) {
        lease.dispatch();
        if self.dispatched {
            self.dependency.note_retry();
        }
        self.dispatched = true;
    }

    /// Counts this call among those that have had to wait, once.
    #[cold]
    fn pend(&mut self) {
        if !self.pending {
            self.pending = true;
            self.dependency.pend();
        }
    }
}

impl Drop for Call<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.over {
            let outcome =
                if self.in_user_code { CallOutcome::Panicked } else { CallOutcome::Cancelled };
            let took = self.dependency.now().since(self.started);
            self.method.stats.other(outcome, None, took);
        }
        if self.pending {
            self.dependency.unpend();
        }
    }
}

fn flatten<R: Fallible>(answer: Result<R, Fault>) -> Result<R::Ok, CallError<R::Err>> {
    match answer {
        Ok(answer) => answer.into_result().map_err(CallError::Inner),
        Err(fault) => Err(CallError::Fault(fault)),
    }
}
