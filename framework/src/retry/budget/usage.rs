//! What a budget has seen, as data.

/// What a budget has seen.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum BudgetUse {
    /// Of a share of the calls, within its window.
    Share {
        /// Calls begun. Of a dependency: those that have ended, and those that wait for something.
        calls: u64,
        /// Retries reserved.
        retries: u64,
        /// Retries that are allowed in all.
        allowed: f64,
    },
    /// Of a store of tokens.
    Tokens {
        /// Tokens left.
        left: u64,
        /// Tokens at most.
        capacity: u64,
    },
    /// Of requests by those accepted, within its window.
    AcceptRatio {
        /// Requests that have ended, or were refused here.
        requests: u64,
        /// Of these, those whose answer was no failure.
        accepts: u64,
        /// The chance of the next to be refused, 0 to 1.
        refusing: f64,
    },
}
