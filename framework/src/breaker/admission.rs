//! Leave for an attempt, and what its outcome is worth.

use std::fmt;

use super::word::Word;

/// Leave for one attempt. Hand it back to [`CircuitBreaker::record`](super::CircuitBreaker::record) exactly once.
///
/// One word, so that it is written and read at once wherever it is moved to: generation (32 bits), whether it is
/// [`WITHHELD`], kind (2 bits).
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "an admission that is never recorded holds its probe place until the probe life is over"]
pub struct Admission(u64);

/// What an attempt's outcome is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It goes into the closed window.
    Counted,
    /// It decides whether the breaker closes.
    Probe,
    /// Nothing: the breaker is told not to look, or would have refused it and only observes.
    Uncounted,
}

/// Only an observing breaker would have let it in.
const WITHHELD: u64 = 1 << 2;

impl Admission {
    /// Whether this attempt finds out if the dependency has recovered.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.kind() == Kind::Probe
    }

    #[inline]
    fn new(generation: u32, kind: Kind) -> Self {
        Self(u64::from(generation) << 32 | kind as u64)
    }

    pub(super) fn counted(word: Word) -> Self {
        Self::new(word.generation(), Kind::Counted)
    }

    pub(super) fn probe(word: Word) -> Self {
        Self::new(word.generation(), Kind::Probe)
    }

    pub(super) fn uncounted(word: Word) -> Self {
        Self::new(word.generation(), Kind::Uncounted)
    }

    /// The same, of an attempt that would have been refused.
    pub(super) fn withheld(self) -> Self {
        Self(self.0 | WITHHELD)
    }

    /// Whether the breaker would have refused it, had it not been told only to observe.
    pub(crate) fn is_withheld(self) -> bool {
        self.0 & WITHHELD != 0
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
        match self.0 as u32 & 3 {
            0 => Kind::Counted,
            1 => Kind::Probe,
            // 2, and nothing else is ever written.
            _ => Kind::Uncounted,
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("generation", &self.generation())
            .field("kind", &self.kind())
            .finish()
    }
}
