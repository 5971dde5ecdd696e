//! Rate limiting: how many calls a dependency is sent, however many are asked for.

mod quota;
mod token_bucket;

pub use quota::{Builder, Config, MAX_REFILL_PER_SECOND, MIN_REFILL_PER_SECOND, Refusal};
pub use token_bucket::TokenBucket;

#[cfg(test)]
mod tests;
