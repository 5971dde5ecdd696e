//! A deadline from outside: of the scope that a call is made in, or of the client that makes it.

use std::time::Duration;

use crate::clock::nanos;
use crate::deadline::{self, Deadline, Entered};

use super::attempt::Entry;
use super::call::{Call, NoAnswer};

impl Call<'_> {
    /// Makes the call no longer than what is left in its scope, and than `limit_nanos`, the client's own.
    #[cold]
    pub(super) fn inherit_deadline(&mut self, limit_nanos: u64) {
        let left = deadline::left().map_or(u64::MAX, nanos).min(limit_nanos);
        self.is_inherited = limit_nanos != u64::MAX;
        let whole = self.method.plan.deadline();
        if left >= nanos(whole) {
            return;
        }
        let left = Duration::from_nanos(left);
        let reserve = Duration::from_nanos(nanos(whole) - self.method.plan.attempts_nanos());
        // Never more than half: a call must have time to be a call.
        self.deadline = self.started + (left - reserve.min(left / 2));
        // Zero would say that nobody has asked for it yet.
        self.fixed_deadline = nanos(left).max(1);
    }

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
