//! The path of a good call: admitted at once, answered, counted. Read this page before you change a line of it.
//!
//! The bench that watches it is `benches/guarded_call.rs`; run it before and after (`cargo bench -p seawall-benches
//! --bench guarded_call`). `benches/instructions.rs` counts instructions, locked ones and the future's bytes, and is held
//! by `tests/run.sh`; `tests/pipeline/allocation.rs` counts allocations. What keeps this path fast:
//!
//! - **Two clock reads**: at the start and when the attempt has ended. [`Call::now`] carries the last one.
//! - **No allocation, lock or channel.** Waiting has a future of its own ([`Call::enter_later`]) in a box, so that a call
//!   that does not wait has a small one.
//! - **Nothing is moved after it was written.** A copy of several words reads them with one wide load, which has to
//!   wait until the narrow stores before it have left the store buffer. So a [`Lease`] is filled in place, a
//!   [`Call`] is lent and not moved, and enums on this path have no payload beside their tag. Why a call has no answer is
//!   noted in it, and becomes a [`Fault`] at its end.
//! - **Whatever is rare is a function of its own**, marked `#[cold]` or `#[inline(never)]` and called last. Locked
//!   instructions wait for every store before them, so a saved register more costs several nanoseconds.
//! - **What is nearly always so is asked at a look, by a leaf**: a token that is there ([`TokenBucket`](crate::limit::TokenBucket)), a breaker that a good
//!   call does not change. Only if it is not so, a function is called. One call has one frame, and a client awaits its first attempt in
//!   its own future: the drop of each future in between is a call, too.
//! - **Counters are striped**: a stripe has one thread that writes it, by loads and stores (`striped.rs`), and a
//!   success writes two counters: a latency bucket and the sum.
//! - **An open breaker refuses before the call is begun** ([`Call::refused_at_once`]), for a look at a word that the call needs anyway. Any other
//!   refusal has three frames: the look, the end, and the drop of the error. No future is made for a first attempt that may
//!   not begin, and no token is taken for one that finds no permit and may not wait.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::deadline;
use crate::dependency::{MethodTable, Token};
use crate::error::{CallError, Fallible, Fault, RejectedBy};
use crate::outcome::{CallOutcome, Class};

use super::attempt::Readiness;
use super::call::{Call, NoAnswer, Role};
use super::inherited::Inherited;
use super::lease::Lease;
use super::rules::Rules;

impl<'a> Call<'a> {
    /// Begins a call of the method of this index.
    #[must_use]
    #[inline(always)]
    pub fn begin(table: &'a MethodTable, method: usize) -> Self {
        let dependency = table.dependency();
        let method = table.method(method);
        let started = dependency.now();
        dependency.call_begins(started);
        // Before the call is written, which is not moved afterwards; and each by itself, so that they stay in registers.
        let (attempts_nanos, whole_nanos, passes_on, rare) = if deadline::is_used() {
            let Inherited { attempts_nanos, whole_nanos, passes_on, rare } =
                Inherited::new(dependency, method, table.limit_nanos());
            (attempts_nanos, whole_nanos, passes_on, rare)
        } else {
            (method.plan.attempts_nanos(), 0, false, None)
        };
        Self {
            dependency,
            method,
            key: None,
            started,
            now: started,
            deadline: started.plus_nanos(attempts_nanos),
            fixed_deadline: whole_nanos,
            class: Class::Failure,
            retry_after: None,
            refused_by: RejectedBy::Breaker,
            no_answer: NoAnswer::Rejected,
            timed_out_after: 0,
            reservation: None,
            passes_on,
            is_watched: method.plan.is_watched(),
            role: Role::Whole,
            rare,
            has_entered: false,
            pending: false,
            had_answer: false,
            fell_back: false,
            dispatched: false,
            in_user_code: false,
            goes_on: false,
            over: false,
        }
    }

    /// One attempt that may begin (see [`Call::goes_ahead`]): admission, the user's future, and its end. `None`: there is no answer,
    /// and `no_answer` says why.
    #[expect(clippy::manual_async_fn, reason = "an `async fn` keeps each of its arguments twice")]
    #[inline]
    pub fn attempt<'c, R: Fallible, Fut: Future<Output = R>>(
        &'c mut self,
        make: impl FnOnce() -> Fut + 'c,
        rules: &'c Rules<R>,
    ) -> impl Future<Output = Option<R>> + 'c {
        async move {
            let mut lease = Lease::new(self.dependency, self.method);
            match self.enter(&mut lease) {
                Readiness::Free => {}
                Readiness::Refused => return None,
                // In a box: waiting allocates anyway, and a call that does not wait is not made larger by it.
                entry if !Box::pin(self.enter_later(entry, &mut lease)).await => return None,
                _ => {}
            }
            if !self.admit(&mut lease) {
                return None;
            }
            let ended = {
                self.dispatch(&mut lease);
                self.enter_user_code(&mut lease);
                let mut future = pin!(make());
                let mut limit = None;
                poll_fn(|cx| {
                    self.enter_user_code(&mut lease);
                    // Whatever ends the attempt, the user's future is dropped next, by code of the user's: the flag stays.
                    // A global, twice: a look at the call itself, or a guard to drop, costs more.
                    if deadline::is_used() {
                        self.enter_attempt();
                    }
                    let polled = future.as_mut().poll(cx);
                    if deadline::is_used() {
                        self.leave_attempt();
                    }
                    if let Poll::Ready(answer) = polled {
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
                    if (self.class == Class::Success) & self.is_plain(&lease) {
                        self.leave_user_code(&mut lease);
                        lease.succeed(self.now);
                    } else {
                        self.end_otherwise(&mut lease, rules, &answer);
                    }
                    Some(answer)
                }
                Err(ended) => {
                    self.leave_user_code(&mut lease);
                    self.end_unanswered(&mut lease, &ended);
                    None
                }
            }
        }
    }

    /// Whether the end of an attempt concerns nobody but the breaker and the permits: all conditions by one jump. An attempt that
    /// did not begin with the call has waited for something.
    #[inline(always)]
    fn is_plain(&self, lease: &Lease<'_>) -> bool {
        (lease.started() == self.started)
            & self.reservation.is_none()
            & !self.is_watched
            & lease.is_original()
    }

    /// Whether an attempt may begin: there is time, the breakers are closed, and a budget that has a say lets it. If not, there
    /// is no answer. To be asked right before the attempt; where it is a call's first, no future has to be made for a refusal.
    #[inline(always)]
    pub fn goes_ahead(&mut self) -> bool {
        self.class = Class::Failure;
        if !self.is_served() | (self.now >= self.deadline) {
            self.not_begun();
            return false;
        }
        let is_closed = self.dependency.gate().breaker().is_closed();
        (is_closed & self.key.is_none() & !self.is_watched) || self.passes_breakers()
    }

    /// Takes a token and a permit, in the caller's own task. Looks for the permit first: a call that finds none, and may not wait for
    /// one, needs no token.
    #[inline(always)]
    fn enter(&mut self, lease: &mut Lease<'a>) -> Readiness {
        let (room, weight) = (self.dependency.gate().waiting_room(), self.method.weight());
        let Some(seen) = room.look(weight) else { return self.enter_full(lease) };
        if self.dependency.gate().take_token_at_once(self.now) {
            lease.hold_token(self.now, 0);
        } else if let Some(entry) = self.take_token(lease) {
            return entry;
        }
        if !room.enter_seen(seen, weight) {
            return self.no_permit(lease);
        }
        lease.hold_permit();
        Readiness::Free
    }

    /// Takes a token. `None`: it has one that is valid now.
    #[inline(never)]
    pub(super) fn take_token(&mut self, lease: &mut Lease<'a>) -> Option<Readiness> {
        let gate = self.dependency.gate();
        match gate.take_token(self.now, || self.start_by().token_by) {
            Ok(Token::Now(limiter)) => {
                lease.hold_token(self.now, limiter);
                None
            }
            Ok(Token::At(start, limiter)) => {
                lease.hold_token(start, limiter);
                Some(Readiness::TokenLater)
            }
            Ok(Token::Paced(limiter)) => {
                lease.hold_token(self.now, limiter);
                Some(self.enter_paced(lease))
            }
            Err(refused) => {
                self.refuse(refused);
                Some(Readiness::Refused)
            }
        }
    }

    /// Asks the breaker for admission, with the permit in hand. Whether it was given.
    #[inline(always)]
    fn admit(&mut self, lease: &mut Lease<'a>) -> bool {
        let dependency = self.dependency;
        // Looked at again: a shutdown waits for every call that holds a permit. Either it has seen this call's, or
        // this call sees the shutdown here.
        if !self.is_served() {
            self.return_reservation();
            self.no_answer = NoAnswer::ShutDown;
            return false;
        }
        match dependency.gate().breaker().let_in_closed() {
            Some(admission) => lease.begin(admission, self.now),
            None if !self.admit_by_state(lease) => return false,
            None => {}
        }
        match self.key {
            None => true,
            Some(key) => self.admit_by_key(lease, key),
        }
    }

    /// The same, where the breaker is not closed.
    #[inline(never)]
    fn admit_by_state(&mut self, lease: &mut Lease<'a>) -> bool {
        let (dependency, mut moved) = (self.dependency, None);
        let admitted = dependency.gate().admit(self.now, &mut moved);
        // Into the lease before anything else happens, so that nothing comes between an admission and its end.
        if let Ok(admission) = admitted {
            lease.begin(admission, self.now);
        }
        if let Some(transition) = moved {
            dependency.moved(transition);
        }
        match admitted {
            Ok(_) => true,
            Err(refused) => {
                self.refused_late(refused);
                false
            }
        }
    }

    /// During a drain, calls that wait or have begun go on. New ones are refused.
    #[inline]
    pub(super) fn is_served(&self) -> bool {
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

    /// The dependency is about to see an attempt: its token is spent.
    #[inline]
    fn dispatch(&mut self, lease: &mut Lease<'_>) {
        lease.forget_token();
        if self.dispatched {
            self.dispatch_again(lease);
        }
        self.dispatched = true;
    }

    /// Counts the call and returns its answer; of a fault, `fault_with` makes one. The last thing to do with a call; it is
    /// lent because moving it costs more than counting.
    #[inline(always)]
    pub fn finish<R: Fallible>(
        &mut self,
        answer: Option<R>,
        fault_with: impl FnOnce(Fault) -> R::Err,
    ) -> R {
        match answer {
            Some(answer) => {
                self.count(&answer);
                answer
            }
            None => Self::refused(self.finish_unanswered(), fault_with),
        }
    }

    /// The same, with the fault kept apart from the dependency's own errors.
    ///
    /// # Errors
    /// The dependency's own error, or Seawall's fault, of the last attempt.
    #[inline]
    pub fn finish_wrapped<R: Fallible>(
        &mut self,
        answer: Option<R>,
    ) -> Result<R::Ok, CallError<R::Err>> {
        match answer {
            Some(answer) => {
                self.count(&answer);
                answer.into_result().map_err(CallError::Inner)
            }
            None => Err(CallError::Fault(self.finish_unanswered())),
        }
    }

    #[inline(always)]
    fn count<R: Fallible>(&mut self, answer: &R) {
        self.over = true;
        let took = self.now.nanos_since(self.started);
        // Only an answer of the dependency itself has this class: fallbacks follow failures.
        if self.class == Class::Success {
            self.method.stats.success(took);
            if deadline::is_used() {
                self.end_spans(CallOutcome::Success);
            }
        } else {
            self.count_other(answer.as_result().is_ok(), took);
        }
    }
}
