//! Whether to try again, and after how long.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use crate::error::{Fallible, Fault};
use crate::outcome::Class;

use super::{Call, Rules};

impl Call<'_> {
    /// How long to wait before the next attempt; or the answer, if there is not to be one. What the other answers
    /// hold (a connection, a permit of somebody's pool) is not kept waiting.
    #[cold]
    pub(super) fn again<R: Fallible>(
        &mut self,
        answer: Result<R, Fault>,
        rules: &Rules<R>,
        made: u32,
        previous: &mut Duration,
    ) -> Result<Duration, Result<R, Fault>> {
        if !self.is_worth_repeating(&answer, rules, made) {
            return Err(answer);
        }
        self.backoff(&answer, made, previous).ok_or(answer)
    }

    fn is_worth_repeating<R: Fallible>(
        &mut self,
        answer: &Result<R, Fault>,
        rules: &Rules<R>,
        made: u32,
    ) -> bool {
        if made >= self.method.plan.max_attempts() || self.class != Class::Failure {
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
            Err(Fault::Rejected { .. }) => self.dependency.policy().retry().retry_rejections(),
            Err(Fault::DeadlineExceeded { .. } | Fault::Unavailable { .. }) => false,
        }
    }

    /// How long to wait before the next attempt: the backoff, and at least as long as the server, or
    /// the guard that refused, has asked for. `None` if it would end past the deadline, or the budget
    /// has nothing left. A wait counts against the budget from its beginning. `previous` is the backoff
    /// before, and becomes this one: what others have asked for is no part of it, or one long
    /// `Retry-After` would push every later backoff to its limit.
    fn backoff<R>(
        &self,
        answer: &Result<R, Fault>,
        made: u32,
        previous: &mut Duration,
    ) -> Option<Duration> {
        let policy = self.dependency.policy();
        let retry = policy.retry();
        let unit = self.dependency.entropy().unit();
        let asked = match answer {
            Ok(_) => self.asked,
            Err(fault) => fault.retry_after(),
        };
        *previous = retry.delay(made - 1, *previous, unit);
        let delay = (*previous).max(asked.unwrap_or_default());
        if self.now + delay >= self.deadline {
            return None;
        }
        self.dependency.budget().with(|budget| match budget {
            Some(budget) if !budget.try_retry(self.now) => None,
            _ => Some(delay),
        })
    }

    #[cold]
    pub(super) async fn pause(&mut self, delay: Duration) -> Result<(), Fault> {
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
            return Err(dependency.deadline_exceeded(self.method.plan.deadline()));
        }
        Ok(())
    }
}
