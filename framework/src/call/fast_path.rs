//! The path of a good call: admitted at once, answered, counted. Read this page before you change a line of it.
//!
//! The bench that watches it is `benches/guarded_call.rs`; run it before and after (`cargo bench -p seawall-benches
//! --bench guarded_call`). `tests/pipeline/allocation.rs` counts allocations. What keeps this path fast:
//!
//! - **Two clock reads**: at the start and when the attempt has ended. [`Call::now`] carries the last one.
//! - **No allocation, lock or channel.** Waiting has a future of its own ([`Call::enter_later`]), so that a call that
//!   does not wait has a small one.
//! - **Nothing is moved after it was written.** A copy of several words reads them with one wide load, which has to
//!   wait until the narrow stores before it have left the store buffer. So a [`Lease`] is filled in place, a
//!   [`Call`] is lent and not moved, and enums on this path have no payload beside their tag.
//! - **Whatever is rare is a function of its own**, marked `#[cold]` or `#[inline(never)]` and called last. Locked
//!   instructions wait for every store before them, so a saved register more costs several nanoseconds.
//! - **Counters are striped** by thread, and a success writes two of them: a latency bucket and the sum.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::dependency::{MethodTable, Token};
use crate::error::{CallError, Fallible, Fault, RejectedBy};
use crate::outcome::Class;

use super::attempt::Entry;
use super::call::{Call, Rules};
use super::lease::Lease;

impl<'a> Call<'a> {
    /// Begins a call of the method of this index.
    #[must_use]
    #[inline]
    pub fn begin(table: &'a MethodTable, method: usize) -> Self {
        let dependency = table.dependency();
        let method = table.method(method);
        let started = dependency.now();
        dependency.budget().with(|budget| {
            if let Some(budget) = budget {
                budget.call(started);
            }
        });
        Self {
            dependency,
            method,
            key: None,
            started,
            now: started,
            deadline: started.plus_nanos(method.plan.attempts_nanos()),
            fixed_deadline: 0,
            class: Class::Failure,
            retry_after: None,
            refused_by: RejectedBy::Breaker,
            reservation: None,
            pending: false,
            fell_back: false,
            dispatched: false,
            in_user_code: false,
            over: false,
        }
    }

    /// One attempt: admission, the user's future, and its end.
    #[inline]
    pub(super) async fn attempt<R: Fallible, Fut: Future<Output = R>>(
        &mut self,
        make: impl FnOnce() -> Fut,
        rules: &Rules<R>,
    ) -> Result<R, Fault> {
        let mut lease = Lease::new(self.dependency, self.method);
        match self.enter(&mut lease) {
            Entry::Free => {}
            Entry::Refused => return Err(self.refusal()),
            entry => self.enter_later(entry, &mut lease).await?,
        }
        self.admit(&mut lease)?;
        let ended = {
            self.dispatch(&mut lease);
            self.enter_user_code(&mut lease);
            let mut future = pin!(make());
            let mut limit = None;
            poll_fn(|cx| {
                self.enter_user_code(&mut lease);
                // Whatever ends the attempt, the user's future is dropped next, and its destructor is the user's code
                // too. So the flag stays set.
                if let Poll::Ready(answer) = future.as_mut().poll(cx) {
                    return Poll::Ready(Ok(answer));
                }
                let ended = self.poll_attempt_limit(&mut limit, lease.started(), cx);
                if ended.is_pending() {
                    self.leave_user_code(&mut lease);
                }
                ended.map(Err)
            })
            .await
            // The user's future is dropped here, before its permit is given back.
        };
        self.now = self.dependency.now();
        match ended {
            Ok(answer) => {
                self.class = (rules.classify)(&answer);
                // All conditions by one jump. An attempt that did not begin with the call has waited for something.
                let is_plain = (lease.started() == self.started) & self.reservation.is_none();
                if (self.class == Class::Success) & is_plain {
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

    /// Takes a token and a permit, in the caller's own task.
    #[inline(always)]
    fn enter(&mut self, lease: &mut Lease<'a>) -> Entry {
        self.class = Class::Failure;
        if !self.is_served() {
            return Entry::ShutDown;
        }
        let gate = self.dependency.gate();
        match gate.take_token(self.key, self.now, || self.start_by().token_by) {
            Ok(Token::Now(limiter)) => lease.hold_token(self.now, limiter),
            Ok(Token::At(start, limiter)) => {
                lease.hold_token(start, limiter);
                return Entry::TokenLater;
            }
            Ok(Token::Paced(limiter)) => {
                lease.hold_token(self.now, limiter);
                return Entry::Paced;
            }
            Err(refused) => return self.refused(refused),
        }
        if !gate.waiting_room().try_enter() {
            return self.no_permit(lease);
        }
        lease.hold_permit();
        Entry::Free
    }

    /// Asks the breaker for admission, with the permit in hand.
    #[inline(always)]
    fn admit(&mut self, lease: &mut Lease<'a>) -> Result<(), Fault> {
        let dependency = self.dependency;
        // Looked at again: a shutdown waits for every call that holds a permit. Either it has seen this call's, or
        // this call sees the shutdown here.
        if !self.is_served() {
            self.return_reservation();
            return Err(dependency.shut_down());
        }
        let mut moved = None;
        let admitted = dependency.gate().admit(self.now, &mut moved);
        // Into the lease before anything else happens, so that nothing comes between an admission and its end.
        if let Ok(admission) = admitted {
            lease.begin(admission, self.now);
        }
        if let Some(transition) = moved {
            dependency.moved(transition);
        }
        if let Err(refused) = admitted {
            return Err(self.refused_late(refused));
        }
        match self.key {
            None => Ok(()),
            Some(key) => self.admit_by_key(lease, key),
        }
    }

    /// During a drain, calls that wait or have begun go on. New ones are refused.
    #[inline]
    fn is_served(&self) -> bool {
        let dependency = self.dependency;
        dependency.is_serving() || (self.pending && !dependency.is_cancelled())
    }

    #[inline]
    pub(super) fn enter_user_code(&mut self, lease: &mut Lease<'_>) {
        self.in_user_code = true;
        lease.in_user_code(true);
    }

    #[inline]
    pub(super) fn leave_user_code(&mut self, lease: &mut Lease<'_>) {
        self.in_user_code = false;
        lease.in_user_code(false);
    }

    /// The dependency is about to see an attempt: its token is spent. After the first of a call, it is a retry.
    #[inline]
    fn dispatch(&mut self, lease: &mut Lease<'_>) {
        lease.forget_token();
        if self.dispatched {
            self.dependency.note_retry();
        }
        self.dispatched = true;
    }

    /// Counts the call and returns its result. The last thing to do with a call; it is lent because moving it costs
    /// more than counting.
    ///
    /// # Errors
    /// The one it is given.
    #[inline]
    pub fn finish<T, E>(&mut self, result: Result<T, CallError<E>>) -> Result<T, CallError<E>> {
        self.over = true;
        let took = self.now.nanos_since(self.started);
        // Only an answer of the dependency itself has this class: faults and fallbacks follow failures.
        if self.class == Class::Success {
            self.method.stats.success(took);
        } else {
            let (outcome, by) = self.outcome(&result);
            self.method.stats.other(outcome, by, took);
        }
        result
    }
}
