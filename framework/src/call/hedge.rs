//! Attempts side by side: one that has no answer in time gets another beside it, and the first good answer counts.
//!
//! Each attempt is raced by a call of its own, with a lease of its own, which counts nothing as a call. The others are dropped
//! with the first good answer: their leases end as cancelled.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::clock::Moment;
use crate::deadline;
use crate::error::{Fallible, RejectedBy};
use crate::outcome::{Class, Outcome};
use crate::retry::{HedgeConfig, Progress};
use crate::sync::Mutex;
use crate::time::Sleep;

use super::call::{Call, NoAnswer, Rare, Role};
use super::rules::Rules;

/// How an attempt ended that was raced, as far as the call goes on by it.
#[derive(Clone, Copy)]
struct End {
    now: Moment,
    class: Class,
    retry_after: Option<Duration>,
    refused_by: RejectedBy,
    no_answer: NoAnswer,
    timed_out_after: u64,
    dispatched: bool,
    goes_on: bool,
}

impl End {
    fn of(racer: &Call<'_>) -> Self {
        Self {
            now: racer.now,
            class: racer.class,
            retry_after: racer.retry_after,
            refused_by: racer.refused_by,
            no_answer: racer.no_answer,
            timed_out_after: racer.timed_out_after,
            dispatched: racer.dispatched,
            goes_on: racer.goes_on,
        }
    }
}

/// The future of one attempt, with how it ended.
async fn race<R, Fut, Make>(
    mut racer: Call<'_>,
    make: &Mutex<Make>,
    rules: &Rules<R>,
) -> (End, Option<R>)
where
    R: Fallible,
    Fut: Future<Output = R>,
    Make: FnMut() -> Fut,
{
    // Of the first it has been asked whether it may begin.
    let goes_ahead = racer.role == Role::Attempt || racer.goes_ahead();
    let answer = if goes_ahead { racer.attempt(|| (make.lock())(), rules).await } else { None };
    (End::of(&racer), answer)
}

/// Attempts under way.
struct Race<R, Racing> {
    racing: Vec<Pin<Box<Racing>>>,
    /// The last that failed while others went on; a refusal only if there is nothing better.
    failed: Option<(End, Option<R>)>,
}

impl<R: Fallible, Racing: Future<Output = (End, Option<R>)>> Race<R, Racing> {
    /// Polls each. Ready with the first good answer, with one that is not worth another attempt, or when all have failed.
    fn poll(&mut self, rules: &Rules<R>, cx: &mut Context<'_>) -> Poll<(End, Option<R>)> {
        let mut at = 0;
        while let Some(racer) = self.racing.get_mut(at) {
            let Poll::Ready((end, answer)) = racer.as_mut().poll(cx) else {
                at += 1;
                continue;
            };
            drop(self.racing.remove(at));
            let is_final =
                |answer: &R| answer.as_result().is_err_and(|error| !(rules.retry_if)(error));
            if end.class != Class::Failure || answer.as_ref().is_some_and(is_final) {
                return Poll::Ready((end, answer));
            }
            let is_refusal = answer.is_none() && end.no_answer == NoAnswer::Rejected;
            if self.failed.is_none() || !is_refusal {
                self.failed = Some((end, answer));
            }
        }
        if !self.racing.is_empty() {
            return Poll::Pending;
        }
        // At the first poll there is one, so one has failed.
        self.failed.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<'a> Call<'a> {
    /// Makes one attempt, and others beside it as the policy says. In place of [`Call::attempt`]; in a box: a call that is not hedged is not
    /// made larger by it.
    pub fn attempt_hedged<'c, R: Fallible, Fut: Future<Output = R>>(
        &'c mut self,
        make: &'c mut impl FnMut() -> Fut,
        rules: &'c Rules<R>,
    ) -> Pin<Box<impl Future<Output = Option<R>> + 'c>> {
        Box::pin(async move { self.hedged(make, rules).await })
    }

    async fn hedged<R, Fut>(
        &mut self,
        make: &mut impl FnMut() -> Fut,
        rules: &Rules<R>,
    ) -> Option<R>
    where
        R: Fallible,
        Fut: Future<Output = R>,
    {
        let policy = self.dependency.policy();
        let Some(config) = policy.retry().hedge() else {
            return self.attempt(make, rules).await;
        };
        self.pend();
        let make = Mutex::new(make);
        let mut left = config.max();
        let mut next = self.hedge_at(config);
        let mut race = Race {
            racing: vec![Box::pin(race(self.racer(Role::Attempt), &make, rules))],
            failed: None,
        };
        let (end, answer) = poll_fn(|cx| {
            loop {
                // An unwind out of an attempt, or out of the drop of one, finds the flag.
                self.in_user_code = true;
                let polled = race.poll(rules, cx);
                if polled.is_ready() {
                    race.racing.clear();
                }
                self.in_user_code = false;
                if polled.is_ready() {
                    return polled;
                }
                let is_due = next.as_mut().is_some_and(|at| Pin::new(at).poll(cx).is_ready());
                if !is_due {
                    return Poll::Pending;
                }
                self.now = self.dependency.now();
                next = None;
                if left == 0 || !self.may_hedge() {
                    continue;
                }
                left -= 1;
                self.dependency.retried().note_hedge();
                race.racing.push(Box::pin(self::race(self.racer(Role::Hedge), &make, rules)));
                next = self.hedge_at(config);
            }
        })
        .await;
        self.take_over(end);
        answer
    }

    /// When the attempt, or the last hedge, has had its time.
    fn hedge_at(&self, config: &HedgeConfig) -> Option<Sleep> {
        let observed = self.method.stats.hedge_latency(self.now);
        let delay = config.delay(observed)?;
        Some(self.dependency.time().sleep_until(self.now + delay))
    }

    /// Whether another attempt may be made beside those under way: all is well with the dependency as far as is known, and the
    /// budget lets it.
    fn may_hedge(&self) -> bool {
        let dependency = self.dependency;
        let (gate, permits) = (dependency.gate(), dependency.gate().waiting_room().permits());
        let is_free = permits.waiters() == 0 && permits.active() < permits.limit();
        let is_retried = deadline::origin().is_retry();
        if is_retried
            || !is_free
            || !gate.breaker().is_closed()
            || self.now > self.start_by().latest
        {
            return false;
        }
        let unit = dependency.entropy().unit();
        dependency.try_retry(self.now, self.pending, (Outcome::Failure, unit))
    }

    /// A call that makes one attempt of this one.
    fn racer(&mut self, role: Role) -> Self {
        let is_hedge = role == Role::Hedge;
        let after = match &self.rare {
            // What it has taken from the budget, as a retry.
            _ if is_hedge => Some(Outcome::Failure),
            rare => rare.as_ref().and_then(|rare| rare.after),
        };
        let spans = self.rare.as_mut().and_then(|rare| rare.spans.as_mut()).map(|it| it.beside());
        let retries = self.rare.as_ref().map_or_else(Progress::default, |rare| rare.retries);
        let is_usual = spans.is_none() && self.rare.is_none() && !self.is_watched;
        Self {
            role,
            rare: (!is_usual).then(|| Box::new(Rare { spans, after, retries, earlier: None })),
            class: Class::Failure,
            retry_after: None,
            reservation: None,
            has_entered: false,
            // It is counted by this call, and goes on during a drain as this one does.
            pending: true,
            dispatched: is_hedge || self.dispatched,
            in_user_code: false,
            goes_on: false,
            over: true,
            ..*self
        }
    }

    /// Goes on by how the attempt ended that counts.
    fn take_over(&mut self, end: End) {
        let End { now, class, retry_after, refused_by, no_answer, timed_out_after, .. } = end;
        (self.now, self.class, self.retry_after) = (now, class, retry_after);
        (self.refused_by, self.no_answer) = (refused_by, no_answer);
        self.timed_out_after = timed_out_after;
        self.dispatched |= end.dispatched;
        self.goes_on |= end.goes_on;
        self.over |= end.goes_on;
    }

    /// A call that has had to wait is over. Or an attempt beside others is, or is not wanted any more.
    #[inline(never)]
    pub(super) fn unpend(&mut self) {
        if self.role == Role::Whole {
            self.dependency.unpend(true);
            return;
        }
        self.leave_attempt();
        let outcome = if self.in_user_code { Outcome::Panicked } else { Outcome::Cancelled };
        // Nothing, if it has ended.
        self.end_attempt_span(outcome);
    }
}
