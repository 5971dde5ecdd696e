//! The parts of an attempt that a good call does not need: waiting for a permit, refusals, timeouts, failures.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::backpressure::Priority;
use crate::clock::{Moment, nanos};
use crate::deadline;
use crate::dependency::{
    Claim, HeldKey, InLine, Join, Position, Refused, StartBy, WaitError, had_its_chance,
};
use crate::error::{Fallible, RejectedBy};
use crate::outcome::{Class, Outcome};
use crate::time::TimeLimit;

use super::call::{Call, NoAnswer};
use super::lease::{Lease, TOO_SHORT};
use super::open_attempt::OpenAttempt;
use super::rules::Rules;

/// How far an attempt got without waiting. Without payloads: what is written is not moved.
#[derive(Clone, Copy)]
pub(super) enum Readiness {
    /// It has a token and a permit.
    Free,
    /// It has a token for a later moment.
    TokenLater,
    /// It has a token, and has reserved a start by the dependency's own quota: for later, or no permit is free.
    StartLater,
    /// It has a token, but no permit is free.
    NoPermit,
    /// A guard refused it, which has been noted and counted.
    Refused,
}

/// Why an attempt, or a fallback, has no answer.
pub(super) enum Ended {
    /// Its time was up.
    TimeUp,
    /// A shutdown ended it.
    Cancelled,
}

/// What ends an attempt that pends. Both are fixed when it first pends: a reload is for later attempts.
pub(super) struct Limit {
    /// The attempt's timeout, in nanoseconds.
    timeout: u64,
    /// Ends at the timeout or the deadline.
    end: TimeLimit,
}

/// Why an attempt has no answer, with the timeout that it had.
pub(super) struct Unanswered {
    ended: Ended,
    timeout: Duration,
}

impl<'a> Call<'a> {
    /// Ends an attempt whose answer is not a success, or may tell of the quota.
    #[cold]
    pub(super) fn end_otherwise<R: Fallible>(
        &mut self,
        lease: &mut Lease<'_>,
        rules: &Rules<R>,
        answer: &R,
    ) {
        let asked = match self.class {
            Class::Success => {
                let attempt_took = self.now.since(lease.started());
                self.method.stats.waited(self.now.since(self.started), attempt_took);
                None
            }
            Class::Ignored => None,
            Class::Failure => (rules.retry_after)(answer),
        };
        let outcome = match answer.as_result() {
            Err(error) if self.class == Class::Failure && (rules.unprocessed)(error) => {
                Outcome::Unprocessed
            }
            _ => self.class.outcome(),
        };
        self.tell_budget(outcome);
        self.end_attempt_span(outcome);
        let report = self.reservation.and_then(|_| (rules.quota)(answer));
        self.leave_user_code(lease);
        self.retry_after = asked;
        if let (Some(reservation), Some(report)) = (self.reservation.take(), report) {
            self.dependency.gate().quota().learn(self.now, reservation, &report);
        }
        match (rules.goes_on)(answer) {
            Some(open) if outcome == Outcome::Ignored => self.hand_over(lease, open),
            _ => lease.end_with(outcome, asked, self.now),
        }
    }

    /// Leaves the attempt, and the call with it, to what comes after the head of an answer. A key's breaker has to hear of the end
    /// now, so an attempt by key ends as a success, and leaves a permit only.
    fn hand_over(&mut self, lease: &mut Lease<'_>, open: &OpenAttempt) {
        if lease.key.is_some() {
            open.hold_permit();
            self.class = Class::Success;
            lease.end_with(Outcome::Success, None, self.now);
            return;
        }
        let attempt_took = self.now.since(lease.started());
        open.begin(lease.hand_over(), attempt_took, self.now.since(self.started));
        // It is counted when the open attempt ends.
        self.goes_on = true;
        self.over = true;
    }

    /// By when an attempt of this call must begin.
    #[cold]
    pub(super) fn start_by(&self) -> StartBy {
        let observed = self.method.stats.high_latency(self.now);
        StartBy::new(self.started, self.deadline, self.method.plan.timeout(), observed)
    }

    /// Whether a wait that is over was over in time. Its end lies before the latest start, but a busy machine can be late.
    /// If not, there is no answer; `too_little_left` says why, of a call before its deadline whose attempt would have less than
    /// half of its fair share of time.
    pub(super) fn still_in_time(&mut self, too_little_left: impl FnOnce(&mut Self)) -> bool {
        if self.now >= self.deadline {
            self.no_answer = NoAnswer::DeadlineExceeded;
            return false;
        }
        // In the first half of a call no wait is over too late, whatever an attempt needs.
        let waited = self.now.since(self.started);
        if waited > self.deadline.since(self.now) && self.now > self.start_by().noticed_late {
            too_little_left(self);
            return false;
        }
        true
    }

    /// Waits for what [`Call::enter`] did not get at once. Whether it got all of it.
    #[cold]
    pub(super) async fn enter_later(&mut self, entry: Readiness, lease: &mut Lease<'a>) -> bool {
        let reservation = match entry {
            Readiness::Free => return true,
            // The attempt has ended before it comes here.
            Readiness::Refused => return false,
            Readiness::TokenLater if !self.wait_for_token(lease).await => return false,
            Readiness::TokenLater | Readiness::StartLater => self.pace().await,
            Readiness::NoPermit => return self.wait_for_permit(lease).await,
        };
        let Some(reservation) = reservation else { return false };
        if self.dependency.gate().waiting_room().try_enter(self.method.weight()) {
            lease.hold_permit();
        } else if !self.wait_for_permit(lease).await {
            return false;
        }
        self.reservation = reservation.take();
        true
    }

    fn claim<'w>(&self, waker: &'w Waker) -> Claim<'w>
    where
        'a: 'w,
    {
        let waker = Some(waker);
        let (dependency, key, now) = (self.dependency, self.key, self.now);
        let (room, weight) = (dependency.gate().waiting_room(), self.method.weight());
        room.tell_service_time(|| self.method.stats.typical_latency(now));
        if !room.has_priorities() {
            return Claim { key, weight, now, priority: Priority::NORMAL, lot: 0.0, waker };
        }
        let origin = deadline::origin();
        let lot = origin.lot().unwrap_or_else(|| dependency.entropy().unit());
        Claim { key, weight, now, priority: origin.priority(), lot, waker }
    }

    /// Waits in the mailbox for a permit, and puts it into the lease. Whether it got one.
    #[cold]
    async fn wait_for_permit(&mut self, lease: &mut Lease<'a>) -> bool {
        let dependency = self.dependency;
        let gate = dependency.gate();
        let joined = poll_fn(|cx| {
            let claim = self.claim(cx.waker());
            Poll::Ready(gate.join(claim, self.start_by(), || dependency.is_cancelled()))
        });
        let ended = match joined.await {
            Join::Acquired => Ok(()),
            Join::Refused(error) => Err(error),
            Join::Waiting(position) => self.wait_in_line(position).await,
        };
        if let Err(error) = ended {
            self.wait_error(error);
            return false;
        }
        lease.hold_permit();
        self.still_in_time(|call| call.wait_error(WaitError::Expired))
    }

    /// Waits at this position of the mailbox, until it has been exchanged for a permit.
    async fn wait_in_line(&mut self, position: Position) -> Result<(), WaitError> {
        let dependency = self.dependency;
        if position.is_first {
            dependency.signals().raise();
        }
        let room = dependency.gate().waiting_room();
        let in_line = InLine::new(room, || dependency.now(), position, self.method.weight());
        self.pend();
        let ended = in_line.wait(dependency.time()).await;
        self.now = dependency.now();
        ended
    }

    /// There is no answer, because a wait ended without what it was for.
    #[cold]
    pub(super) fn wait_error(&mut self, error: WaitError) {
        let by = match error {
            WaitError::ShutDown => {
                self.no_answer = NoAnswer::ShutDown;
                return;
            }
            WaitError::Expired | WaitError::ExpiredBlocked if self.now >= self.deadline => {
                self.no_answer = NoAnswer::DeadlineExceeded;
                return;
            }
            WaitError::Expired => RejectedBy::Bulkhead,
            WaitError::ExpiredBlocked | WaitError::Full => RejectedBy::QueueFull,
            WaitError::Dropped => RejectedBy::Dropped,
            WaitError::Shed => RejectedBy::Shed,
            WaitError::BreakerOpen => RejectedBy::Breaker,
        };
        let retry_after = match by {
            RejectedBy::Breaker => {
                let refused = self.dependency.gate().check(self.key, self.now).err();
                refused.and_then(|refused| refused.retry_after)
            }
            RejectedBy::Bulkhead | RejectedBy::Shed => Some(self.until_queue_is_served()),
            _ => None,
        };
        self.refuse(Refused { by, retry_after });
    }

    /// About how long the calls that wait for a permit now will take to be served. While no good answers have told how
    /// long one takes, as long as this call has waited.
    fn until_queue_is_served(&self) -> Duration {
        let permits = self.dependency.gate().waiting_room().permits();
        let one = self.method.stats.typical_latency(self.now);
        let all = one.map(|one| {
            one.mul_f64(f64::from(permits.waiters() + 1) / f64::from(permits.limit().max(1)))
        });
        all.unwrap_or(self.now.since(self.started)).max(Duration::from_millis(1))
    }

    /// Asks the key's breaker for admission too. Whether it was admitted.
    #[inline(never)]
    pub(super) fn admit_by_key(&mut self, lease: &mut Lease<'a>, key: &'a HeldKey) -> bool {
        let dependency = self.dependency;
        let gate = dependency.gate();
        let mut moved = None;
        let admitted = (gate.breaker(), lease.admission());
        let refused = match gate.keys().admit(key, admitted, self.now, &mut moved) {
            Ok(admission) => {
                lease.key = admission.map(|admission| (key, admission));
                None
            }
            Err(refusal) => Some(refusal),
        };
        if let Some(transition) = moved {
            dependency.key_moved(key, transition);
        }
        if let Some(refusal) = refused {
            lease.withdraw();
            self.refused_late(refusal.into());
            return false;
        }
        true
    }

    /// Refused by a breaker with a token and a permit in hand.
    #[cold]
    pub(super) fn refused_late(&mut self, refused: Refused) {
        self.return_reservation();
        self.refuse(refused);
    }

    /// Whether an attempt that pends has run out of time.
    #[cold]
    pub(super) fn poll_attempt_limit(
        &mut self,
        limit: &mut Option<Limit>,
        started: Moment,
        cx: &mut Context<'_>,
    ) -> Poll<Unanswered> {
        let limit = limit.get_or_insert_with(|| {
            self.pend();
            let timeout = self.method.plan.timeout();
            let end = self.dependency.time().limit((started + timeout).min(self.deadline));
            Limit { timeout: nanos(timeout), end }
        });
        let timeout = Duration::from_nanos(limit.timeout);
        self.poll_limit(&mut limit.end, cx).map(|ended| Unanswered { ended, timeout })
    }

    /// Whether what pends has run out of time.
    pub(super) fn poll_limit(&self, limit: &mut TimeLimit, cx: &mut Context<'_>) -> Poll<Ended> {
        // Armed before the flag is read: a nudge in between finds the timer.
        match Pin::new(limit).poll(cx) {
            Poll::Ready(()) => Poll::Ready(Ended::TimeUp),
            Poll::Pending if self.dependency.is_cancelled() => Poll::Ready(Ended::Cancelled),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Ends an attempt that has no answer.
    #[cold]
    pub(super) fn end_unanswered(&mut self, lease: &mut Lease<'_>, unanswered: &Unanswered) {
        // The dependency has seen the attempt, and may have counted it against its quota.
        self.reservation = None;
        let timeout = unanswered.timeout;
        let is_cancelled = matches!(unanswered.ended, Ended::Cancelled);
        self.end_attempt_span(if is_cancelled { Outcome::Cancelled } else { Outcome::TimedOut });
        if is_cancelled {
            lease.end(Outcome::Cancelled, Outcome::Ignored, self.now);
            self.no_answer = NoAnswer::ShutDown;
            return;
        }
        self.tell_budget(Outcome::TimedOut);
        let given = self.deadline.since(lease.started());
        if given >= timeout {
            lease.end(Outcome::TimedOut, Outcome::TimedOut, self.now);
            (self.no_answer, self.timed_out_after) = (NoAnswer::TimedOut, nanos(timeout));
            return;
        }
        // The deadline ended it. An attempt that began too late says nothing about the dependency.
        let observed = self.method.stats.high_latency(self.now);
        let usual = self.method.stats.typical_latency(self.now).unwrap_or_default();
        if had_its_chance(given, timeout, observed) {
            lease.end(Outcome::TimedOut, Outcome::TimedOut, self.now);
        } else if given >= usual.max(TOO_SHORT) {
            // By itself it says nothing; many in a row do.
            lease.end(Outcome::TimedOut, Outcome::Cancelled, self.now);
        } else {
            lease.end_unjudged(Outcome::TimedOut);
        }
        self.no_answer = NoAnswer::DeadlineExceeded;
    }
}
