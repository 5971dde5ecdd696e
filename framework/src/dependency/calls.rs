//! How many calls there have been, and what their retries may cost by that.

use crate::clock::Moment;
use crate::outcome::Outcome;

use super::shared::Dependency;

impl Dependency {
    /// A call begins: the retry budget is to know of it.
    #[inline(always)]
    pub(crate) fn call_begins(&self, now: Moment) {
        if self.budget().is_due(now) {
            self.look_at_budget(now);
        }
    }

    #[cold]
    fn look_at_budget(&self, now: Moment) {
        self.budget().look(now, || self.calls());
    }

    /// Whether the retry budget, if there is one, lets another attempt be made, which is counted then. `waits`: the call that asks
    /// is among those that wait. `after`: how the attempt before it has ended, and chance, in `[0, 1)`.
    pub(crate) fn try_retry(&self, now: Moment, waits: bool, after: (Outcome, f64)) -> bool {
        self.budget().try_retry(|| self.calls() + u64::from(!waits), now, after)
    }

    /// What the retry budget has seen, if there is one.
    #[cfg(any(test, feature = "simulation"))]
    pub(crate) fn budget_use(&self) -> Option<crate::retry::BudgetUse> {
        self.budget().usage(|| self.calls(), self.now())
    }

    /// Calls so far: those that have ended, and those that wait for something. One that is being polled for the first time is in
    /// neither, nor is one whose answer has begun and goes on.
    fn calls(&self) -> u64 {
        let ended: u64 = self.methods.lock().iter().map(|(_, stats)| stats.ended()).sum();
        ended + self.begun_and_pending()
    }
}
