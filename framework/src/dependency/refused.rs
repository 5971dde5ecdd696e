//! What a dependency's calls are told when it does not answer them itself.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::dependency::method::Method;
use crate::dependency::refusals::Refused;
use crate::error::{Fault, RejectedBy, UnavailableCause};
use crate::event::Event;
use crate::outcome::Outcome;

use super::shared::Dependency;

impl Dependency {
    /// Counts an attempt that a guard refused, and tells of it now and then.
    #[cold]
    pub(crate) fn count_refusal(&self, refused: Refused, now: Moment) {
        if let Some(unreported) = self.refusals.count(self.name(), refused.by, now) {
            self.tell_refused(refused, unreported, now);
        }
    }

    #[cold]
    pub(crate) fn rejected(&self, by: RejectedBy, retry_after: Option<Duration>) -> Fault {
        let name = self.refusals.name(self.name());
        Fault::Rejected { dependency: Arc::clone(name), by, retry_after }
    }

    #[inline(never)]
    fn tell_refused(&self, refused: Refused, unreported: u64, at: Moment) {
        let Refused { by, retry_after } = refused;
        let dependency = Arc::clone(self.name());
        self.tell(&Event::Refused { at, dependency, by, retry_after, unreported });
    }

    /// An attempt took as long as a slow call, or longer.
    #[cold]
    pub(crate) fn slow_call(&self, method: &Method, took: Duration, outcome: Outcome, now: Moment) {
        if let Some(unreported) = method.stats.slow(now) {
            let (at, dependency, method) = (now, Arc::clone(self.name()), method.name());
            self.tell(&Event::SlowCall { at, dependency, method, took, outcome, unreported });
        }
    }

    #[cold]
    pub(crate) fn shut_down(&self) -> Fault {
        Fault::Unavailable {
            dependency: Arc::clone(self.name()),
            cause: UnavailableCause::ShutDown,
            retry_after: None,
        }
    }

    #[cold]
    pub(crate) fn timed_out(&self, after: Duration) -> Fault {
        Fault::TimedOut { dependency: Arc::clone(self.name()), after }
    }

    #[cold]
    pub(crate) fn deadline_exceeded(&self, after: Duration) -> Fault {
        Fault::DeadlineExceeded { dependency: Arc::clone(self.name()), after }
    }
}
