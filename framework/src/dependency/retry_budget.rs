//! A dependency's retry budget: calls are not counted for it, but taken from what the metrics count.

use crate::clock::Moment;
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::retry::{Budget, KnownSlice};
use crate::swappable::Swappable;

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

    /// Whether a call that begins now has to look.
    #[inline(always)]
    pub(super) fn is_due(&self, now: Moment) -> bool {
        !self.slice.holds(now)
    }

    /// A call begins that has to look. `calls`: those before it.
    pub(super) fn look(&self, now: Moment, calls: impl FnOnce() -> u64) {
        self.budget.with(|budget| match budget {
            Some(budget) => budget.look(now, calls, &self.slice),
            None => self.slice.set_endless(),
        });
    }

    /// Whether another attempt may be made, which is counted then. `calls`: those so far. `after`: how the attempt before it has
    /// ended. `unit` is chance, in `[0, 1)`.
    pub(super) fn try_retry(
        &self,
        calls: impl FnOnce() -> u64,
        now: Moment,
        (after, unit): (Outcome, f64),
    ) -> bool {
        self.budget.with(|budget| {
            budget.as_ref().is_none_or(|it| it.try_retry_among(calls, now, (after, unit)))
        })
    }

    /// What it has seen, if there is one.
    #[cfg(any(test, feature = "simulation"))]
    pub(super) fn usage(
        &self,
        calls: impl FnOnce() -> u64,
        now: Moment,
    ) -> Option<crate::retry::BudgetUse> {
        self.budget.with(|budget| Some(budget.as_ref()?.usage_among(calls, now)))
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
