//! What retries may cost in all, so that they cannot become the load themselves.

mod config;
mod share;
mod throttle;
mod tokens;
mod usage;
mod window;

use std::sync::Arc;

use crate::clock::Moment;
use crate::outcome::{Class, Outcome};

pub use config::{
    BudgetBuilder, BudgetConfig, BudgetMode, MAX_BUDGET_PER_SECOND, MAX_BUDGET_TOKENS,
    MAX_BUDGET_WINDOW, MIN_BUDGET_WINDOW,
};
use share::CallShare;
use throttle::Throttle;
use tokens::Tokens;
pub use usage::BudgetUse;

/// A retry budget, shared by its clones. What it goes by is its [`BudgetMode`].
///
/// A clock that goes back by up to a window is taken to stand still; by more than that, and the window starts afresh.
#[derive(Clone, Debug)]
pub struct Budget {
    mode: Mode,
    listens: bool,
}

#[derive(Clone, Debug)]
enum Mode {
    Share(Arc<CallShare>),
    Tokens(Arc<Tokens>),
    AcceptRatio(Arc<Throttle>),
    Unlimited,
}

impl Budget {
    /// An unspent budget.
    #[must_use]
    pub fn new(config: &BudgetConfig) -> Self {
        let mode = match config.mode() {
            BudgetMode::Share => Mode::Share(Arc::new(CallShare::new(config))),
            BudgetMode::Tokens => Mode::Tokens(Arc::new(Tokens::new(config))),
            BudgetMode::AcceptRatio => Mode::AcceptRatio(Arc::new(Throttle::new(config))),
        };
        Self { listens: !matches!(mode, Mode::Share(_)), mode }
    }

    /// One that lets every retry through.
    pub(crate) fn unlimited() -> Self {
        Self { mode: Mode::Unlimited, listens: false }
    }

    /// The same, that wants to be told how attempts end, because others go by that.
    pub(crate) fn listening(self) -> Self {
        Self { listens: true, ..self }
    }

    /// Notes that a call (not an attempt) begins. Whether the budget [listens](Self::listens).
    #[inline]
    pub fn call(&self, now: Moment) -> bool {
        if let Mode::Share(share) = &self.mode {
            share.call(now);
        }
        self.listens
    }

    /// Reserves one retry, before its backoff is waited for; `false` if the budget is spent. `after`: how the attempt before it
    /// has ended. `unit` is chance, in `[0, 1)`.
    ///
    /// A retry that is then not made (the caller left, the deadline came) stays reserved: the budget errs towards less load.
    #[must_use]
    pub fn try_retry(&self, now: Moment, after: Outcome, unit: f64) -> bool {
        match &self.mode {
            Mode::Unlimited => true,
            Mode::Share(share) => share.try_retry(now),
            Mode::Tokens(tokens) => tokens.try_retry(after),
            Mode::AcceptRatio(throttle) => throttle.admits(now, unit),
        }
    }

    /// Whether the first attempt of a call may be made: only [`BudgetMode::AcceptRatio`] ever says no. `unit` is chance, in
    /// `[0, 1)`.
    #[must_use]
    pub fn admits(&self, now: Moment, unit: f64) -> bool {
        match &self.mode {
            Mode::AcceptRatio(throttle) => throttle.admits(now, unit),
            Mode::Share(_) | Mode::Tokens(_) | Mode::Unlimited => true,
        }
    }

    /// Whether it goes by how attempts end, and has to be told by [`Budget::ended`].
    #[must_use]
    pub fn listens(&self) -> bool {
        self.listens
    }

    /// An attempt has ended. `after`: how the one before it had ended, if it was a retry.
    pub fn ended(&self, now: Moment, outcome: Outcome, after: Option<Outcome>) {
        match &self.mode {
            Mode::Share(_) | Mode::Unlimited => {}
            Mode::Tokens(tokens) => {
                if outcome.class() == Class::Success {
                    tokens.succeeded(after);
                }
            }
            Mode::AcceptRatio(throttle) => {
                throttle.ended(now, outcome.class() != Class::Failure);
            }
        }
    }

    /// What it has seen.
    #[must_use]
    pub fn usage(&self, now: Moment) -> BudgetUse {
        match &self.mode {
            Mode::Unlimited => BudgetUse::Unlimited,
            Mode::Share(share) => share.usage(now),
            Mode::Tokens(tokens) => tokens.usage(),
            Mode::AcceptRatio(throttle) => throttle.usage(now),
        }
    }
}
