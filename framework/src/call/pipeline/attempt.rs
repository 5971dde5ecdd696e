//! One attempt: admission, the wait for a permit, the user's future, and its end.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crate::call::gate::Refused;
use crate::call::lease::{Entry, Lease, Place};
use crate::call::room::{Join, Room, TurnedAway};
use crate::call::signal::Signal;
use crate::call::timer::Sleep;
use crate::clock::Moment;
use crate::error::{Fallible, Fault, RejectedBy};
use crate::outcome::{Class, Outcome};

use super::{Call, Rules};

/// What keeps an attempt from its lease.
enum Held<'a> {
    /// No permit is free: what it has so far.
    InLine(Entry<'a>),
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
        // A future of its own only for those who have to wait: the others are through in one go.
        let mut lease = match self.admit() {
            Ok(lease) => lease,
            Err(held) => self.admit_later(held).await?,
        };
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
                self.leave_user_code(&mut lease);
                let outcome = match self.class {
                    Class::Success => Outcome::Success,
                    Class::Failure => Outcome::Failure,
                    Class::Ignored => Outcome::Ignored,
                };
                lease.end(outcome, outcome, self.now);
                Ok(answer)
            }
            Err(ended) => {
                self.leave_user_code(&mut lease);
                Err(self.end_unanswered(lease, &ended))
            }
        }
    }

    /// Admission, in the caller's own task.
    #[inline(always)]
    fn admit(&mut self) -> Result<Lease<'a>, Held<'a>> {
        let dependency = self.dependency;
        self.class = Class::Failure;
        self.still_served().map_err(Held::Out)?;
        let gate = dependency.gate();
        gate.knock(self.now).map_err(|refused| Held::Out(dependency.refuse(refused)))?;
        let mut entry = Entry::new(dependency);
        if !gate.room().try_enter() {
            return Err(Held::InLine(entry));
        }
        entry.take_permit();
        self.lease(entry).map_err(Held::Out)
    }

    /// Admission after a wait.
    #[cold]
    async fn admit_later(&mut self, held: Held<'a>) -> Result<Lease<'a>, Fault> {
        let mut entry = match held {
            Held::InLine(entry) => entry,
            Held::Out(fault) => return Err(fault),
        };
        self.wait(&mut entry).await?;
        self.lease(entry)
    }

    /// The breaker's leave, with the permit in hand.
    #[inline(always)]
    fn lease(&mut self, entry: Entry<'a>) -> Result<Lease<'a>, Fault> {
        let dependency = self.dependency;
        // Again, because a shutdown waits for whoever has a permit: it has seen this call, or is seen
        // here.
        self.still_served()?;
        let mut moved = None;
        // A lease before anything else happens, so that nothing can come between it and its end.
        let admitted = dependency.gate().admit(self.now, &mut moved);
        let admitted =
            admitted.map(|admission| Lease::new(entry, self.method, admission, self.now));
        if let Some(transition) = moved {
            dependency.moved(transition);
        }
        admitted.map_err(|refused| dependency.refuse(refused))
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

    /// Whether an attempt that pends has run out of time.
    #[cold]
    fn poll_attempt_end(
        &mut self,
        sleep: &mut Option<Sleep>,
        started: Moment,
        cx: &mut Context<'_>,
    ) -> Poll<Ended> {
        let ends_at = (started + self.method.plan.timeout).min(self.deadline);
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
}
