//! Limits that all instances of a program keep to together: one limit over many machines.
//!
//! [`SharedLimits`] are asked about each request; a [`Store`] keeps them: [`Memory`], or `Redis` with the feature `redis`. The policy
//! file's `[limits.name]` describes them, and [`Seawall::limits`](crate::Seawall::limits) makes them. See the [guide] for which mode
//! to choose, and what happens when the store is away.

#[doc = include_str!("guide.md")]
pub mod guide {}

mod assemble;
mod board;
mod breakers;
mod builder;
mod counters;
mod deciding;
mod denied;
mod exact;
mod for_calls;
mod guarded;
mod layer;
mod leased;
mod limits;
mod members;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod request;
mod share;
mod store;
mod tending;

#[cfg(feature = "redis")]
pub use self::redis::{InvalidRedis, Redis, RedisBuilder, RedisHistory};
pub use crate::limit::{
    Mode, OnFailure, Per, SharedConfig, SharedConfigBuilder, SharedCounts, SharedLimit, StoreCounts,
};
pub(crate) use breakers::Watch;
pub use breakers::{SharedBreakers, SharedBreakersBuilder};
pub use builder::SharedLimitsBuilder;
pub(crate) use for_calls::CallTokens;
pub use guarded::GuardedStore;
pub(crate) use guarded::METHODS as STORE_METHODS;
pub use layer::DecidedBy;
pub use limits::{SharedDecision, SharedLimits};
pub(crate) use members::any_name;
pub use memory::Memory;
pub use request::Request;
pub use store::{
    BeatRequest, BoardReport, BoardStanding, BoardWord, Epoch, Granted, Lease, LeaseRequest,
    LimitKey, Membership, Prober, Store, StoreError, StoreFuture, StoredLimit, TakeRequest,
    Verdict, VerdictKind,
};

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests;
