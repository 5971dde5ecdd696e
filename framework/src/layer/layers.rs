//! Limits in layers, in front of a service.

use std::borrow::Cow;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::clock::Moment;
use crate::constraint::{Constraints, InvalidSettings};
use crate::limit::headers::QuotaPolicy;
use crate::limit::{
    Algorithm, AnyAlgorithm, Config, KeyedConfig, KeyedLimiter, Layered, LayeredBuilder,
    MAX_LAYERS, RateLimiter,
};

use super::counting::Taken;
use super::key::{Head, Key, KeyValue};
use super::limit::{Answer, Limit, Unkeyed};
use super::policies::Policies;

/// Limits in layers, from the widest to the narrowest, such as global, per user, per endpoint: a request passes all of
/// them or is refused, and then it has taken nothing from any. A [`Layered`] that finds its keys in the request.
///
/// An allowed answer's fields are those of the layer with the least left, a refusal's those of the widest layer that
/// refuses, whose time is when *all* layers would pass. `RateLimit-Policy` lists all layers either way.
pub struct Layers {
    layered: Layered<Found>,
    /// Where each layer finds its key; `None`: it is one limiter for all.
    keys: Box<[Option<(Key, Unkeyed)>]>,
    policies: Policies,
}

/// The keys of one request, by layer, each found once.
#[derive(Default)]
struct Found {
    keys: [Option<KeyValue>; MAX_LAYERS],
}

impl Layers {
    /// Starts with no layer. `now` is when their limits begin to count: `Clock::system().now()`.
    pub fn builder(now: Moment) -> LayersBuilder {
        LayersBuilder {
            now,
            layered: Layered::builder(),
            keys: Vec::new(),
            policies: Vec::new(),
            check: Constraints::default(),
        }
    }

    /// The layers' policies, the widest first.
    #[must_use]
    pub fn policies(&self) -> &[QuotaPolicy] {
        self.policies.as_slice()
    }

    /// [`KeyedLimiter::sweep`] of every layer that has keys. How many went.
    pub fn sweep(&self, now: Moment) -> usize {
        self.layered.sweep(now)
    }

    /// The request's keys, before anything is taken; or what is said without asking any layer.
    fn find(&self, head: &Head<'_>) -> Result<Found, Answer<'_>> {
        let mut found = Found::default();
        let mut is_counted = false;
        for (slot, of_layer) in found.keys.iter_mut().zip(&self.keys) {
            let Some((key, unkeyed)) = of_layer else {
                is_counted = true;
                continue;
            };
            *slot = match (key.of(head), unkeyed) {
                (Some(key), _) => Some(key),
                (None, Unkeyed::Shared) => Some(KeyValue::Shared),
                (None, Unkeyed::Refuse) => return Err(Answer::Unidentified),
                (None, Unkeyed::Pass) => continue,
            };
            is_counted = true;
        }
        if is_counted { Ok(found) } else { Err(Answer::Free) }
    }
}

impl Limit for Layers {
    fn check(&self, head: &Head<'_>, now: Moment, cost: u64) -> Answer<'_> {
        let found = match self.find(head) {
            Ok(found) => found,
            Err(answer) => return answer,
        };
        let verdict = self.layered.check_at(&found, now, cost);
        Answer::Among {
            decision: verdict.decision,
            policies: Cow::Borrowed(&self.policies),
            at: verdict.at,
            refusing: verdict.refusing,
        }
    }

    fn refund(&self, head: &Head<'_>, taken: Taken, now: Moment) {
        if let Ok(found) = self.find(head) {
            self.layered.refund(&found, now, taken.cost, taken.at);
        }
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers").field("keys", &self.keys).field("layered", &self.layered).finish()
    }
}

/// Builds [`Layers`], from the widest to the narrowest.
#[must_use]
pub struct LayersBuilder {
    now: Moment,
    layered: LayeredBuilder<Found>,
    keys: Vec<Option<(Key, Unkeyed)>>,
    policies: Vec<(QuotaPolicy, u64)>,
    check: Constraints,
}

impl LayersBuilder {
    /// Adds a layer of one limit for all requests. Its policy is [`QuotaPolicy::of`] this.
    pub fn all(mut self, name: impl Into<String>, config: &Config) -> Self {
        let policy = self.policy(name, config);
        let limiter = RateLimiter::new(AnyAlgorithm::new(config), self.now);
        self.layer(policy, limiter)
    }

    /// Adds a layer of a limit for each `key`: of 100,000 keys at most, beyond which new ones share limits. For more, or
    /// to look at it later, make the limiter and give it to [`LayersBuilder::keyed`].
    pub fn each(mut self, name: impl Into<String>, key: Key, config: &Config) -> Self {
        let policy = self.policy(name, config);
        let (algorithm, keys) = (AnyAlgorithm::new(config), KeyedConfig::default());
        let limiter = KeyedLimiter::<KeyValue, _>::new(algorithm, keys, self.now);
        self.keyed(policy, limiter, key)
    }

    /// Adds a layer that is this limiter, for all requests. An `Arc` of it can be kept.
    pub fn layer<A: Algorithm + 'static>(
        mut self,
        policy: QuotaPolicy,
        limiter: impl Into<Arc<RateLimiter<A>>>,
    ) -> Self {
        let limiter = limiter.into();
        let limit = limiter.algorithm().limit();
        self.layered = self.layered.layer(policy.name(), limiter);
        self.add(policy, limit, None)
    }

    /// Adds a layer that counts by `key`. An `Arc` of the limiter can be kept.
    pub fn keyed<A, S>(
        mut self,
        policy: QuotaPolicy,
        limiter: impl Into<Arc<KeyedLimiter<KeyValue, A, S>>>,
        key: Key,
    ) -> Self
    where
        A: Algorithm + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        let limiter = limiter.into();
        let limit = limiter.algorithm().limit();
        let at = self.keys.len();
        self.layered = self.layered.keyed_if(policy.name(), limiter, move |found: &Found| {
            found.keys.get(at).and_then(Option::as_ref)
        });
        self.add(policy, limit, Some((key, Unkeyed::default())))
    }

    /// What becomes of a request that the layer added last finds no key for. Default [`Unkeyed::Shared`]. With
    /// [`Unkeyed::Pass`] that layer does not count it, but all others do; with [`Unkeyed::Refuse`] it takes nothing
    /// from any.
    pub fn unkeyed(mut self, unkeyed: Unkeyed) -> Self {
        match self.keys.last_mut() {
            Some(Some((_, of_layer))) => *of_layer = unkeyed,
            _ => self.check.require(false, "unkeyed", unkeyed, "said of a layer that has keys"),
        }
        self
    }

    /// The layers, checked.
    ///
    /// # Errors
    /// No layer or more than 16; two of the same name; a name that is no [`QuotaPolicy`]'s; an `unkeyed` that no keyed layer
    /// precedes.
    pub fn build(mut self) -> Result<Layers, InvalidSettings> {
        let layered = self.check.note(self.layered.build());
        let layers = layered.map(|layered| Layers {
            layered,
            keys: self.keys.into(),
            policies: Policies::new(self.policies),
        });
        // Without layers there is a mistake.
        let layers = layers.ok_or_else(InvalidSettings::default);
        self.check.finish(()).and(layers)
    }

    fn policy(&mut self, name: impl Into<String>, config: &Config) -> QuotaPolicy {
        self.check.note(QuotaPolicy::of(name, config)).unwrap_or_default()
    }

    fn add(mut self, policy: QuotaPolicy, limit: u64, key: Option<(Key, Unkeyed)>) -> Self {
        self.policies.push((policy, limit));
        self.keys.push(key);
        self
    }
}

impl fmt::Debug for LayersBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layered.fmt(f)
    }
}
