//! The layer, and how it is set.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use tower_layer::Layer;

use crate::clock::Clock;
use crate::event::Observer;
use crate::limit::headers::{QuotaPolicy, ResetStyle};
use crate::limit::{LimitCounts, Metered};

use super::counting::Counting;
use super::key::Head;
use super::limit::Limit;
use super::responder::Responder;
use super::service::RateLimited;
use super::settings::{Exempt, Settings};

/// Puts a limit in front of a service. Cheap to clone; clones, and all the services made by them, share the limit.
pub struct RateLimitLayer<L> {
    limit: Arc<L>,
    settings: Arc<Settings>,
}

impl<L> RateLimitLayer<L> {
    /// A layer with this limit, which goes by the system's clock: make the limit at `Clock::system().now()`.
    #[must_use]
    pub fn new(limit: L) -> Self {
        let settings = Settings {
            policy: QuotaPolicy::default(),
            x_fields: true,
            ietf_fields: true,
            reset: ResetStyle::default(),
            clock: Clock::system(),
            exempt: Vec::new(),
            cost: None,
            responder: None,
            counting: None,
            meter: Arc::default(),
        };
        Self { limit: Arc::new(limit), settings: Arc::new(settings) }
    }

    /// How the limit is called in answers, unless it says so itself. Default `default`, without a window.
    #[must_use]
    pub fn policy(self, policy: QuotaPolicy) -> Self {
        self.with(|settings| settings.policy = policy)
    }

    /// Whether answers have `X-RateLimit-` fields. Default yes.
    #[must_use]
    pub fn x_fields(self, are_there: bool) -> Self {
        self.with(|settings| settings.x_fields = are_there)
    }

    /// Whether answers have `RateLimit` and `RateLimit-Policy`. Default yes.
    #[must_use]
    pub fn ietf_fields(self, are_there: bool) -> Self {
        self.with(|settings| settings.ietf_fields = are_there)
    }

    /// What `X-RateLimit-Reset` is. Default [`ResetStyle::Epoch`].
    #[must_use]
    pub fn reset(self, style: ResetStyle) -> Self {
        self.with(|settings| settings.reset = style)
    }

    /// Another clock than the system's: one that a test moves.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        self.with(|settings| settings.clock = clock)
    }

    /// What a request costs. Default 1. One that costs nothing is always allowed.
    #[must_use]
    pub fn cost(self, cost: impl Fn(&Head<'_>) -> u64 + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.cost = Some(Arc::new(cost)))
    }

    /// Lets requests for exactly this path through, uncounted. As it is sent: escaped, without the query. Where routers are
    /// nested, the path that counts is what the layer gets to see: what is left of it inside.
    #[must_use]
    pub fn exempt_path(self, path: impl Into<String>) -> Self {
        self.with(|settings| settings.exempt.push(Exempt::Path(path.into())))
    }

    /// Lets requests for this path and all below it through: `/static` is `/static` and `/static/a`, not `/statics`. A path
    /// with `..` in it, escaped or not, is never exempt: it may lead elsewhere.
    #[must_use]
    pub fn exempt_prefix(self, prefix: impl Into<String>) -> Self {
        let mut prefix = prefix.into();
        prefix.truncate(prefix.trim_end_matches('/').len());
        self.with(|settings| settings.exempt.push(Exempt::Prefix(prefix)))
    }

    /// Lets requests through that `test` is true for.
    #[must_use]
    pub fn exempt(self, test: impl Fn(&Head<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.exempt.push(Exempt::Test(Arc::new(test))))
    }

    /// Makes the answers to refused requests. Default: `application/problem+json` as [`Problem`](super::Problem) has it,
    /// and to gRPC requests a gRPC status. The rate-limit fields are put on the answer afterwards.
    #[must_use]
    pub fn responder(self, responder: impl Responder) -> Self {
        self.with(|settings| settings.responder = Some(Arc::new(responder)))
    }

    /// Counts only requests whose answer `counts`, by its status and headers: failed log-ins, say, so that somebody who knows the
    /// password is never locked out by logging in often.
    ///
    /// What a request costs is taken before it is answered, so that many at once cannot pass together, and given back when
    /// its answer does not count. One that is never answered counts. The fields of an answer say what was left before
    /// anything was given back. For it the head of each request is kept until the answer. A
    /// [`PerTier`](super::PerTier) gives nothing back.
    ///
    /// ```
    /// use http::StatusCode;
    /// use seawall::clock::Clock;
    /// use seawall::layer::{Key, PerKey, RateLimitLayer};
    /// use seawall::limit::{KeyedConfig, KeyedLimiter, Rate, TokenBucket};
    ///
    /// // Five wrong passwords at once from an address, one a minute after that.
    /// let bucket = TokenBucket::new(&Rate::new(5, 1.0 / 60.0)?);
    /// let limiter = KeyedLimiter::new(bucket, KeyedConfig::default(), Clock::system().now());
    /// let layer = RateLimitLayer::new(PerKey::new(limiter, Key::peer()))
    ///     .count_if(|status, _| status == StatusCode::UNAUTHORIZED);
    /// # Ok::<(), seawall::constraint::InvalidSettings>(())
    /// ```
    #[must_use]
    pub fn count_if(
        self,
        counts: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self
    where
        L: Limit + 'static,
    {
        let counting = Counting::new(Arc::clone(&self.limit), counts);
        self.with(|settings| settings.counting = Some(Arc::new(counting)))
    }

    pub(super) fn parts(&self) -> (Arc<L>, Arc<Settings>) {
        (Arc::clone(&self.limit), Arc::clone(&self.settings))
    }

    fn with(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<L: Limit> Metered for RateLimitLayer<L> {
    fn counts(&self) -> Vec<LimitCounts> {
        self.settings.meter.counts()
    }

    fn key_count(&self) -> Option<usize> {
        self.limit.key_count()
    }

    fn tell(&self, name: Arc<str>, observer: Arc<dyn Observer>) {
        self.settings.meter.tell(name, observer);
    }
}

impl<L: Limit, S> Layer<S> for RateLimitLayer<L> {
    type Service = RateLimited<L, S>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimited::new(Arc::clone(&self.limit), Arc::clone(&self.settings), inner)
    }
}

impl<L> Clone for RateLimitLayer<L> {
    fn clone(&self) -> Self {
        Self { limit: Arc::clone(&self.limit), settings: Arc::clone(&self.settings) }
    }
}

impl<L: fmt::Debug> fmt::Debug for RateLimitLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RateLimitLayer");
        debug.field("limit", &self.limit).field("settings", &self.settings).finish()
    }
}
