//! A lease: one admitted attempt. It ends exactly once, whatever becomes of the future it belongs to.

use crate::breaker::Admission;
use crate::clock::Moment;
use crate::outcome::Outcome;

use super::core::Method;
use super::dependency::Dependency;
use super::room::{Room, Ticket};
use super::signal::Signal;

/// What an attempt holds on its way in: a rate-limit token, given back unless it is spent, and a permit.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    dependency: &'a Dependency,
    token: bool,
    permit: bool,
}

impl<'a> Entry<'a> {
    /// Holds a token.
    #[inline]
    pub(super) fn new(dependency: &'a Dependency) -> Self {
        Self { dependency, token: true, permit: false }
    }

    /// Holds a permit too, from now on.
    #[inline]
    pub(super) fn take_permit(&mut self) {
        self.permit = true;
    }
}

impl Drop for Entry<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.token {
            self.dependency.gate().refund();
        }
        if self.permit {
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
    started: Moment,
    /// True while the user's code runs: a drop that finds it true is an unwind.
    pub(super) in_user_code: bool,
    over: bool,
}

impl<'a> Lease<'a> {
    #[inline]
    pub(super) fn new(
        entry: Entry<'a>,
        method: &'a Method,
        admission: Admission,
        started: Moment,
    ) -> Self {
        Self { entry, method, admission, started, in_user_code: false, over: false }
    }

    /// When the attempt began.
    #[inline]
    pub(super) fn started(&self) -> Moment {
        self.started
    }

    /// The dependency is about to see the attempt, so its token is spent.
    #[inline]
    pub(super) fn dispatch(&mut self) {
        self.entry.token = false;
    }

    /// Ends it: `outcome` is what the metrics say, `lesson` what the breaker learns.
    #[inline]
    pub(super) fn end(mut self, outcome: Outcome, lesson: Outcome, now: Moment) {
        self.settle(outcome, lesson, now);
    }

    #[inline]
    fn settle(&mut self, outcome: Outcome, lesson: Outcome, now: Moment) {
        self.over = true;
        let dependency = self.entry.dependency;
        if outcome != Outcome::Success {
            self.method.stats.attempt(outcome);
        }
        if let Some(transition) = dependency.gate().record(self.admission, lesson, now) {
            dependency.moved(transition);
        }
    }
}

impl Drop for Lease<'_> {
    #[inline]
    fn drop(&mut self) {
        if !self.over {
            self.abandoned();
        }
    }
}

impl Lease<'_> {
    #[cold]
    fn abandoned(&mut self) {
        let now = self.entry.dependency.now();
        if self.in_user_code {
            self.settle(Outcome::Panicked, Outcome::Panicked, now);
            self.entry.dependency.signals().raise(Signal::Panicked);
        } else if now >= self.started + self.method.plan.slow_call {
            // A black hole behind an impatient caller must still trip the breaker.
            self.settle(Outcome::Cancelled, Outcome::TimedOut, now);
        } else {
            self.settle(Outcome::Cancelled, Outcome::Cancelled, now);
        }
    }
}
