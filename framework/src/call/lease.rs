//! A lease: one admitted attempt. It ends exactly once, whatever becomes of the future it belongs to.

use std::time::Duration;

use crate::breaker::Admission;
use crate::clock::Moment;
use crate::outcome::{Lesson, Outcome};

use super::core::Method;
use super::dependency::Dependency;
use super::keys::Key;
use super::room::{Room, Ticket};
use super::signal::Signal;

/// What an attempt holds on its way in: a rate-limit token, given back unless it is spent, and a permit.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    dependency: &'a Dependency,
    /// For when the token was taken.
    taken_for: Moment,
    /// [`TOKEN`], [`PERMIT`]. A word, like everything else in here, because it is moved word by word: bytes
    /// that were just written one by one make that wait.
    held: u64,
}

const TOKEN: u64 = 1;
const PERMIT: u64 = 2;

impl<'a> Entry<'a> {
    /// Holds a token that was taken for this moment.
    #[inline]
    pub(super) fn new(dependency: &'a Dependency, taken_for: Moment) -> Self {
        Self { dependency, taken_for, held: TOKEN }
    }

    /// For when its token was taken.
    pub(super) fn taken_for(&self) -> Moment {
        self.taken_for
    }

    /// Holds no token, from now on.
    #[inline]
    pub(super) fn forget_token(&mut self) {
        self.held &= !TOKEN;
    }

    /// Holds a permit too, from now on.
    #[inline]
    pub(super) fn take_permit(&mut self) {
        self.held |= PERMIT;
    }
}

impl Drop for Entry<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.held & TOKEN != 0 {
            self.dependency.gate().refund(self.dependency.now(), self.taken_for);
        }
        if self.held & PERMIT != 0 {
            self.dependency.gate().room().leave(|| self.dependency.now());
            self.dependency.left();
        }
    }
}

/// A place in the waiting room, given up when dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    dependency: &'a Dependency,
    pub(super) ticket: Ticket,
    over: bool,
}

impl<'a> Place<'a> {
    pub(super) fn new(dependency: &'a Dependency, ticket: Ticket) -> Self {
        Self { dependency, ticket, over: false }
    }

    pub(super) fn room(&self) -> &'a Room {
        self.dependency.gate().room()
    }

    /// The wait is over and there is nothing to give up.
    pub(super) fn settled(&mut self) {
        self.over = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.over && self.room().give_up(&self.ticket).is_none() {
            // It had been granted a permit in the same breath: the next in line gets it.
            self.room().leave(|| self.dependency.now());
        }
    }
}

/// One admitted attempt: the breaker's leave and a permit.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    // Dropped after `Drop for Lease` has run: the breaker learns first, then the permit is free.
    entry: Entry<'a>,
    method: &'a Method,
    admission: Admission,
    /// The leave of its key's breaker, if it has one; it ends with the lease.
    pub(super) key: Option<(&'a Key, Admission)>,
    started: Moment,
    stage: Stage,
}

/// How far a lease is. A word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
enum Stage {
    Held,
    /// The user's code runs: a drop that finds it so is an unwind.
    InUserCode,
    Over,
}

impl<'a> Lease<'a> {
    #[inline]
    pub(super) fn new(
        entry: Entry<'a>,
        method: &'a Method,
        admission: Admission,
        started: Moment,
    ) -> Self {
        Self { entry, method, admission, key: None, started, stage: Stage::Held }
    }

    /// Whether the user's code runs from now on.
    #[inline]
    pub(super) fn in_user_code(&mut self, runs: bool) {
        self.stage = if runs { Stage::InUserCode } else { Stage::Held };
    }

    /// When the attempt began.
    #[inline]
    pub(super) fn started(&self) -> Moment {
        self.started
    }

    /// The dependency is about to see the attempt, so its token is spent.
    #[inline]
    pub(super) fn dispatch(&mut self) {
        self.entry.forget_token();
    }

    /// Ends it well.
    #[inline]
    pub(super) fn succeed(mut self, now: Moment) {
        let took = now.nanos_since(self.started);
        if self.key.is_some() || took >= self.method.plan.slow_nanos() {
            return self.settle(Outcome::Success, Outcome::Success, None, now);
        }
        self.stage = Stage::Over;
        let dependency = self.entry.dependency;
        if let Some(transition) = dependency.gate().record_good(self.admission, now) {
            dependency.moved(transition);
        }
    }

    /// Ends it: `outcome` is what the metrics say, `taught` what the breaker learns.
    pub(super) fn end(mut self, outcome: Outcome, taught: Outcome, now: Moment) {
        self.settle(outcome, taught, None, now);
    }

    /// Ends it, with how long the server wants to be left alone.
    pub(super) fn end_with(mut self, outcome: Outcome, retry_after: Option<Duration>, now: Moment) {
        self.settle(outcome, outcome, retry_after, now);
    }

    /// Ends it before the dependency has seen anything: another guard has refused the attempt.
    pub(super) fn withdraw(&mut self, now: Moment) {
        self.stage = Stage::Over;
        let dependency = self.entry.dependency;
        let nothing = Lesson::from(Outcome::Cancelled);
        let moved = dependency.gate().record(self.admission, nothing, now);
        moved.into_iter().for_each(|transition| dependency.moved(transition));
    }

    #[inline(never)]
    fn settle(
        &mut self,
        outcome: Outcome,
        taught: Outcome,
        retry_after: Option<Duration>,
        now: Moment,
    ) {
        self.stage = Stage::Over;
        let dependency = self.entry.dependency;
        let slow = now.nanos_since(self.started) >= self.method.plan.slow_nanos();
        let mut lesson = Lesson { outcome: taught, slow, retry_after };
        if outcome != Outcome::Success {
            self.method.stats.attempt(outcome);
        }
        if let Some((key, own)) = self.key {
            let gate = dependency.gate();
            let (for_all, moved) = gate.record_by_key(key, (own, self.admission), lesson, now);
            lesson = for_all;
            moved.into_iter().for_each(|transition| dependency.key_moved(key, transition));
        }
        if let Some(transition) = dependency.gate().record(self.admission, lesson, now) {
            dependency.moved(transition);
        }
        if slow {
            dependency.slow_call(self.method, now.since(self.started), outcome, now);
        }
    }
}

impl Drop for Lease<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.stage != Stage::Over {
            self.abandoned();
        }
    }
}

impl Lease<'_> {
    #[cold]
    fn abandoned(&mut self) {
        let now = self.entry.dependency.now();
        if self.stage == Stage::InUserCode {
            self.settle(Outcome::Panicked, Outcome::Panicked, None, now);
            self.entry.dependency.signals().raise(Signal::Panicked);
        } else if now.nanos_since(self.started) >= self.method.plan.slow_nanos() {
            // A black hole behind an impatient caller must still trip the breaker.
            self.settle(Outcome::Cancelled, Outcome::TimedOut, None, now);
        } else {
            self.settle(Outcome::Cancelled, Outcome::Cancelled, None, now);
        }
    }
}
