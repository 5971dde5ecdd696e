//! What a window counts, and what it tells of a call that it has counted.

/// Failures and slow calls out of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::breaker) struct Tally {
    pub(in crate::breaker) calls: u64,
    pub(in crate::breaker) failures: u64,
    pub(in crate::breaker) slow: u64,
}

/// What is held against a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::breaker) struct Mark {
    pub(in crate::breaker) failed: bool,
    /// Never set where slow calls do not count.
    pub(in crate::breaker) slow: bool,
    /// It failed by running out of time.
    pub(in crate::breaker) timed_out: bool,
}

impl Mark {
    #[inline]
    pub(super) fn run_end(self) -> RunEnd {
        match (self.failed, self.timed_out) {
            (false, _) => RunEnd::Good,
            (true, false) => RunEnd::Failed,
            (true, true) => RunEnd::TimedOut,
        }
    }

    #[inline]
    pub(super) fn is_bad(self) -> bool {
        self.failed || self.slow
    }
}

/// What came of counting a good call in a hurry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::breaker) enum Noted {
    /// It is counted, and changes nothing else.
    Quietly,
    /// It is counted, under this number, and may complete the window.
    AmongBad(u64),
    /// It is not counted.
    Not,
}

/// What an attempt's end means to the two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::breaker) enum RunEnd {
    /// A good answer.
    Good,
    /// An answer that counts against the dependency.
    Failed,
    /// No answer, though there was time for one.
    TimedOut,
    /// An answer that says nothing of its health.
    Neutral,
    /// Its caller went away before there was an answer.
    Abandoned,
}

impl RunEnd {
    pub(super) fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

/// Why a breaker may have to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::breaker) enum Suspicion {
    /// So many failures in a row.
    Run {
        failures: u32,
        needed: u32,
    },
    /// So many attempts without an answer in a row.
    Unanswered {
        attempts: u32,
        needed: u32,
    },
    Rates,
    Adaptive,
}
