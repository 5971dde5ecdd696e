//! Rate limiting: how many calls a dependency is sent, however many are asked for.
//!
//! Five algorithms behind one trait, [`Algorithm`]; a [`RateLimiter`] is one of them with what it keeps of the past.
//! See the [guide] for which to choose and every setting.

#[doc = include_str!("guide.md")]
pub mod guide {}

mod algorithm;
mod any_algorithm;
mod fixed_window;
pub mod headers;
mod keyed;
mod layered;
mod leaky_bucket;
mod limiter;
mod metered;
mod pacer;
mod quota;
mod refill;
mod shared;
mod sliding_log;
mod sliding_window;
mod tiers;
mod token_bucket;
mod window;

pub use algorithm::{Algorithm, Decision, MAX_RESERVATION, Refusal};
pub use any_algorithm::{AnyAlgorithm, AnyState};
pub use fixed_window::{FixedWindow, WindowCount};
pub use keyed::{KeyedBuilder, KeyedConfig, KeyedLimiter, MAX_KEYS, OverflowGroup};
pub use layered::{LayerRefusal, Layered, LayeredBuilder, LayeredDecision, MAX_LAYERS};
pub use leaky_bucket::{LeakyBucket, Level};
pub use limiter::RateLimiter;
pub use metered::{LimitCounts, Meter, Metered};
pub use pacer::{MAX_HORIZON, Pacer, PacerBuilder, PacerConfig, Reservation};
pub use quota::{
    Config, MAX_REFILL_PER_SECOND, MAX_WINDOW, MIN_REFILL_PER_SECOND, MIN_WINDOW, Quota, Rate,
};
#[cfg(feature = "redis")]
pub(crate) use shared::is_name;
pub use shared::{
    MAX_SHARED_FILL, MAX_SHARED_LIMIT, MAX_SHARED_RATE, Mode, OnFailure, Per, SharedConfig,
    SharedConfigBuilder, SharedCounts, SharedLimit, StoreCounts,
};
pub use sliding_log::{Log, SlidingLog};
pub use sliding_window::{SlidingWindow, WindowCounts};
pub use tiers::{
    MAX_TIERS, MAX_WEIGHT, TierConfig, TierDecision, TierLimit, TierRefusal, Tiers, TiersBuilder,
    TiersConfig,
};
pub use token_bucket::{Bucket, TokenBucket};

#[cfg(all(test, seawall_loom))]
mod loom;
#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests;
