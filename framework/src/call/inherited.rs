//! A deadline from outside: of the scope that a call is made in, or of the client that makes it.

use crate::clock::nanos;
use crate::deadline::{self, Deadline, Entered};
use crate::dependency::Method;

use super::attempt::Entry;
use super::call::{Call, NoAnswer};

/// How long a call may take.
pub(super) struct Inherited {
    /// Its attempts, waits and backoffs.
    pub(super) attempts_nanos: u64,
    /// All of it; zero if the policy says so.
    pub(super) whole_nanos: u64,
}

impl Inherited {
    /// As long as the policy allows.
    #[inline]
    pub(super) fn none(method: &Method) -> Self {
        Self { attempts_nanos: method.plan.attempts_nanos(), whole_nanos: 0 }
    }

    /// No longer than what is left in the scope, and than `limit_nanos`, the client's own.
    #[cold]
    pub(super) fn new(method: &Method, limit_nanos: u64) -> Self {
        let left = deadline::left().map_or(u64::MAX, nanos).min(limit_nanos);
        let (whole, attempts) = (nanos(method.plan.deadline()), method.plan.attempts_nanos());
        if left >= whole {
            return Self::none(method);
        }
        // Never more than half for the fallback: a call must have time to be a call.
        let reserve = (whole - attempts).min(left / 2);
        // Zero would say that nobody has asked for it yet.
        Self { attempts_nanos: left - reserve, whole_nanos: left.max(1) }
    }
}

impl Call<'_> {
    /// While the service, or a fallback, is polled: what it calls has this call's deadline.
    #[inline]
    pub(super) fn enter_deadline(&mut self) -> Option<Entered> {
        if self.is_inherited { Some(self.entered()) } else { None }
    }

    #[cold]
    fn entered(&mut self) -> Entered {
        let end = self.started + self.whole_deadline();
        deadline::enter(Deadline::at(self.dependency.time(), end))
    }

    /// Why an attempt is not even begun: a shutdown, or no time is left.
    #[cold]
    pub(super) fn not_begun(&mut self) -> Entry {
        if !self.is_served() {
            return Entry::ShutDown;
        }
        self.no_answer = NoAnswer::DeadlineExceeded;
        Entry::NoTime
    }
}
