//! What happens to a newcomer when the line is full.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// How long [`Strategy::Block`] lets a newcomer wait for room unless told otherwise: 30 s.
pub const DEFAULT_BLOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// What happens to a newcomer when the line is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Strategy {
    /// The newcomer waits for room, first come first served: for work that must not be lost.
    Block {
        /// How long it may wait for room; 1 ms to 30 days, default 30 s. The queue itself reads no
        /// clock: the holder of the [`ItemKey`](super::ItemKey) removes the entry when its time is up.
        timeout: Duration,
    },
    /// The oldest entry is dropped and the newcomer gets in: for work that goes stale.
    DropOldest,
    /// The newcomer is dropped: for work that may be lost.
    DropNewest,
    /// The newcomer is refused, and told so.
    Error,
}

impl Strategy {
    /// The name that policy files and metrics use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block { .. } => "block",
            Self::DropOldest => "drop_oldest",
            Self::DropNewest => "drop_newest",
            Self::Error => "error",
        }
    }

    /// How long a newcomer may wait for room; `None` where none ever waits.
    #[must_use]
    pub const fn block_timeout(self) -> Option<Duration> {
        match self {
            Self::Block { timeout } => Some(timeout),
            Self::DropOldest | Self::DropNewest | Self::Error => None,
        }
    }
}

impl Default for Strategy {
    /// Blocks for 30 s.
    fn default() -> Self {
        Self::Block { timeout: DEFAULT_BLOCK_TIMEOUT }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
