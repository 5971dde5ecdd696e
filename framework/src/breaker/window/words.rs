//! What the breaker itself keeps of what its windows count.

use super::calls::Counts;
use super::usual_failures::LateUsual;
use crate::sync::{AtomicU64, Ordering};

pub(super) const GENERATION_SHIFT: u32 = 40;

/// What lies in the breaker itself, because every call looks at it: where it is in no cache, a pointer costs a look into memory.
#[derive(Clone, Copy, Debug)]
pub(in crate::breaker) struct Words<'a> {
    pub(in crate::breaker) run: &'a RunWord,
    pub(in crate::breaker) usual: &'a LateUsual,
    pub(in crate::breaker) counts: Counts<'a>,
}

/// Both runs, and the generation that they belong to.
#[derive(Debug, Default)]
pub(in crate::breaker) struct RunWord(pub(super) AtomicU64);

impl RunWord {
    /// Whether there is no run, in this generation: where nothing is counted in a row, too.
    #[inline]
    pub(in crate::breaker) fn is_none(&self, generation: u32) -> bool {
        self.0.load(Ordering::Acquire) == tag(generation)
    }

    pub(super) fn start(&self, generation: u32) {
        // A swap, not a store, though the old value is not needed: it stands after every count that was added before it,
        // which the model checker does not know of a store.
        self.0.swap(tag(generation), Ordering::AcqRel);
    }
}

pub(super) fn tag(generation: u32) -> u64 {
    u64::from(generation) << GENERATION_SHIFT
}
