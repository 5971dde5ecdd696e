//! What a shutdown came to.

/// How a dependency's calls ended at shutdown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Which dependency.
    pub dependency: String,
    /// Calls that were still in flight when the limit was reached, and were ended. While a thread is busy
    /// inside a call that has never had to wait, this may be too low, but never zero.
    pub cancelled: u64,
}

/// What a shutdown came to.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Every dependency that there was, by name.
    pub dependencies: Vec<Drained>,
}

impl ShutdownReport {
    /// Whether every call in flight came to its own end.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.cancelled() == 0
    }

    /// Calls that had to be ended, in all.
    #[must_use]
    pub fn cancelled(&self) -> u64 {
        self.dependencies.iter().map(|drained| drained.cancelled).sum()
    }
}
