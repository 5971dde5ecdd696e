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
pub(super) struct Examples(OnceBox<Samplers>);

#[derive(Debug, Default)]
struct Samplers {
    refused: [Sampler; GUARDS],
    failed: [Sampler; ATTEMPTS],
    fell_back: Sampler,
}

impl Examples {
    #[inline]
    fn samplers(&self) -> &Samplers {
        match self.0.get() {
            Some(made) => made,
            None => self.make(),
        }
    }

    #[cold]
    fn make(&self) -> &Samplers {
        self.0.get_or_init(Box::default)
    }

    /// Those of this guard's refusals.
    #[inline]
    pub(super) fn refused(&self, by: RejectedBy) -> &Sampler {
        // In bounds: one for each.
        &self.samplers().refused[by.index()]
    }

    /// Those of the attempts that ended so.
    pub(super) fn failed(&self, outcome: Outcome, now: Moment) -> Option<u64> {
        // In bounds: one for each.
        self.samplers().failed[outcome.index()].count(now)
    }

    /// Those of the fallbacks that answered.
    pub(super) fn fell_back(&self, now: Moment) -> Option<u64> {
        self.samplers().fell_back.count(now)
    }
}
