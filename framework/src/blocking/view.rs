//! A pool as metrics see it.

use std::fmt;
use std::sync::Arc;

use crate::error::DependencyName;

use super::PoolCounts;
use super::workers::Workers;

/// What metrics read of a pool: see `Seawall::watch_pool`. It does not keep the threads alive.
#[derive(Clone)]
pub struct PoolView(Arc<Workers>);

impl PoolView {
    pub(super) fn new(workers: Arc<Workers>) -> Self {
        Self(workers)
    }

    /// The pool's name.
    #[must_use]
    pub fn name(&self) -> &DependencyName {
        self.0.name()
    }

    /// How many threads it has; none once they have ended.
    #[must_use]
    pub fn threads(&self) -> u32 {
        if self.0.has_ended() { 0 } else { self.0.threads() }
    }

    /// Every count, taken at one moment.
    #[must_use]
    pub fn counts(&self) -> PoolCounts {
        self.0.counts()
    }

    /// Whether its last thread has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.has_ended()
    }
}

impl fmt::Debug for PoolView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolView")
            .field("name", self.name())
            .field("counts", &self.counts())
            .finish()
    }
}
