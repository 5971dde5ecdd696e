//! What is watched beside dependencies.

use std::fmt;

use crate::blocking::PoolView;

use super::limits::WatchedLimit;
use super::queues::WatchedQueue;

/// Limits in front of servers, queues and thread pools, each under its name.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Watched {
    /// The limits.
    pub limits: Vec<WatchedLimit>,
    /// The queues.
    pub queues: Vec<WatchedQueue>,
    /// Thread pools.
    pub pools: Vec<PoolView>,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits: Vec<_> = self.limits.iter().map(|(name, _)| name).collect();
        let queues: Vec<_> = self.queues.iter().map(|(name, _)| name).collect();
        let mut debug = f.debug_struct("Watched");
        debug.field("limits", &limits).field("queues", &queues).field("pools", &self.pools).finish()
    }
}
