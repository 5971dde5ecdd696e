//! Retry bridges failures that pass by themselves: a connection that was reset, a server that restarts.
//!
//! A method is retried only if its author marked it `#[call(idempotent)]`. How often, after how long and at whose expense is the
//! policy's: `max_attempts`, exponential backoff with jitter, and a budget that bounds what retries may add to the load. A retry that
//! would have no fair share of its timeout left is not begun, and one that the server asked to come later does. See the [guide].

#[doc = include_str!("guide.md")]
pub mod guide {}

mod backoff;
mod budget;
mod config;
mod delays;
mod hedge;
mod jitter;

pub use backoff::Backoff;
pub(crate) use budget::KnownSlice;
pub use budget::{
    Budget, BudgetBuilder, BudgetConfig, BudgetMode, BudgetUse, MAX_BUDGET_PER_SECOND,
    MAX_BUDGET_TOKENS, MAX_BUDGET_WINDOW, MIN_BUDGET_WINDOW,
};
pub use config::{Builder, Config, MAX_ATTEMPTS, MAX_DELAY, MAX_FACTOR};
pub use delays::Delays;
pub(crate) use delays::Progress;
pub use hedge::{HedgeBuilder, HedgeConfig, MAX_HEDGES};
pub use jitter::Jitter;

#[cfg(test)]
mod tests;
