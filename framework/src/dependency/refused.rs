//! What a dependency's calls are told when it does not answer them itself.

use std::time::Duration;

use crate::clock::Moment;
use crate::dependency::method::Method;
use crate::dependency::refusals::Refused;
use crate::error::{EarlierError, Fault, RejectedBy, UnavailableCause};
use crate::event::Event;
use crate::outcome::{CallOutcome, Outcome};

use super::shared::Dependency;

impl Dependency {
    /// Counts an attempt that a guard refused, and tells of it now and then.
    #[inline(always)]
    pub(crate) fn count_refusal(&self, method: &Method, refused: Refused, now: Moment) {
        let by = refused.by;
        method.stats.refused(by);
        let sampler = self.examples.refused(by);
        if let Some(unreported) = sampler.tell_of(|| self.refusals(by), now) {
            self.tell_refused(refused, unreported, now);
        }
    }

    /// The answer to a call that was refused. `is_over`: it ends so, and is counted.
    #[inline(always)]
    pub(crate) fn rejected(
        &self,
        method: &Method,
        refused: Refused,
        earlier: Option<EarlierError>,
        is_over: bool,
    ) -> Fault {
        let Refused { by, retry_after } = refused;
        if is_over {
            method.stats.rejected(by);
        }
        Fault::Rejected { dependency: self.name().clone(), by, retry_after, earlier }
    }

    #[inline(never)]
    fn tell_refused(&self, refused: Refused, unreported: u64, at: Moment) {
        let Refused { by, retry_after } = refused;
        let dependency = self.name().clone();
        self.tell(&Event::Refused { at, dependency, by, retry_after, unreported });
    }

    /// An attempt took as long as a slow call, or longer.
    #[cold]
    pub(crate) fn slow_call(&self, method: &Method, took: Duration, outcome: Outcome, now: Moment) {
        if let Some(unreported) = method.stats.slow(now) {
            let (at, dependency, method) = (now, self.name().clone(), method.name());
            self.tell(&Event::SlowCall { at, dependency, method, took, outcome, unreported });
        }
    }

    /// An attempt ended in a way that counts against the dependency.
    #[cold]
    pub(crate) fn attempt_failed(
        &self,
        method: &Method,
        outcome: Outcome,
        took: Duration,
        now: Moment,
    ) {
        if let Some(unreported) = self.examples.failed(outcome, now) {
            let (at, dependency, method) = (now, self.name().clone(), method.name());
            self.tell(&Event::AttemptFailed { at, dependency, method, outcome, took, unreported });
        }
    }

    /// A fallback answered in place of this outcome.
    #[cold]
    pub(crate) fn fell_back(
        &self,
        method: &Method,
        (instead_of, refused_by): (CallOutcome, Option<RejectedBy>),
        now: Moment,
    ) {
        method.stats.fell_back(instead_of, refused_by);
        if let Some(unreported) = self.examples.fell_back(now) {
            let (at, dependency, method) = (now, self.name().clone(), method.name());
            self.tell(&Event::FellBack {
                at,
                dependency,
                method,
                instead_of,
                refused_by,
                unreported,
            });
        }
    }

    #[cold]
    pub(crate) fn shut_down(&self) -> Fault {
        Fault::Unavailable {
            dependency: self.name().clone(),
            cause: UnavailableCause::ShutDown,
            retry_after: None,
        }
    }

    #[cold]
    pub(crate) fn timed_out(&self, after: Duration) -> Fault {
        Fault::TimedOut { dependency: self.name().clone(), after }
    }

    #[cold]
    pub(crate) fn deadline_exceeded(&self, after: Duration) -> Fault {
        Fault::DeadlineExceeded { dependency: self.name().clone(), after }
    }
}
