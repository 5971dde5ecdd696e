//! One attempt: admission, the wait for a permit, the user's future, and its end.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crate::call::gate::{Knock, Refused};
use crate::call::keys::Key;
use crate::call::lease::{Lease, Place};
use crate::call::room::{Join, Room, TurnedAway};
use crate::call::signal::Signal;
use crate::call::timer::Sleep;
use crate::clock::Moment;
use crate::error::{Fallible, Fault, RejectedBy};
use crate::outcome::{Class, Outcome};

use super::{Call, Rules};

/// How far an attempt has come.
enum Way {
    /// It has a token and a permit.
    Free,
    /// Its turn under the rate limit comes later.
    Early,
    /// The dependency's own quota is asked first.
    Paced,
    /// No permit is free.
    InLine,
    /// A guard's refusal.
    Out(Fault),
}

/// Why an attempt has no answer.
pub(super) enum Ended {
    Time,
    Cancelled,
}

impl<'a> Call<'a> {
    #[inline]
    pub(super) async fn attempt<R: Fallible, Fut: Future<Output = R>>(
        &mut self,
        make: impl FnOnce() -> Fut,
        rules: &Rules<R>,
    ) -> Result<R, Fault> {
        let mut lease = Lease::new(self.dependency, self.method);
        // A future of its own only for those who have to wait: the others are through in one go.
        match self.enter(&mut lease) {
            Way::Free => {}
            way => self.enter_later(way, &mut lease).await?,
        }
        self.admit(&mut lease)?;
        let ended = {
            self.dispatch(&mut lease);
            self.enter_user_code(&mut lease);
            let mut future = pin!(make());
            let mut sleep = None;
            poll_fn(|cx| {
                self.enter_user_code(&mut lease);
                // Whatever ends the attempt, the user's future is dropped next: its destructor is the
                // user's code too.
                if let Poll::Ready(answer) = future.as_mut().poll(cx) {
                    return Poll::Ready(Ok(answer));
                }
                let ended = self.poll_attempt_end(&mut sleep, lease.started(), cx);
                if ended.is_pending() {
                    self.leave_user_code(&mut lease);
                }
                ended.map(Err)
            })
            .await
            // The user's future is gone here, before its permit is.
        };
        self.now = self.dependency.now();
        match ended {
            Ok(answer) => {
                self.class = (rules.classify)(&answer);
                // Both at once, by one jump.
                if (self.class == Class::Success) & self.turn.is_none() {
                    self.leave_user_code(&mut lease);
                    lease.succeed(self.now);
                } else {
                    self.end_otherwise(&mut lease, rules, &answer);
                }
                Ok(answer)
            }
            Err(ended) => {
                self.leave_user_code(&mut lease);
                Err(self.end_unanswered(&mut lease, &ended))
            }
        }
    }

    /// An answer that is no success, or one that may tell of the quota. Still the user's code; apart, so that
    /// other successes pay nothing for it.
    #[cold]
    fn end_otherwise<R: Fallible>(&mut self, lease: &mut Lease<'_>, rules: &Rules<R>, answer: &R) {
        let (outcome, asked) = match self.class {
            Class::Success => (Outcome::Success, None),
            Class::Ignored => (Outcome::Ignored, None),
            Class::Failure => (Outcome::Failure, (rules.retry_after)(answer)),
        };
        let report = self.turn.and_then(|_| (rules.quota)(answer));
        self.leave_user_code(lease);
        self.asked = asked;
        if let (Some(turn), Some(report)) = (self.turn.take(), report) {
            self.dependency.gate().quota().learn(self.now, turn, &report);
        }
        lease.end_with(outcome, asked, self.now);
    }

    /// A token and a permit, in the caller's own task.
    #[inline(always)]
    fn enter(&mut self, lease: &mut Lease<'a>) -> Way {
        self.class = Class::Failure;
        if let Err(fault) = self.still_served() {
            return Way::Out(fault);
        }
        let gate = self.dependency.gate();
        match gate.knock(self.key, self.now, self.deadline) {
            Ok(Knock::Open(limiter)) => lease.take_token(self.now, limiter),
            Ok(Knock::At(turn, limiter)) => {
                lease.take_token(turn, limiter);
                return Way::Early;
            }
            Ok(Knock::Paced(limiter)) => {
                lease.take_token(self.now, limiter);
                return Way::Paced;
            }
            Err(refused) => return Way::Out(self.dependency.refuse(refused, self.now)),
        }
        if !gate.room().try_enter() {
            return Way::InLine;
        }
        lease.take_permit();
        Way::Free
    }

    /// The same after a wait, or by the dependency's own quota.
    #[cold]
    async fn enter_later(&mut self, way: Way, lease: &mut Lease<'a>) -> Result<(), Fault> {
        let turn = match way {
            Way::Free => return Ok(()),
            Way::Early => {
                self.await_turn(lease).await?;
                self.pace().await?
            }
            Way::Paced => self.pace().await?,
            Way::InLine => return self.wait(lease).await,
            Way::Out(fault) => return Err(fault),
        };
        if self.dependency.gate().room().try_enter() {
            lease.take_permit();
        } else {
            self.wait(lease).await?;
        }
        self.turn = turn.take();
        Ok(())
    }

    /// The breaker's leave, with the permit in hand.
    #[inline(always)]
    fn admit(&mut self, lease: &mut Lease<'a>) -> Result<(), Fault> {
        let dependency = self.dependency;
        // Again, because a shutdown waits for whoever has a permit: it has seen this call, or is seen
        // here.
        if let Err(fault) = self.still_served() {
            self.give_turn_back();
            return Err(fault);
        }
        let mut moved = None;
        let admitted = dependency.gate().admit(self.now, &mut moved);
        // In the lease before anything else happens, so that nothing can come between it and its end.
        if let Ok(admission) = admitted {
            lease.begin(admission, self.now);
        }
        if let Some(transition) = moved {
            dependency.moved(transition);
        }
        if let Err(refused) = admitted {
            return Err(self.turned_out(refused));
        }
        match self.key {
            None => Ok(()),
            Some(key) => self.admit_by_key(lease, key),
        }
    }

    /// The leave of the key's breaker, beside the dependency's.
    #[inline(never)]
    fn admit_by_key(&mut self, lease: &mut Lease<'a>, key: &'a Key) -> Result<(), Fault> {
        let dependency = self.dependency;
        let gate = dependency.gate();
        let mut moved = None;
        let whole = (gate.breaker(), lease.admission());
        let refused = match gate.keys().admit(key, whole, self.now, &mut moved) {
            Ok(admission) => {
                lease.key = admission.map(|admission| (key, admission));
                None
            }
            Err(refusal) => Some(refusal),
        };
        if let Some(transition) = moved {
            dependency.key_moved(key, transition);
        }
        match refused {
            None => Ok(()),
            Some(refusal) => {
                lease.withdraw(self.now);
                Err(self.turned_out(refusal.into()))
            }
        }
    }

    /// Refused with everything else in hand.
    #[cold]
    fn turned_out(&mut self, refused: Refused) -> Fault {
        self.give_turn_back();
        self.dependency.refuse(refused, self.now)
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

    /// Waits for a permit and puts it into the lease.
    #[cold]
    async fn wait(&mut self, lease: &mut Lease<'a>) -> Result<(), Fault> {
        let dependency = self.dependency;
        let gate = dependency.gate();
        let joined = gate.join(self.key, self.now, self.deadline, || dependency.is_cancelled());
        let ticket = match joined {
            Join::Acquired => {
                lease.take_permit();
                return Ok(());
            }
            Join::Refused(end) => return Err(self.turned_away(end)),
            Join::Waiting(ticket) => ticket,
        };
        if ticket.is_first {
            dependency.signals().raise(Signal::Saturated);
        }
        let mut place = Place::new(dependency, ticket);
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
        lease.take_permit();
        if self.now >= self.deadline {
            return Err(dependency.deadline_exceeded(self.method.plan.deadline()));
        }
        Ok(())
    }

    #[cold]
    pub(super) fn turned_away(&self, end: TurnedAway) -> Fault {
        let by = match end {
            TurnedAway::ShutDown => return self.dependency.shut_down(),
            TurnedAway::Expired | TurnedAway::ExpiredBlocked if self.now >= self.deadline => {
                return self.dependency.deadline_exceeded(self.method.plan.deadline());
            }
            TurnedAway::Expired => RejectedBy::Bulkhead,
            TurnedAway::ExpiredBlocked | TurnedAway::Full => RejectedBy::QueueFull,
            TurnedAway::Dropped => RejectedBy::Dropped,
            TurnedAway::Flushed => RejectedBy::Breaker,
        };
        let retry_after = if by == RejectedBy::Breaker {
            let refused = self.dependency.gate().check(self.key, self.now).err();
            refused.and_then(|refused| refused.retry_after)
        } else {
            None
        };
        self.dependency.refuse(Refused { by, retry_after }, self.now)
    }

    /// Whether an attempt that pends has run out of time.
    #[cold]
    fn poll_attempt_end(
        &mut self,
        sleep: &mut Option<Sleep>,
        started: Moment,
        cx: &mut Context<'_>,
    ) -> Poll<Ended> {
        let ends_at = (started + self.method.plan.timeout()).min(self.deadline);
        self.poll_end(sleep, ends_at, cx)
    }

    /// Whether what pends has run out of time. The timer is armed the first time round.
    pub(super) fn poll_end(
        &mut self,
        sleep: &mut Option<Sleep>,
        ends_at: Moment,
        cx: &mut Context<'_>,
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
    fn end_unanswered(&mut self, lease: &mut Lease<'_>, ended: &Ended) -> Fault {
        // The dependency has seen it, and may have counted it.
        self.turn = None;
        let plan = &self.method.plan;
        if matches!(ended, Ended::Cancelled) {
            lease.end(Outcome::Cancelled, Outcome::Cancelled, self.now);
            return self.dependency.shut_down();
        }
        let (given, timeout) = (self.deadline.since(lease.started()), plan.timeout());
        if given >= timeout {
            lease.end(Outcome::TimedOut, Outcome::TimedOut, self.now);
            return self.dependency.timed_out(timeout);
        }
        // The deadline ended it. With under a tenth of its timeout left it never had a chance, and
        // says nothing about the dependency.
        let lesson = if given < timeout / 10 { Outcome::Cancelled } else { Outcome::TimedOut };
        lease.end(Outcome::TimedOut, lesson, self.now);
        self.dependency.deadline_exceeded(plan.deadline())
    }

    #[inline]
    fn enter_user_code(&mut self, lease: &mut Lease<'_>) {
        self.in_user_code = true;
        lease.in_user_code(true);
    }

    #[inline]
    fn leave_user_code(&mut self, lease: &mut Lease<'_>) {
        self.in_user_code = false;
        lease.in_user_code(false);
    }

    /// The dependency is about to see an attempt, so its token is spent; if it has seen one of this call before, that
    /// is a retry.
    #[inline]
    fn dispatch(&mut self, lease: &mut Lease<'_>) {
        lease.forget_token();
        if self.dispatched {
            self.dependency.note_retry();
        }
        self.dispatched = true;
    }
}
