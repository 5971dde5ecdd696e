//! Retries from a store of tokens that good answers fill.

use super::config::BudgetConfig;
use super::usage::BudgetUse;
use crate::outcome::Outcome;
use crate::sync::{AtomicU64, Ordering};

/// The retry quota of the AWS SDKs' standard mode ("Retry behavior", AWS SDKs and Tools Reference Guide): a retry takes
/// `retry_cost` tokens, or `timeout_cost` after a timeout. A good answer gives back what the retry that brought it has cost, or
/// one token if it took no retry. While a dependency gives no good answers, retries end.
#[derive(Debug)]
pub(super) struct Tokens {
    capacity: u64,
    retry_cost: u64,
    timeout_cost: u64,
    left: AtomicU64,
}

impl Tokens {
    pub(super) fn new(config: &BudgetConfig) -> Self {
        let capacity = u64::from(config.tokens());
        Self {
            capacity,
            retry_cost: config.retry_cost().into(),
            timeout_cost: config.timeout_cost().into(),
            left: AtomicU64::new(capacity),
        }
    }

    fn cost(&self, after: Outcome) -> u64 {
        if after == Outcome::TimedOut { self.timeout_cost } else { self.retry_cost }
    }

    pub(super) fn try_retry(&self, after: Outcome) -> bool {
        let cost = self.cost(after);
        let take = |left: u64| left.checked_sub(cost);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// A good answer. `after`: how the attempt before it had ended, if it is that of a retry.
    pub(super) fn succeeded(&self, after: Option<Outcome>) {
        let back = after.map_or(1, |after| self.cost(after));
        let give = |left: u64| (left < self.capacity).then(|| (left + back).min(self.capacity));
        // `Err`: it is full, which is most of the time, and nothing is written.
        let _full = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, give);
    }

    pub(super) fn usage(&self) -> BudgetUse {
        BudgetUse::Tokens { left: self.left.load(Ordering::Relaxed), capacity: self.capacity }
    }
}

#[cfg(all(test, seawall_loom))]
mod loom {
    use std::sync::Arc;

    use ::loom::thread;

    use super::*;
    use crate::sync::model;

    /// Two retries and a good answer for as many tokens as one retry takes: with the token of the answer it is still one.
    #[test]
    fn loom_tokens_are_taken_once() {
        model("tokens are taken once", || {
            let config = BudgetConfig::builder().mode(crate::retry::BudgetMode::Tokens);
            let config = config.tokens(5).retry_cost(5).timeout_cost(5).build().unwrap();
            let tokens = Arc::new(Tokens::new(&config));
            let other = {
                let tokens = Arc::clone(&tokens);
                thread::spawn(move || {
                    tokens.succeeded(None);
                    tokens.try_retry(Outcome::Failure)
                })
            };
            let granted =
                u64::from(tokens.try_retry(Outcome::Failure)) + u64::from(other.join().unwrap());
            assert_eq!(granted, 1);
            assert!(
                tokens.left.load(Ordering::Relaxed) <= 1,
                "the token of the answer, if it came after the retry"
            );
        });
    }
}
