//! What retries may cost in all, so that they cannot become the load themselves.

mod config;
mod known_slice;
mod share;
mod throttle;
mod tokens;
mod usage;
mod window;

use std::sync::Arc;

use once_cell::race::OnceBox;

use crate::clock::Moment;
use crate::outcome::{Class, Outcome};
use crate::striped::{Counter, Striped};

pub use config::{
    BudgetBuilder, BudgetConfig, BudgetMode, MAX_BUDGET_PER_SECOND, MAX_BUDGET_TOKENS,
    MAX_BUDGET_WINDOW, MIN_BUDGET_WINDOW,
};
pub(crate) use known_slice::KnownSlice;
use share::CallShare;
use throttle::Throttle;
use tokens::Tokens;
pub use usage::BudgetUse;

/// A retry budget, shared by its clones. What it goes by is its [`BudgetMode`].
///
/// A clock that goes back by up to a window is taken to stand still; by more than that, and the window starts afresh.
#[derive(Clone, Debug)]
pub struct Budget(Mode);

#[derive(Clone, Debug)]
enum Mode {
    Share(Arc<Share>),
    Tokens(Arc<Tokens>),
    AcceptRatio(Arc<Throttle>),
}

#[derive(Debug)]
struct Share {
    of_calls: CallShare,
    /// Those that it is told of. A dependency has counted its calls already.
    calls: OnceBox<Striped<Counter>>,
    slice: KnownSlice,
}

impl Budget {
    /// An unspent budget.
    #[must_use]
    pub fn new(config: &BudgetConfig) -> Self {
        Self(match config.mode() {
            BudgetMode::Share => Mode::Share(Arc::new(Share {
                of_calls: CallShare::new(config),
                calls: OnceBox::new(),
                slice: KnownSlice::unknown(),
            })),
            BudgetMode::Tokens => Mode::Tokens(Arc::new(Tokens::new(config))),
            BudgetMode::AcceptRatio => Mode::AcceptRatio(Arc::new(Throttle::new(config))),
        })
    }

    /// Notes that a call (not an attempt) begins. Whether the budget [listens](Self::listens).
    #[inline]
    pub fn call(&self, now: Moment) -> bool {
        let Mode::Share(share) = &self.0 else { return true };
        if !share.slice.holds(now) {
            self.look(now, || self.own_calls(), &share.slice);
        }
        let (calls, owner) = share.calls.get_or_init(Box::default).mine();
        calls.add(1, owner);
        false
    }

    /// A call begins that is counted elsewhere, in a slice that is not `known` yet. `calls`: those before it.
    #[cold]
    pub(crate) fn look(&self, now: Moment, calls: impl FnOnce() -> u64, known: &KnownSlice) {
        match &self.0 {
            Mode::Share(share) => known.set(share.of_calls.look(now, calls())),
            Mode::Tokens(_) | Mode::AcceptRatio(_) => known.set_endless(),
        }
    }

    fn own_calls(&self) -> u64 {
        match &self.0 {
            Mode::Share(share) => {
                share.calls.get().map_or(0, |calls| calls.iter().map(Counter::get).sum())
            }
            Mode::Tokens(_) | Mode::AcceptRatio(_) => 0,
        }
    }

    /// Reserves one retry, before its backoff is waited for; `false` if the budget is spent. `after`: how the attempt before it
    /// has ended. `unit` is chance, in `[0, 1)`.
    ///
    /// A retry that is then not made (the caller left, the deadline came) stays reserved: the budget errs towards less load.
    #[must_use]
    pub fn try_retry(&self, now: Moment, after: Outcome, unit: f64) -> bool {
        self.try_retry_among(|| self.own_calls(), now, (after, unit))
    }

    /// The same, where calls are counted elsewhere.
    pub(crate) fn try_retry_among(
        &self,
        calls: impl FnOnce() -> u64,
        now: Moment,
        (after, unit): (Outcome, f64),
    ) -> bool {
        match &self.0 {
            Mode::Share(share) => share.of_calls.try_retry(now, calls()),
            Mode::Tokens(tokens) => tokens.try_retry(after),
            Mode::AcceptRatio(throttle) => throttle.admits(now, unit),
        }
    }

    /// Whether the first attempt of a call may be made: only [`BudgetMode::AcceptRatio`] ever says no. `unit` is chance, in
    /// `[0, 1)`.
    #[must_use]
    pub fn admits(&self, now: Moment, unit: f64) -> bool {
        match &self.0 {
            Mode::AcceptRatio(throttle) => throttle.admits(now, unit),
            Mode::Share(_) | Mode::Tokens(_) => true,
        }
    }

    /// Whether it goes by how attempts end, and has to be told by [`Budget::ended`].
    #[must_use]
    pub fn listens(&self) -> bool {
        !matches!(self.0, Mode::Share(_))
    }

    /// An attempt has ended. `after`: how the one before it had ended, if it was a retry.
    pub fn ended(&self, now: Moment, outcome: Outcome, after: Option<Outcome>) {
        match &self.0 {
            Mode::Share(_) => {}
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
        self.usage_among(|| self.own_calls(), now)
    }

    /// The same, where calls are counted elsewhere.
    pub(crate) fn usage_among(&self, calls: impl FnOnce() -> u64, now: Moment) -> BudgetUse {
        match &self.0 {
            Mode::Share(share) => share.of_calls.usage(now, calls()),
            Mode::Tokens(tokens) => tokens.usage(),
            Mode::AcceptRatio(throttle) => throttle.usage(now),
        }
    }
}
