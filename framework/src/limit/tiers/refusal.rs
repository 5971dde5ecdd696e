//! Why a user was refused.

use std::fmt;
use std::time::Duration;

use crate::limit::algorithm::Refusal;

/// What had not enough left for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierLimit {
    /// The user's own limit.
    User,
    /// His fair share of the cap: others who have had less of it go first.
    Share,
    /// The cap: there is nothing left for anybody.
    Cap,
}

impl fmt::Display for TierLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "the user's own limit",
            Self::Share => "the user's share of the cap",
            Self::Cap => "the cap",
        })
    }
}

/// A user was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{by}: {}", Refusal { retry_after: *retry_after })]
pub struct TierRefusal {
    /// What refused.
    pub by: TierLimit,
    /// How long until the same request would be allowed, if nobody else takes anything: exact for the
    /// user's own limit and for the cap, at the latest for his share. `None`: never, it asks for too
    /// much.
    pub retry_after: Option<Duration>,
}
