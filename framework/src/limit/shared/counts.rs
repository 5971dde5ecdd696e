//! What shared limits have done, for metrics.

/// What shared limits have done, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedCounts {
    /// Requests that the store has not decided in time.
    pub failures: u64,
    /// For how long it has not, in all, in nanoseconds: from each request that was not decided to the next that was.
    pub degraded_nanos: u64,
    /// Refusals that were given because an earlier one still held.
    pub remembered: u64,
    /// What is held of leases and not used, now.
    pub leased: u64,
    /// How many instances there are, as far as is known.
    pub instances: u64,
    /// What the store has done.
    pub store: StoreCounts,
}

/// What a store of shared limits has done, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCounts {
    /// Requests that it was sent.
    pub round_trips: u64,
    /// Scripts that it had forgotten, and was sent again.
    pub script_reloads: u64,
    /// Connections that were made.
    pub connections: u64,
}
