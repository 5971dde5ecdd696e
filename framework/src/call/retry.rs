//! Whether to try again, and after how long; and what the retry budget is told.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use crate::clock::Moment;
use crate::deadline;
use crate::error::Fallible;
use crate::outcome::{AttemptKind, Class, Outcome};
use crate::retry::Progress;

use super::call::{Call, NoAnswer, Role};
use super::lease::Lease;
use super::rules::Rules;

impl Call<'_> {
    /// How long to wait before the next attempt; `None` if there is none to be made.
    #[cold]
    pub(super) fn next_delay<R: Fallible>(
        &mut self,
        answer: Option<&R>,
        rules: &Rules<R>,
    ) -> Option<Duration> {
        if !self.is_worth_repeating(answer, rules) {
            return None;
        }
        let asked = match (answer, self.no_answer) {
            (Some(_), _) | (None, NoAnswer::Rejected) => self.retry_after,
            (None, _) => None,
        };
        let timed_out = answer.is_none() && self.no_answer == NoAnswer::TimedOut;
        self.backoff(asked, if timed_out { Outcome::TimedOut } else { Outcome::Failure })
    }

    fn is_worth_repeating<R: Fallible>(&mut self, answer: Option<&R>, rules: &Rules<R>) -> bool {
        // Within a retry of a caller nothing is retried: layers would multiply.
        if self.class != Class::Failure || deadline::origin().is_retry() {
            return false;
        }
        let retries = self.rare.as_ref().map_or_else(Progress::default, |rare| rare.retries);
        if retries.is_over(self.method.plan.max_attempts()) {
            return retries.given() == 0 && self.is_unprocessed(answer, rules);
        }
        match answer {
            Some(answer) => match answer.as_result() {
                // `classify` called this value a failure.
                Ok(_) => true,
                Err(error) => {
                    self.in_user_code = true;
                    let worth = (rules.retry_if)(error);
                    self.in_user_code = false;
                    worth
                }
            },
            None => match self.no_answer {
                // A refusal comes here only if the policy retries it: `Call::repeat` has asked.
                NoAnswer::TimedOut | NoAnswer::Rejected => true,
                NoAnswer::DeadlineExceeded | NoAnswer::ShutDown => false,
            },
        }
    }

    /// Whether an attempt that may not be repeated may be, because the dependency says that it has not begun it. Once.
    fn is_unprocessed<R: Fallible>(&mut self, answer: Option<&R>, rules: &Rules<R>) -> bool {
        let Some(Err(error)) = answer.map(Fallible::as_result) else { return false };
        // A policy without retries has none of these either.
        if self.method.is_idempotent() || self.dependency.policy().retry().max_attempts() < 2 {
            return false;
        }
        self.in_user_code = true;
        let unprocessed = (rules.unprocessed)(error);
        self.in_user_code = false;
        unprocessed
    }

    /// How long to wait before the next attempt: the backoff, or what the server or the refusing guard has asked for,
    /// spread by the policy's jitter. `None` if another attempt would not have a fair share of its timeout left after
    /// that, or the budget has nothing left.
    /// A retry counts against the budget from the beginning of its wait.
    fn backoff(&mut self, asked: Option<Duration>, after: Outcome) -> Option<Duration> {
        let policy = self.dependency.policy();
        let unit = self.dependency.entropy().unit();
        let rare = self.rare.get_or_insert_default();
        let delay = rare.retries.next(policy.retry(), asked, unit);
        rare.after = Some(after);
        let latest = policy.retry().max_elapsed().map(|length| self.started + length);
        let latest = latest.unwrap_or(Moment::MAX).min(self.start_by().latest);
        if self.now + delay > latest {
            return None;
        }
        let dependency = self.dependency;
        if !dependency.try_retry(self.now, self.pending, (after, dependency.entropy().unit())) {
            return None;
        }
        dependency.retried().note_delay(delay);
        Some(delay)
    }

    /// Waits before the next attempt. Whether there is to be one.
    #[cold]
    pub(super) async fn pause(&mut self, delay: Duration) -> bool {
        self.pend();
        let mut sleep = self.dependency.time().sleep_until(self.now + delay);
        let dependency = self.dependency;
        let paused = poll_fn(|cx| match Pin::new(&mut sleep).poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending if dependency.is_cancelled() => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        })
        .await;
        self.now = dependency.now();
        if !paused {
            self.no_answer = NoAnswer::ShutDown;
            return false;
        }
        self.still_in_time(|call| call.no_answer = NoAnswer::DeadlineExceeded)
    }

    /// It is not the first of its call.
    #[cold]
    pub(super) fn dispatch_again(&mut self, lease: &mut Lease<'_>) {
        let is_hedge = self.role == Role::Hedge;
        lease.kind(if is_hedge { AttemptKind::Hedge } else { AttemptKind::Retry });
        if !is_hedge {
            self.dependency.retried().note_retry();
        }
        // In a scope, what the service calls learns that this is a retry.
        self.passes_on |= deadline::is_in_scope();
    }

    /// Whether the retry budget, if it has a say in that, lets the first attempt be made. Retries have asked before they waited.
    pub(super) fn budget_admits(&self) -> bool {
        let dependency = self.dependency;
        if !self.is_watched || self.dispatched {
            return true;
        }
        // One lot for all calls of a root request.
        let unit = deadline::origin().lot().unwrap_or_else(|| dependency.entropy().unit());
        dependency.budget().admits(self.now, unit)
    }

    /// Tells the retry budget how an attempt has ended, if it goes by that.
    pub(super) fn tell_budget(&self, outcome: Outcome) {
        if self.is_watched {
            let after = self.rare.as_ref().and_then(|rare| rare.after);
            self.dependency.budget().ended(self.now, outcome, after);
        }
    }
}
