//! A rate limit in front of an HTTP service: a tower `Layer`, which is axum middleware too.
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # fn app() -> Result<axum::Router, seawall::setting::InvalidSettings> {
//! use axum::{Router, routing::get};
//! use seawall::clock::Clock;
//! use seawall::layer::RateLimitLayer;
//! use seawall::limit::{Config, RateLimiter, AnyAlgorithm, headers::Policy};
//!
//! let config = Config::token_bucket(200, 100.0)?;
//! let limiter = RateLimiter::new(AnyAlgorithm::new(&config), Clock::system().now());
//! let layer = RateLimitLayer::new(limiter).policy(Policy::of("api", &config)?).exempt_path("/health");
//! let app = Router::new().route("/", get(|| async { "hello" })).layer(layer);
//! # Ok(app)
//! # }
//! ```
//!
//! # What a client sees
//!
//! On every answer, allowed or refused: `X-RateLimit-Limit`, `-Remaining`, `-Reset` (a point in time unless
//! [`ResetStyle::Delta`] is asked for), `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-11). A refused one is `429 Too Many Requests` with a `Retry-After` that is
//! honest: whoever waits that long passes, if nobody else was faster. Its body is `application/problem+json`
//! (RFC 9457) of the draft's type `quota-exceeded`, and says nothing that the client has sent.
//!
//! A request that costs more than the limiter ever holds gets no `Retry-After`: it would never pass.
//!
//! If the inner service has set fields of the same names (another limit further in), both limits stand in
//! `RateLimit` and `RateLimit-Policy`, which are lists; of the `X-RateLimit-` fields, which hold one, the tighter limit's
//! stay. A `Retry-After` of the inner service is never touched. Call them by different names ([`RateLimitLayer::policy`]), so that
//! a client can tell which is which.
//!
//! # Whom it counts
//!
//! One limiter for all ([`RateLimiter`](crate::limit::RateLimiter) is a [`Limit`]), or one for each [`Key`]
//! ([`PerKey`]). Every method counts, `HEAD` as `GET` does (its refusal has no body). So do the `OPTIONS` of a browser's
//! preflight: put a CORS layer outside of this one, which answers them first, or exempt them; and let it expose the
//! rate-limit fields, or scripts do not see them.
//!
//! Requests are counted when they come in, and count whatever becomes of them: dropping the answer's future gives
//! nothing back. The inner service is not called for a refused request. It was polled ready for it, though: a layer further in
//! that reserves a place in `poll_ready` holds that place until the next request, or until the clone is dropped.
//!
//! A panic in a key's or an exemption's function goes on to the caller, and nothing is left locked or taken.

mod address;
mod error;
mod future;
mod key;
#[expect(clippy::module_inception, reason = "the same nouns as in tower's own folders")]
mod layer;
mod limit;
mod service;
mod stamp;

pub use address::{Network, Proxies};
pub use error::Problem;
pub use future::ResponseFuture;
pub use key::{Head, Key, KeyValue, MAX_KEY_BYTES, Peer};
pub use layer::RateLimitLayer;
pub use limit::{Answer, KeyedCheck, Limit, PerKey, Unkeyed};
pub use service::RateLimited;

pub use crate::limit::headers::{Policy, ResetStyle};

#[cfg(test)]
mod tests;
