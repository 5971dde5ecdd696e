//! Why a user was refused.

use std::fmt;
use std::time::Duration;

use crate::limit::algorithm::Refusal;

/// What had not enough left for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TierLimit {
    /// The user's own limit.
    User,
    /// Its fair share of the cap: others who have had less of it go first.
    FairShare,
    /// The cap: there is nothing left for anybody.
    Cap,
}

impl fmt::Display for TierLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "the user's own limit",
            Self::FairShare => "the user's share of the cap",
            Self::Cap => "the cap",
        })
    }
}

/// A user was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{by}: {}", Refusal { retry_after: *retry_after })]
#[non_exhaustive]
pub struct TierRefusal {
    /// What refused.
    pub by: TierLimit,
    /// How long until the same request would be allowed, if nobody else takes anything: by its own limit, its
    /// share and the cap, whichever of them refused. Exact where it has its share; where it has not, at the
    /// latest: when nobody is held to one any more. `None`: never, it asks for more than its tier or the cap
    /// ever holds.
    pub retry_after: Option<Duration>,
}
