//! A deadline from outside: of the scope that a call is made in, or of the client that makes it.

use crate::clock::nanos;
use crate::deadline::{self, Deadline, Origin};
use crate::dependency::{Dependency, Method};
use crate::outcome::{CallOutcome, Outcome};

use super::call::{Call, NoAnswer, Rare};
use super::spans::Spans;

/// How long a call may take.
pub(super) struct Inherited {
    /// Its attempts, waits and backoffs.
    pub(super) attempts_nanos: u64,
    /// All of it; zero if the policy says so.
    pub(super) whole_nanos: u64,
    /// What the service calls has it too: it is not that of a scope around both.
    pub(super) passes_on: bool,
    /// The spans of the call, if they are wanted.
    pub(super) rare: Option<Box<Rare>>,
}

impl Inherited {
    /// As long as the policy allows.
    fn none(method: &Method) -> Self {
        Self {
            attempts_nanos: method.plan.attempts_nanos(),
            whole_nanos: 0,
            passes_on: false,
            rare: None,
        }
    }

    /// No longer than what is left in the scope, and than `limit_nanos`, the client's own.
    #[cold]
    pub(super) fn new(dependency: &Dependency, method: &Method, limit_nanos: u64) -> Self {
        let spans = Spans::begin(dependency, method);
        let rare = spans.map(|spans| Box::new(Rare { spans: Some(spans), ..Rare::default() }));
        Self { rare, ..Self::limited(method, limit_nanos) }
    }

    fn limited(method: &Method, limit_nanos: u64) -> Self {
        let passes_on = limit_nanos != u64::MAX;
        let left = deadline::left().map_or(u64::MAX, nanos).min(limit_nanos);
        let (whole, attempts) = (nanos(method.plan.deadline()), method.plan.attempts_nanos());
        if left >= whole {
            return Self { passes_on, ..Self::none(method) };
        }
        // Never more than half for the fallback: a call must have time to be a call.
        let reserve = (whole - attempts).min(left / 2);
        // Zero would say that nobody has asked for it yet.
        Self { attempts_nanos: left - reserve, whole_nanos: left.max(1), passes_on, rare: None }
    }
}

impl Call<'_> {
    /// From here on what the service, or a fallback, calls has this call's deadline.
    #[cold]
    #[inline(never)]
    pub(super) fn enter_deadline(&mut self) {
        if self.passes_on {
            let end = self.started + self.whole_deadline();
            let retries = self.rare.as_ref().map_or(0, |rare| rare.retries.given());
            let origin = Origin::of_attempt(retries.saturating_add(1));
            deadline::enter(Deadline::at(self.dependency.time(), end).from_origin(origin));
            self.has_entered = true;
        }
    }

    /// From here on the service is polled: with this call's deadline, and in a span of the attempt.
    #[cold]
    #[inline(never)]
    pub(super) fn enter_attempt(&mut self) {
        self.enter_deadline();
        let (dependency, now, started) = (self.dependency, self.now, self.started);
        if let Some(spans) = self.spans() {
            spans.enter(dependency, || now.since(started));
        }
    }

    /// Up to here. An unwind leaves it when the call is dropped.
    #[cold]
    #[inline(never)]
    pub(super) fn leave_attempt(&mut self) {
        self.leave_deadline();
        if let Some(spans) = self.spans() {
            spans.leave();
        }
    }

    fn spans(&mut self) -> Option<&mut Spans> {
        self.rare.as_mut()?.spans.as_mut()
    }

    /// The attempt's span ends.
    pub(super) fn end_attempt_span(&mut self, outcome: Outcome) {
        if let Some(spans) = self.spans() {
            spans.end_attempt(outcome);
        }
    }

    /// The call's span ends.
    #[cold]
    #[inline(never)]
    pub(super) fn end_spans(&mut self, outcome: CallOutcome) {
        if let Some(mut spans) = self.rare.as_mut().and_then(|rare| rare.spans.take()) {
            spans.end(outcome);
        }
    }

    /// Up to here. An unwind leaves it when the call is dropped.
    #[cold]
    #[inline(never)]
    pub(super) fn leave_deadline(&mut self) {
        if self.has_entered {
            self.has_entered = false;
            deadline::leave();
        }
    }

    /// Why an attempt is not even begun: a shutdown, or no time is left.
    #[cold]
    pub(super) fn not_begun(&mut self) {
        let is_over = !self.is_served();
        self.no_answer = if is_over { NoAnswer::ShutDown } else { NoAnswer::DeadlineExceeded };
    }
}
