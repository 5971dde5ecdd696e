//! What an admitted attempt holds, what its outcome is worth, and what a refused one is told.

use std::fmt;
use std::time::Duration;

use super::word::Word;

/// An attempt is admitted. Hand it back to [`CircuitBreaker::record`](super::CircuitBreaker::record): a probe's place comes back
/// with it, or else when the probe life is over.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an admission that is never recorded holds its probe place until the probe life is over"]
pub struct Admission(Leave);

impl Admission {
    pub(super) fn new(leave: Leave) -> Self {
        Self(leave)
    }

    #[inline]
    pub(super) fn into_leave(self) -> Leave {
        self.0
    }

    /// Whether this attempt finds out if the dependency has recovered.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.0.is_probe()
    }
}

/// The breaker refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotAdmitted {
    /// When it will let a probe through. `None`: held open by hand, all probes are out, or a slow start lets
    /// only a share of the calls through.
    pub retry_after: Option<Duration>,
}

/// The word of an admission, for those who see to it themselves that it is recorded once: a call's lease copies it in place.
///
/// One word, so that it is written and read at once wherever it is moved to: generation (32 bits), whether an
/// observing breaker would have refused it, and 0, 1 or a probe's ticket + 2.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "it holds its probe place until it is recorded, or the probe life is over"]
pub(crate) struct Leave(u64);

/// What an attempt's outcome is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It goes into the closed window.
    Counted,
    /// Nothing: the breaker is told not to look, or would have refused it and only observes.
    Uncounted,
    /// It decides whether the breaker closes, as long as the probe with this ticket has its place.
    Probe(u32),
}

/// Only an observing breaker would have let it in.
const WITHHELD: u32 = 1 << 31;
const COUNTED: u32 = 0;
const UNCOUNTED: u32 = 1;
const FIRST_PROBE: u32 = 2;

/// How many tickets there are: what there is room for beside the rest.
pub(super) const TICKETS: u32 = WITHHELD - FIRST_PROBE;

impl Leave {
    pub(crate) fn is_probe(self) -> bool {
        matches!(self.kind(), Kind::Probe(_))
    }

    /// Leave for nothing: what stands where there is none yet.
    #[inline]
    pub(crate) fn none() -> Self {
        Self(u64::from(UNCOUNTED))
    }

    #[inline]
    fn new(word: Word, low: u32) -> Self {
        Self(u64::from(word.generation()) << 32 | u64::from(low))
    }

    pub(super) fn counted(word: Word) -> Self {
        Self::new(word, COUNTED)
    }

    pub(super) fn uncounted(word: Word) -> Self {
        Self::new(word, UNCOUNTED)
    }

    pub(super) fn probe(word: Word, ticket: u32) -> Self {
        Self::new(word, ticket % TICKETS + FIRST_PROBE)
    }

    /// Whether it goes into the closed window.
    #[inline]
    pub(super) fn is_counted(self) -> bool {
        self.0 as u32 == COUNTED
    }

    /// The same, of an attempt that would have been refused.
    pub(super) fn withheld(self) -> Self {
        Self(self.0 | u64::from(WITHHELD))
    }

    /// Whether the breaker would have refused it, had it not been told only to observe.
    pub(crate) fn is_withheld(self) -> bool {
        self.0 as u32 & WITHHELD != 0
    }

    /// Whether nothing at all comes of it: it is let in by hand, or withheld.
    pub(crate) fn is_uncounted(self) -> bool {
        self.kind() == Kind::Uncounted
    }

    #[inline]
    pub(super) fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(super) fn kind(self) -> Kind {
        match self.0 as u32 & !WITHHELD {
            COUNTED => Kind::Counted,
            UNCOUNTED => Kind::Uncounted,
            probe => Kind::Probe(probe - FIRST_PROBE),
        }
    }
}

impl fmt::Debug for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leave")
            .field("generation", &self.generation())
            .field("kind", &self.kind())
            .finish()
    }
}
