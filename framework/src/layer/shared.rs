//! Limits that several instances keep to together, in front of a service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::distributed::{self, SharedDecision, SharedLimits};
use crate::limit::headers::QuotaPolicy;

use super::body::ResponseBody;
use super::error::Problem;
use super::headers::AnswerFields;
use super::key::{Head, Key, KeyValue};
use super::layer::RateLimitLayer;
use super::limit::Unkeyed;
use super::settings::Settings;

type Tier = dyn Fn(&Head<'_>) -> Option<String> + Send + Sync;

/// [`SharedLimits`] for a [`RateLimitLayer`]: whose a request is, and for what.
///
/// A request waits for the store's decision before it goes on to the inner service, which must be cheap to clone: 50 ms at most unless
/// the limits say otherwise. The fields of its answer, and the name in `RateLimit-Policy`, are those of the limit that has
/// decided.
///
/// ```
/// use seawall::distributed::{Memory, Per, SharedLimit, SharedLimits};
/// use seawall::layer::{Key, RateLimitLayer, Shared};
/// use seawall::limit::Config;
///
/// let limits = SharedLimits::builder(Memory::default())
///     .limit(SharedLimit::new("all", Config::token_bucket(10_000, 10_000.0)?))
///     .limit(SharedLimit::new("user", Config::token_bucket(20, 5.0)?).per(Per::Subject))
///     .build()?;
/// let user = Key::header("x-user".parse()?); // set by the code that has authenticated the request
/// let layer = RateLimitLayer::new(Shared::new(limits).subject(user).part(Key::path_template()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Shared {
    limits: SharedLimits,
    subject: Option<Key>,
    part: Option<Key>,
    tier: Option<Arc<Tier>>,
    unkeyed: Unkeyed,
}

impl Shared {
    /// These limits, for requests of nobody and nothing in particular.
    #[must_use]
    pub fn new(limits: SharedLimits) -> Self {
        Self { limits, subject: None, part: None, tier: None, unkeyed: Unkeyed::default() }
    }

    /// Whose a request is.
    #[must_use]
    pub fn subject(mut self, key: Key) -> Self {
        self.subject = Some(key);
        self
    }

    /// What it is for; [`Key::path_template`], say. Requests without one are of one part.
    #[must_use]
    pub fn part(mut self, key: Key) -> Self {
        self.part = Some(key);
        self
    }

    /// Of which tier its subject is.
    #[must_use]
    pub fn tier(
        mut self,
        tier: impl Fn(&Head<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.tier = Some(Arc::new(tier));
        self
    }

    /// What becomes of a request that has no subject. Default [`Unkeyed::Shared`].
    #[must_use]
    pub fn unkeyed(mut self, unkeyed: Unkeyed) -> Self {
        self.unkeyed = unkeyed;
        self
    }

    /// What the limits count a request by; or what is said without asking them.
    fn find(&self, head: &Head<'_>) -> Result<Found, Unkeyed> {
        let subject = match self.subject.as_ref().map(|key| key.of(head)) {
            None => String::new(),
            Some(Some(key)) => written(&key),
            Some(None) if self.unkeyed == Unkeyed::Shared => written(&KeyValue::Shared),
            Some(None) => return Err(self.unkeyed),
        };
        let part = self.part.as_ref().and_then(|key| key.of(head));
        let tier = self.tier.as_ref().and_then(|tier| tier(head)).unwrap_or_default();
        Ok(Found { subject, part: part.as_ref().map(written).unwrap_or_default(), tier })
    }
}

/// What a request is counted by.
struct Found {
    subject: String,
    part: String,
    tier: String,
}

/// A key as text: no two are written alike.
fn written(key: &KeyValue) -> String {
    match key {
        KeyValue::Shared => "shared".to_owned(),
        KeyValue::Address(address) => format!("address:{address}"),
        KeyValue::Text(text) => format!("text:{text}"),
        KeyValue::Header(text) => format!("header:{text}"),
        // With their lengths, since they may have anything in them.
        KeyValue::Several(keys) => {
            let keys = keys.iter().map(written);
            keys.map(|key| format!("{}:{key}", key.len())).collect::<Vec<_>>().join(",")
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Shared");
        debug.field("limits", &self.limits).field("subject", &self.subject);
        debug.field("part", &self.part).field("unkeyed", &self.unkeyed).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RateLimitLayer<Shared> {
    type Service = SharedRateLimited<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let (limit, settings) = self.parts();
        SharedRateLimited { limit, settings, inner }
    }
}

/// A service with shared limits in front. Made by [`RateLimitLayer`] of [`Shared`].
#[derive(Clone)]
pub struct SharedRateLimited<S> {
    limit: Arc<Shared>,
    settings: Arc<Settings>,
    inner: S,
}

/// The answer to come. Dropping it drops the inner service's future; what was taken for the request stays taken.
pub type SharedFuture<B, E> =
    Pin<Box<dyn Future<Output = Result<Response<ResponseBody<B>>, E>> + Send>>;

impl<S, A, B> Service<Request<A>> for SharedRateLimited<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    A: Send + 'static,
    B: 'static,
{
    type Response = Response<ResponseBody<B>>;
    type Error = S::Error;
    type Future = SharedFuture<B, S::Error>;

    /// Whether the inner service is ready.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        // The one that is ready goes along; its clone gets ready for the next request.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        let (limit, settings) = (Arc::clone(&self.limit), Arc::clone(&self.settings));
        Box::pin(answer(limit, settings, inner, request))
    }
}

async fn answer<S, A, B>(
    limit: Arc<Shared>,
    settings: Arc<Settings>,
    mut inner: S,
    request: Request<A>,
) -> Result<Response<ResponseBody<B>>, S::Error>
where
    S: Service<Request<A>, Response = Response<B>>,
{
    let head = Head::from(&request);
    let found = if settings.exempts(&head) { Err(Unkeyed::Pass) } else { limit.find(&head) };
    let found = match found {
        Ok(found) => found,
        Err(Unkeyed::Refuse) => {
            let refusal = settings.respond(&head, &Problem::unidentified());
            return Ok(refusal.map(ResponseBody::refusal));
        }
        Err(_) => return Ok(inner.call(request).await?.map(ResponseBody::inner)),
    };
    let cost = settings.cost_of(&head);
    let of = distributed::Request::of(&found.subject).part(&found.part).tier(&found.tier);
    let decided = limit.limits.check(&of, cost).await;
    let (policy, fields) = announced(&decided, &settings);
    if decided.decision.allowed {
        let mut response = inner.call(request).await?;
        fields.put(response.headers_mut());
        return Ok(response.map(ResponseBody::inner));
    }
    let problem = Problem::quota_exceeded(&policy, fields.fields());
    let mut refusal = settings.respond(&Head::from(&request), &problem);
    fields.put(refusal.headers_mut());
    Ok(refusal.map(ResponseBody::refusal))
}

fn announced(decided: &SharedDecision, settings: &Settings) -> (QuotaPolicy, AnswerFields) {
    let policy = QuotaPolicy::of(&*decided.limit, &decided.config);
    let policy = policy.unwrap_or_else(|_| settings.policy.clone());
    let fields = AnswerFields::new(&decided.decision, &policy, None, settings);
    (policy, fields)
}

impl<S: fmt::Debug> fmt::Debug for SharedRateLimited<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SharedRateLimited");
        debug.field("limit", &self.limit).field("settings", &self.settings);
        debug.field("inner", &self.inner).finish()
    }
}
