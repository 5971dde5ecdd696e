//! A span for each call, and one below it for each attempt, for subscribers that collect traces.
//!
//! Only where `Builder::spans` has asked for them, and only if a subscriber wants them: then a call allocates for them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::Span;
use tracing::field::Empty;

use crate::deadline;
use crate::dependency::{Dependency, Method};
use crate::outcome::{CallOutcome, Outcome};

static ARE_WANTED: AtomicBool = AtomicBool::new(false);

/// Calls have spans from now on, in this process.
pub(crate) fn want_spans() {
    ARE_WANTED.store(true, Ordering::Relaxed);
    deadline::is_used_from_now_on();
}

/// The spans of one call.
#[derive(Debug)]
pub(super) struct Spans {
    call: Span,
    attempt: Option<Span>,
    attempts: u32,
    /// The thread is in the attempt's span: the service is polled, or unwinds.
    is_entered: bool,
}

impl Spans {
    /// Those of a call that begins; none if nobody wants them.
    pub(super) fn begin(dependency: &Dependency, method: &Method) -> Option<Self> {
        if !ARE_WANTED.load(Ordering::Relaxed) {
            return None;
        }
        let (dependency, method) = (&**dependency.name(), method.name());
        // By the conventions of OpenTelemetry: `otel.*`, and `error.type` only on what did not end well.
        let call = tracing::info_span!(
            target: "seawall",
            "call",
            otel.name = format!("{dependency} {method}"),
            otel.kind = "internal",
            dependency,
            method,
            outcome = Empty,
            attempts = Empty,
            error.r#type = Empty,
            otel.status_code = Empty,
        );
        (!call.is_disabled()).then_some(Self {
            call,
            attempt: None,
            attempts: 0,
            is_entered: false,
        })
    }

    /// Those of an attempt beside others of this call.
    pub(super) fn beside(&mut self) -> Self {
        let attempts = self.attempts;
        self.attempts += 1;
        Self { call: self.call.clone(), attempt: None, attempts, is_entered: false }
    }

    /// The service is polled from here on: in its attempt's span, which begins now unless it has.
    pub(super) fn enter(&mut self, dependency: &Dependency, waited: impl FnOnce() -> Duration) {
        let (call, attempts) = (&self.call, &mut self.attempts);
        let attempt = self.attempt.get_or_insert_with(|| {
            *attempts += 1;
            let span = tracing::info_span!(
                target: "seawall",
                parent: call,
                "attempt",
                otel.kind = "client",
                attempt = *attempts,
                waited_seconds = waited().as_secs_f64(),
                breaker_state = dependency.gate().breaker().state().as_str(),
                http.request.resend_count = Empty,
                outcome = Empty,
                error.r#type = Empty,
                otel.status_code = Empty,
            );
            if *attempts > 1 {
                span.record("http.request.resend_count", *attempts - 1);
            }
            span
        });
        attempt.with_subscriber(|(id, subscriber)| subscriber.enter(id));
        self.is_entered = true;
    }

    /// It is not polled any more, for now.
    pub(super) fn leave(&mut self) {
        if let (true, Some(attempt)) = (std::mem::take(&mut self.is_entered), &self.attempt) {
            attempt.with_subscriber(|(id, subscriber)| subscriber.exit(id));
        }
    }

    /// The attempt is over.
    pub(super) fn end_attempt(&mut self, outcome: Outcome) {
        let Some(attempt) = self.attempt.take() else { return };
        let is_good = matches!(outcome, Outcome::Success | Outcome::Ignored);
        end(&attempt, outcome.as_str(), is_good);
    }

    /// The call is over.
    pub(super) fn end(&mut self, outcome: CallOutcome) {
        if self.attempt.is_some() {
            self.end_attempt(match outcome {
                CallOutcome::Success => Outcome::Success,
                CallOutcome::Panicked => Outcome::Panicked,
                _ => Outcome::Cancelled,
            });
        }
        self.call.record("attempts", self.attempts);
        let is_good =
            matches!(outcome, CallOutcome::Success | CallOutcome::Ignored | CallOutcome::Fallback);
        end(&self.call, outcome.as_str(), is_good);
    }
}

fn end(span: &Span, outcome: &'static str, is_good: bool) {
    span.record("outcome", outcome);
    if !is_good {
        span.record("error.type", outcome);
        span.record("otel.status_code", "ERROR");
    }
}
