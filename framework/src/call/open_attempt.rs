//! An attempt whose answer has begun, and whose last word is still to come: a response that says in its trailers how the
//! call went, or an answer in a [`Leased`](crate::Leased).

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::breaker::Leave;
use crate::clock::{Moment, nanos};
use crate::dependency::{HeldPermit, MethodTable};
use crate::outcome::{CallOutcome, Class, Outcome};

use super::lease::Lease;

/// Travels in the answer. It is empty until the call ends with that answer, and then holds the attempt's permit and
/// admission until [`OpenAttempt::end`]. Dropped before that, the call counts as cancelled.
pub struct OpenAttempt {
    methods: Arc<MethodTable>,
    method: usize,
    begun: OnceLock<Begun>,
}

enum Begun {
    Attempt {
        admission: Leave,
        /// From the beginning of the attempt, and of the call, to the answer's head: that is the latency.
        attempt_took: Duration,
        call_took: Duration,
    },
    /// The attempt has ended with the head, and the call has been counted.
    Permit(#[expect(dead_code, reason = "held, not read")] HeldPermit),
}

impl OpenAttempt {
    /// Empty, for a call of the method of this index.
    #[must_use]
    pub fn new(methods: &Arc<MethodTable>, method: usize) -> Self {
        Self { methods: Arc::clone(methods), method, begun: OnceLock::new() }
    }

    pub(super) fn begin(&self, admission: Leave, attempt_took: Duration, call_took: Duration) {
        self.set(Begun::Attempt { admission, attempt_took, call_took });
    }

    /// Holds a permit, beside that of an attempt that is about to end.
    pub(super) fn hold_permit(&self) {
        self.set(Begun::Permit(HeldPermit::of(&self.methods, self.method)));
    }

    fn set(&self, begun: Begun) {
        let set = self.begun.set(begun);
        debug_assert!(set.is_ok(), "a call ends once");
    }

    /// Whether a call has ended with the answer that this is in. If the attempt goes on, the call is not to be finished.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.begun.get().is_some()
    }

    /// When an attempt that begins now is over.
    pub(crate) fn until(&self) -> Moment {
        self.methods.dependency().now() + self.methods.timeout(self.method)
    }

    /// Whether it is later than this.
    pub(crate) fn is_after(&self, until: Moment) -> bool {
        self.methods.dependency().now() >= until
    }

    /// Ends it, by the last word. Once; later ends do nothing.
    pub fn end(&mut self, class: Class, retry_after: Option<Duration>) {
        self.end_as(class.outcome(), class.call_outcome(), retry_after);
    }

    /// Ends it as a success, and keeps a permit for what goes on.
    pub(crate) fn succeed_early(&mut self) -> HeldPermit {
        let permit = HeldPermit::of(&self.methods, self.method);
        self.end(Class::Success, None);
        permit
    }

    fn end_as(&mut self, outcome: Outcome, of_call: CallOutcome, retry_after: Option<Duration>) {
        let Some(Begun::Attempt { admission, attempt_took, call_took }) = self.begun.take() else {
            return;
        };
        let dependency = self.methods.dependency();
        let method = self.methods.method(self.method);
        let now = dependency.now();
        // As if it had begun so much later: what came after the head is no part of its latency.
        let started = now.before(attempt_took);
        let mut lease = Lease::resume(dependency, method, admission, started);
        match outcome {
            // The head is an answer.
            Outcome::Cancelled => lease.end(outcome, Outcome::Ignored, now),
            _ => lease.end_with(outcome, retry_after, now),
        }
        let took_nanos = nanos(call_took);
        if outcome == Outcome::Success {
            method.stats.waited(call_took, attempt_took);
            method.stats.success(took_nanos);
        } else {
            method.stats.other(of_call, took_nanos);
        }
    }
}

impl Drop for OpenAttempt {
    fn drop(&mut self) {
        // The head came in time; what its reader does after that says nothing.
        self.end_as(Outcome::Cancelled, CallOutcome::Cancelled, None);
    }
}

impl fmt::Debug for OpenAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAttempt").field("is_begun", &self.is_begun()).finish_non_exhaustive()
    }
}
