//! A dependency's retry budget: calls are not counted for it, but taken from what the metrics count.

use std::sync::Arc;

use once_cell::race::OnceBox;

use crate::clock::Moment;
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::retry::{Budget, KnownSlice};
use crate::swappable::Swappable;

/// What its retries may cost, if its policy says.
pub(crate) struct RetryBudget {
    wanted: Swappable<Wanted>,
}

/// The budget that a policy wants; made by the first call.
struct Wanted {
    policy: Arc<Policy>,
    budget: OnceBox<Budget>,
}

impl Wanted {
    fn by(policy: &Arc<Policy>) -> Self {
        Self { policy: Arc::clone(policy), budget: OnceBox::new() }
    }

    fn budget(&self) -> Option<&Budget> {
        let config = self.policy.retry().budget()?;
        Some(self.budget.get_or_init(|| Box::new(Budget::new(config))))
    }
}

impl RetryBudget {
    pub(super) fn new(policy: &Arc<Policy>) -> Self {
        Self { wanted: Swappable::new(Wanted::by(policy)) }
    }

    /// Begins anew, if it is to be another. `known`: the slice that calls know of.
    pub(super) fn reload(&self, before: &Policy, policy: &Arc<Policy>, known: &KnownSlice) {
        if before.retry().budget() != policy.retry().budget() {
            self.wanted.replace(Wanted::by(policy));
            known.forget();
        }
    }

    fn with<R>(&self, ask: impl FnOnce(Option<&Budget>) -> R) -> R {
        self.wanted.with(|wanted| ask(wanted.budget()))
    }

    /// A call begins, in a slice that is not `known` yet. `calls`: those before it.
    pub(super) fn look(&self, now: Moment, calls: impl FnOnce() -> u64, known: &KnownSlice) {
        self.with(|budget| match budget {
            Some(budget) => budget.look(now, calls, known),
            None => known.set_endless(),
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
        self.with(|budget| budget.is_none_or(|it| it.try_retry_among(calls, now, (after, unit))))
    }

    /// What it has seen, if there is one.
    #[cfg(any(test, feature = "simulation"))]
    pub(super) fn usage(
        &self,
        calls: impl FnOnce() -> u64,
        now: Moment,
    ) -> Option<crate::retry::BudgetUse> {
        self.with(|budget| Some(budget?.usage_among(calls, now)))
    }

    /// Whether the first attempt of a call may be made. `unit` is chance, in `[0, 1)`.
    pub(crate) fn admits(&self, now: Moment, unit: f64) -> bool {
        self.with(|budget| budget.is_none_or(|budget| budget.admits(now, unit)))
    }

    /// An attempt has ended; `after`: how the one before it had, if it was a retry.
    pub(crate) fn ended(&self, now: Moment, outcome: Outcome, after: Option<Outcome>) {
        self.with(|budget| {
            if let Some(budget) = budget {
                budget.ended(now, outcome, after);
            }
        });
    }
}
