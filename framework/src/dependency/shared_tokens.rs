//! A rate limit that other instances of the program take from, too.

use std::fmt;

use crate::clock::Moment;
use crate::limit::Refusal;

/// Gives tokens beside the dependency's own limiter. It never waits.
pub(crate) trait SharedTokens: fmt::Debug + Send + Sync {
    /// Takes one.
    fn try_take(&self, now: Moment) -> Result<(), Refusal>;
    /// Gives one back that was not used.
    fn give_back(&self, now: Moment);
}
