//! Whether to try again, and after how long; and what the retry budget is told.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use crate::clock::Moment;
use crate::deadline;
use crate::error::{EarlierError, Fallible};
use crate::outcome::{AttemptKind, Class, Outcome};
use crate::retry::Progress;

use super::call::{Call, NoAnswer, Role};
use super::lease::Lease;
use super::rules::Rules;

impl Call<'_> {
    /// Makes attempts until one succeeds, is not worth repeating, or there is no time or budget left. The answer of the
    /// last one. `None`: it has none, and [`Call::finish`] says why.
    ///
    /// Clients of a trait do the same in their own future: one within it would cost a good call what its drop does.
    pub async fn repeat<R: Fallible, Fut: Future<Output = R>>(
        &mut self,
        mut make: impl FnMut() -> Fut,
        rules: &Rules<R>,
    ) -> Option<R> {
        let answer = if !self.goes_ahead() {
            None
        } else if self.is_not_hedged() {
            self.attempt(&mut make, rules).await
        } else {
            self.attempt_hedged(&mut make, rules).await
        };
        if self.is_last(&answer) {
            return answer;
        }
        match self.after_attempt(answer, rules) {
            Err(last) => last,
            Ok(delay) => self.repeat_after(delay, make, rules).await,
        }
    }

    /// Whether its attempts are made one after the other.
    #[inline]
    pub fn is_not_hedged(&self) -> bool {
        !self.method.plan.hedges()
    }

    /// Whether this answer is the last, at a look. If not, [`Call::after_attempt`] says.
    #[inline]
    pub fn is_last<R>(&self, answer: &Option<R>) -> bool {
        self.class == Class::Success || self.is_refused_for_good(answer)
    }

    /// Whether a guard refused, and the policy does not retry that.
    #[inline]
    fn is_refused_for_good<R>(&self, answer: &Option<R>) -> bool {
        let is_refused = answer.is_none() && self.no_answer == NoAnswer::Rejected;
        is_refused && !self.method.plan.retries_rejections()
    }

    /// How long to wait before the attempt after this answer.
    ///
    /// # Errors
    /// There is none to be made: the answer is the last.
    #[cold]
    pub fn after_attempt<R: Fallible>(
        &mut self,
        answer: Option<R>,
        rules: &Rules<R>,
    ) -> Result<Duration, Option<R>> {
        let Some(delay) = self.next_delay(answer.as_ref(), rules) else { return Err(answer) };
        // What a good part of an answer holds (a connection, say) does not wait too.
        self.keep(answer, rules);
        Ok(delay)
    }

    /// Waits so long and goes on with further attempts. In a box: a call that is not retried is not made larger by it.
    pub fn repeat_after<'c, R: Fallible, Fut: Future<Output = R>>(
        &'c mut self,
        mut delay: Duration,
        mut make: impl FnMut() -> Fut + 'c,
        rules: &'c Rules<R>,
    ) -> Pin<Box<impl Future<Output = Option<R>> + 'c>> {
        Box::pin(async move {
            loop {
                if !self.pause(delay).await {
                    return None;
                }
                // A block, so that the future has no room for the answer while it pauses.
                delay = {
                    let answer = if !self.goes_ahead() {
                        None
                    } else if self.is_not_hedged() {
                        // A closure of its own: with the type that the first attempt has, both would be calls of one function.
                        #[expect(clippy::redundant_closure, reason = "it is another type")]
                        self.attempt(|| make(), rules).await
                    } else {
                        self.attempt_hedged(&mut make, rules).await
                    };
                    if self.is_last(&answer) {
                        return answer;
                    }
                    match self.after_attempt(answer, rules) {
                        Err(last) => return last,
                        Ok(delay) => delay,
                    }
                };
            }
        })
    }

    /// Keeps how an attempt ended, for a retry that is refused.
    #[cold]
    fn keep<R: Fallible>(&mut self, answer: Option<R>, rules: &Rules<R>) {
        let earlier = match answer {
            Some(answer) => answer.into_result().err().and_then(rules.keep),
            None if self.no_answer == NoAnswer::TimedOut => Some(EarlierError::new(self.fault())),
            // Refused before, it keeps what was before that.
            None => return,
        };
        if earlier.is_some() || self.rare.is_some() {
            self.rare.get_or_insert_default().earlier = earlier;
        }
    }

    /// How long to wait before the next attempt; `None` if there is none to be made.
    fn next_delay<R: Fallible>(
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
