//! Limits by tier under one cap, in front of a service.

use std::borrow::Cow;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::clock::Moment;
use crate::constraint::{Constraints, InvalidSettings};
use crate::entropy::SecretHash;
use crate::limit::headers::QuotaPolicy;
use crate::limit::{Config, Rate, TierConfig, TierDecision, TierLimit, Tiers};
use crate::swappable::Swappable;
use crate::sync::Mutex;

use super::key::{Head, Key, KeyValue};
use super::limit::{Answer, Limit, Unkeyed};
use super::policies::Policies;

type TierOf = dyn for<'h> Fn(&Head<'h>, &KeyValue) -> Cow<'h, str> + Send + Sync;

/// Each user has the limit of the user's tier, and all of them share one cap: a [`Tiers`] that finds user and tier in the
/// request.
///
/// Two policies are announced: the tier's under its name, and the cap's. The fields are those of whichever has the least
/// left for this user, or has refused; while the cap binds, that is its share of it, under the cap's name.
pub struct PerTier<S = SecretHash> {
    tiers: Arc<Tiers<KeyValue, S>>,
    key: Key,
    unkeyed: Unkeyed,
    tier_of: Box<TierOf>,
    cap: QuotaPolicy,
    /// The policies of each tier, as it was last seen.
    announced: Swappable<Vec<Announced>>,
    announcing: Mutex<()>,
}

#[derive(Clone)]
struct Announced {
    tier: Arc<str>,
    settings: TierConfig,
    policies: Policies,
}

impl<S: BuildHasher + Send + Sync> PerTier<S> {
    /// Users by `key`. `tier_of` says which tier a user is in, from the request or from what the application knows of
    /// it: it is asked at each request, so a change counts from the next one on. It is called in the request's task, and should
    /// be quick. Of a tier that `tiers` does not know it is in its first one.
    ///
    /// `cap` is what the cap is called in answers. A tier is called as it is in `tiers`, of which an `Arc` can be kept to
    /// change it at run time; one added later, whose name no field can have, is called `tier`.
    ///
    /// # Errors
    /// `cap`, or a tier's name, is no name of a [`QuotaPolicy`]; `cap` is a tier's name.
    pub fn new(
        tiers: impl Into<Arc<Tiers<KeyValue, S>>>,
        cap: &str,
        key: Key,
        tier_of: impl for<'h> Fn(&Head<'h>, &KeyValue) -> Cow<'h, str> + Send + Sync + 'static,
    ) -> Result<Self, InvalidSettings> {
        let tiers = tiers.into();
        let mut check = Constraints::default();
        let all = policy(cap, tiers.config().cap());
        let all = check.note(all).unwrap_or_default();
        for (name, settings) in tiers.config().tiers() {
            check.note(policy(name, settings.quota()));
            check.require(&**name != cap, "cap", cap, "a name that no tier has");
        }
        check.finish(Self {
            tiers,
            key,
            unkeyed: Unkeyed::default(),
            tier_of: Box::new(tier_of),
            cap: all,
            announced: Swappable::new(Vec::new()),
            announcing: Mutex::default(),
        })
    }

    /// What becomes of a request that has no key. Default [`Unkeyed::Shared`]: all of them are one user, for whom `tier_of`
    /// is given [`KeyValue::Shared`]. With [`Unkeyed::Pass`] the cap does not count it either.
    #[must_use]
    pub fn unkeyed(mut self, unkeyed: Unkeyed) -> Self {
        self.unkeyed = unkeyed;
        self
    }

    fn policies(&self, decided: &TierDecision) -> Policies {
        self.announced
            .with(|all| all.iter().find(|it| it.is_of(decided)).map(|it| it.policies.clone()))
            .unwrap_or_else(|| self.announce(decided))
    }

    /// For a tier that is seen for the first time, or has changed: there are few, and it is seldom.
    #[cold]
    fn announce(&self, decided: &TierDecision) -> Policies {
        let (name, quota) = (&decided.tier, decided.settings.quota());
        let own = policy(name, quota).or_else(|_| policy("tier", quota)).unwrap_or_default();
        let cap = (self.cap.clone(), self.tiers.config().cap().capacity());
        let policies = Policies::new([(own, quota.capacity()), cap]);
        let _guard = self.announcing.lock();
        let mut all = self.announced.with(Clone::clone);
        all.retain(|it| it.tier != decided.tier);
        let (tier, settings) = (Arc::clone(name), decided.settings);
        all.push(Announced { tier, settings, policies: policies.clone() });
        self.announced.replace(all);
        policies
    }
}

impl Announced {
    fn is_of(&self, decided: &TierDecision) -> bool {
        self.settings == decided.settings && self.tier == decided.tier
    }
}

fn policy(name: &str, rate: Rate) -> Result<QuotaPolicy, InvalidSettings> {
    QuotaPolicy::of(name, &Config::TokenBucket(rate))
}

impl<S: BuildHasher + Send + Sync> Limit for PerTier<S> {
    fn check(&self, head: &Head<'_>, now: Moment, cost: u64) -> Answer<'_> {
        let user = match (self.key.of(head), self.unkeyed) {
            (Some(key), _) => key,
            (None, Unkeyed::Shared) => KeyValue::Shared,
            (None, Unkeyed::Refuse) => return Answer::Unidentified,
            (None, Unkeyed::Pass) => return Answer::Free,
        };
        let tier = (self.tier_of)(head, &user);
        let decided = self.tiers.check(&user, &tier, now, cost);
        let at = usize::from(decided.by != TierLimit::User);
        let policies = Cow::Owned(self.policies(&decided));
        Answer::Among { decision: decided.decision, policies, at, refusing: 1 << at }
    }

    fn key_count(&self) -> Option<usize> {
        Some(self.tiers.len())
    }
}

impl<S: BuildHasher> fmt::Debug for PerTier<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PerTier");
        debug.field("key", &self.key).field("unkeyed", &self.unkeyed).field("tiers", &self.tiers);
        debug.finish_non_exhaustive()
    }
}
