//! Of what comes by the thousand, which are told of.

use crate::clock::Moment;
use crate::event::Sampler;
use crate::outcome::Outcome;

/// Which attempts and fallbacks are told of, as examples of many.
#[derive(Debug, Default)]
pub(super) struct Examples {
    failed: [Sampler; Outcome::ALL.len()],
    pub(super) fell_back: Sampler,
}

impl Examples {
    pub(super) fn failed(&self, outcome: Outcome, now: Moment) -> Option<u64> {
        // In bounds: one for each.
        self.failed[outcome.index()].count(now)
    }
}
