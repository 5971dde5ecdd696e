//! A dependency's retry budget: calls are not counted for it, but taken from what the metrics count.

use crate::clock::Moment;
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::retry::{Budget, BudgetUse, KnownSlice};
use crate::swappable::Swappable;

use super::shared::Dependency;

/// What its retries may cost, if its policy says.
pub(crate) struct RetryBudget {
    budget: Swappable<Option<Budget>>,
    /// Here, and not in the budget: every call looks at it.
    slice: KnownSlice,
}

impl RetryBudget {
    pub(super) fn new(policy: &Policy) -> Self {
        let budget = policy.retry().budget().map(Budget::new);
        Self { budget: Swappable::new(budget), slice: KnownSlice::unknown() }
    }

    /// Begins anew, if it is to be another.
    pub(super) fn reload(&self, before: &Policy, policy: &Policy) {
        let budget = policy.retry().budget();
        if before.retry().budget() != budget {
            self.budget.replace(budget.map(Budget::new));
            self.slice.forget();
        }
    }

    /// Whether the first attempt of a call may be made. `unit` is chance, in `[0, 1)`.
    pub(crate) fn admits(&self, now: Moment, unit: f64) -> bool {
        self.budget.with(|budget| budget.as_ref().is_none_or(|budget| budget.admits(now, unit)))
    }

    /// An attempt has ended; `after`: how the one before it had, if it was a retry.
    pub(crate) fn ended(&self, now: Moment, outcome: Outcome, after: Option<Outcome>) {
        self.budget.with(|budget| {
            if let Some(budget) = budget {
                budget.ended(now, outcome, after);
            }
        });
    }
}

impl Dependency {
    /// A call begins: looks at the retry budget, where the time has come to.
    #[inline(always)]
    pub(crate) fn call_begins(&self, now: Moment) {
        if !self.budget().slice.holds(now) {
            self.look_at_budget(now);
        }
    }

    #[cold]
    fn look_at_budget(&self, now: Moment) {
        let RetryBudget { budget, slice } = self.budget();
        budget.with(|budget| match budget {
            Some(budget) => budget.look(now, || self.calls(), slice),
            None => slice.set_endless(),
        });
    }

    /// Whether the retry budget, if there is one, lets another attempt be made, which is counted then. `waits`: the call that asks
    /// is among those that wait. `after`: how the attempt before it has ended. `unit` is chance, in `[0, 1)`.
    pub(crate) fn try_retry(&self, now: Moment, waits: bool, after: (Outcome, f64)) -> bool {
        let calls = || self.calls() + u64::from(!waits);
        self.budget().budget.with(|budget| {
            budget.as_ref().is_none_or(|budget| budget.try_retry_among(calls, now, after))
        })
    }

    /// What the retry budget has seen, if there is one.
    pub(crate) fn budget_use(&self) -> Option<BudgetUse> {
        let now = self.now();
        self.budget()
            .budget
            .with(|budget| Some(budget.as_ref()?.usage_among(|| self.calls(), now)))
    }

    /// Calls so far: those that have ended, and those that wait for something. One that is being polled for the first time is in
    /// neither, nor is one whose answer has begun.
    fn calls(&self) -> u64 {
        let ended: u64 = self.methods.lock().iter().map(|(_, stats)| stats.ended()).sum();
        ended + self.begun_and_pending()
    }
}
