//! Of what comes by the thousand, which are told of.

use once_cell::race::OnceBox;

use crate::clock::Moment;
use crate::error::RejectedBy;
use crate::event::Sampler;
use crate::outcome::Outcome;

const GUARDS: usize = RejectedBy::ALL.len();
const ATTEMPTS: usize = Outcome::ALL.len();

/// Which refusals, attempts and fallbacks are told of, as examples of many. Made by the first of them.
#[derive(Debug, Default)]
pub(super) struct Examples {
    refusals: OnceBox<[Sampler; GUARDS]>,
    others: OnceBox<Others>,
}

#[derive(Debug, Default)]
struct Others {
    failed: [Sampler; ATTEMPTS],
    fell_back: Sampler,
}

impl Examples {
    /// Those of this guard's refusals.
    #[inline]
    pub(super) fn refused(&self, by: RejectedBy) -> &Sampler {
        // In bounds: one for each.
        let refusals = match self.refusals.get() {
            Some(made) => made,
            None => self.first_refusal(),
        };
        &refusals[by.index()]
    }

    #[cold]
    fn first_refusal(&self) -> &[Sampler; GUARDS] {
        self.refusals.get_or_init(Box::default)
    }

    /// Those of the attempts that ended so.
    pub(super) fn failed(&self, outcome: Outcome, now: Moment) -> Option<u64> {
        // In bounds: one for each.
        self.others.get_or_init(Box::default).failed[outcome.index()].count(now)
    }

    /// Those of the fallbacks that answered.
    pub(super) fn fell_back(&self, now: Moment) -> Option<u64> {
        self.others.get_or_init(Box::default).fell_back.count(now)
    }
}
