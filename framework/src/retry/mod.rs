//! Retry: how often, after how long, and at whose expense a failed attempt is made again.

mod backoff;
mod budget;
mod config;
mod jitter;

pub use backoff::Backoff;
pub use budget::{
    Budget, BudgetBuilder, BudgetConfig, BudgetUse, MAX_BUDGET_PER_SECOND, MAX_BUDGET_WINDOW,
    MIN_BUDGET_WINDOW,
};
pub use config::{Builder, Config, MAX_ATTEMPTS, MAX_DELAY, MAX_FACTOR};
pub use jitter::Jitter;

#[cfg(test)]
mod tests;
