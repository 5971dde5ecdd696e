//! A rate limit in front of an HTTP service: a tower `Layer`, which is axum middleware too.
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # fn app() -> Result<axum::Router, seawall::constraint::InvalidSettings> {
//! use axum::{Router, routing::get};
//! use seawall::clock::Clock;
//! use seawall::layer::RateLimitLayer;
//! use seawall::limit::{Config, RateLimiter, AnyAlgorithm, headers::QuotaPolicy};
//!
//! let config = Config::token_bucket(200, 100.0)?;
//! let limiter = RateLimiter::new(AnyAlgorithm::new(&config), Clock::system().now());
//! let layer = RateLimitLayer::new(limiter).policy(QuotaPolicy::of("api", &config)?).exempt_path("/health");
//! let app = Router::new().route("/", get(|| async { "hello" })).layer(layer);
//! # Ok(app)
//! # }
//! ```
//!
//! # More requests than can be served
//!
//! [`ProtectLayer`] is the other guard of a server: it lets in as many requests at once as the server can answer in time, the most
//! important first. Around it a rate limit, it is what "rate limiting + backpressure = protected server" means.
//!
//! # What a client sees
//!
//! On every answer, allowed or refused: `X-RateLimit-Limit`, `-Remaining`, `-Reset` (a point in time unless
//! [`ResetStyle::Delta`] is asked for), `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-11). A refused one is `429 Too Many Requests` with a `Retry-After` that is
//! honest: a client that waits that long passes, if no other was faster. Its body is `application/problem+json`
//! (RFC 9457) of the draft's type `quota-exceeded`, and says nothing that the client has sent.
//!
//! A request that costs more than the limiter ever holds gets no `Retry-After`: it would never pass.
//!
//! # Several limits: layers, and tiers
//!
//! [`Layers`] are limits from the widest to the narrowest: a request passes all of them, or is refused and has taken
//! nothing from any. `RateLimit-Policy` lists all of their policies. On an allowed answer the other fields are those of the
//! layer with the least left; on a refusal those of the widest layer that refuses, with the time when *all* would
//! pass. The body's `violated-policies` names every layer that refuses.
//!
//! ```
//! use seawall::clock::Clock;
//! use seawall::layer::{Key, Layers, RateLimitLayer, Unkeyed};
//! use seawall::limit::Config;
//!
//! // 10,000 a second in all, 100 a minute for each user, 10 a second for each endpoint, 2 a second for each user there.
//! let user = Key::header("x-user".parse()?); // set by the code that has authenticated the request
//! let layers = Layers::builder(Clock::system().now())
//!     .all("global", &Config::token_bucket(10_000, 10_000.0)?)
//!     .each("user", user.clone(), &Config::token_bucket(100, 100.0 / 60.0)?)
//!     .unkeyed(Unkeyed::Refuse)
//!     .each("endpoint", Key::path_template(), &Config::token_bucket(10, 10.0)?)
//!     .each("user-endpoint", user.and(Key::path_template()), &Config::token_bucket(2, 2.0)?)
//!     .build()?;
//! let layer = RateLimitLayer::new(layers);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`PerTier`] gives each user the limit of the user's tier, under one cap that all share; which tier that is, the application says
//! at each request, from the request or from what it knows of the user. `RateLimit-Policy` lists the tier's policy
//! and the cap's, and the fields go by whichever has the least left for it, or refuses.
//!
//! ```
//! use std::sync::Arc;
//! use seawall::clock::Clock;
//! use seawall::layer::{Key, KeyValue, PerTier, RateLimitLayer};
//! use seawall::limit::{Rate, TierConfig, Tiers, TiersConfig};
//!
//! /// Put among the request's extensions by the code that has authenticated it.
//! #[derive(Clone)]
//! struct Account { id: String, plan: String }
//!
//! let config = TiersConfig::builder(Rate::new(1_000, 1_000.0)?)
//!     .tier("free", Rate::new(10, 1.0)?)
//!     .tier("premium", TierConfig::new(Rate::new(200, 50.0)?).weighing(3))
//!     .build()?;
//! let tiers = Arc::new(Tiers::<KeyValue>::new(config, Clock::system().now()));
//! let user = Key::function(|head| Some(head.extensions.get::<Account>()?.id.as_str().into()));
//! let per_tier = PerTier::new(Arc::clone(&tiers), "all-users", user, |head, _user| {
//!     head.extensions.get::<Account>().map_or("free", |account| &account.plan).into()
//! })?;
//! let layer = RateLimitLayer::new(per_tier);
//! // At any time: from the next request on.
//! tiers.set_tier("free", Rate::new(20, 2.0)?)?;
//! # Ok::<(), seawall::constraint::InvalidSettings>(())
//! ```
//!
//! If the inner service has set fields of the same names (another limit further in), both limits stand in
//! `RateLimit` and `RateLimit-Policy`, which are lists; of the `X-RateLimit-` fields, which hold one, the tighter limit's
//! stay. A `Retry-After` of the inner service is never touched. Call them by different names ([`RateLimitLayer::policy`]), so that
//! a client can tell which is which.
//!
//! # One limit on many servers
//!
//! [`Shared`] puts [`SharedLimits`](crate::distributed::SharedLimits) in front of a service: limits that all instances of a program keep
//! to together, through Redis. The policy file's `[limits.name]` describes them.
//!
//! # Whom it counts
//!
//! One limiter for all ([`RateLimiter`](crate::limit::RateLimiter) is a [`Limit`]), one for each [`Key`]
//! ([`PerKey`]), several in [`Layers`], or one by tier ([`PerTier`]). Every method counts, `HEAD` as `GET` does (its refusal
//! has no body). So do the `OPTIONS` of a browser's preflight: put a CORS layer outside of this one, which answers them
//! first, or exempt them; and let it expose the rate-limit fields, or scripts do not see them.
//!
//! # Answers to refused requests
//!
//! The layer stands in front of any service, whatever the type of its body; see [`ResponseBody`]. A gRPC request
//! (`content-type: application/grpc…`) is refused in gRPC: HTTP status 200, `grpc-status: 8` (`RESOURCE_EXHAUSTED`) and
//! `grpc-retry-pushback-ms`. To answer in another way, give a [`Responder`] to [`RateLimitLayer::responder`].
//!
//! A refused upload: the refusal is sent while the client may still be sending its body. HTTP/1.1 servers then close the
//! connection, and a client that has not read the answer by then sees a reset. Have clients send large bodies with
//! `Expect: 100-continue`, or put a body limit outside of this layer.
//!
//! # What counts
//!
//! Requests are counted when they come in, and count whatever becomes of them, unless [`RateLimitLayer::count_if`] says
//! otherwise: dropping the answer's future gives nothing back. The inner service is not called for a refused request. It was polled ready for it, though: a layer further in
//! that reserves a place in `poll_ready` holds that place until the next request, or until the clone is dropped.
//!
//! A panic in a key's, a tier's or an exemption's function goes on to the caller, and nothing is left locked or taken: all
//! keys of a request are found before anything is taken, each once.

mod address;
mod body;
mod counting;
mod deadline;
mod error;
mod future;
mod headers;
mod key;
#[expect(clippy::module_inception, reason = "the same nouns as in tower's own folders")]
mod layer;
mod layers;
mod limit;
mod policies;
mod protect;
mod responder;
mod service;
mod settings;
mod shared;
mod tiers;

pub use address::{Network, Proxies};
pub use body::ResponseBody;
pub use counting::Taken;
pub use deadline::{DeadlineLayer, WithDeadline};
pub use error::Problem;
pub use future::ResponseFuture;
pub use key::{Head, Key, KeyValue, MAX_KEY_BYTES, Peer};
pub use layer::RateLimitLayer;
pub use layers::{Layers, LayersBuilder};
pub use limit::{Answer, KeyedCheck, Limit, PerKey, Unkeyed};
pub use policies::Policies;
pub(crate) use protect::METHOD as PROTECTED_METHOD;
pub use protect::{ProtectLayer, Protected, ProtectedBody, ProtectedFuture};
pub use responder::Responder;
pub use service::RateLimited;
pub use shared::{Shared, SharedFuture, SharedRateLimited};
pub use tiers::PerTier;

pub use crate::limit::headers::{QuotaPolicy, ResetStyle};

#[cfg(test)]
mod tests;
