//! What a window counts, and what it tells of a call that it has counted.

use super::consecutive::RunEnd;

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
