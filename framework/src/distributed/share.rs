//! What an instance decides by when it does not ask the store: its part of a limit.

use crate::clock::Moment;
use crate::limit::{AnyAlgorithm, Config, Decision, KeyedConfig, KeyedLimiter, SharedLimit};

use super::members::Members;
use super::store::{LimitKey, StoredLimit};

/// A limit divided by the instances that are alive: each request costs as many times what it costs as there are instances.
///
/// So what was spent stays spent when instances come and go, and nothing is lost to rounding. A limit below the number of
/// instances lets each instance have one at a time.
pub(super) struct LocalLimits {
    /// The limit's own, and each tier's.
    limiters: Vec<(Config, KeyedLimiter<LimitKey, AnyAlgorithm>)>,
}

impl LocalLimits {
    pub(super) fn new(limit: &SharedLimit, keys: KeyedConfig, now: Moment) -> Self {
        let limiter =
            |config: &Config| (*config, KeyedLimiter::new(AnyAlgorithm::new(config), keys, now));
        Self { limiters: limit.configs().map(limiter).collect() }
    }

    fn limiter(&self, of: &StoredLimit) -> Option<&KeyedLimiter<LimitKey, AnyAlgorithm>> {
        let found = self.limiters.iter().find(|(config, _)| *config == of.config);
        found.or(self.limiters.first()).map(|(_, limiter)| limiter)
    }

    pub(super) fn take(
        &self,
        of: &StoredLimit,
        now: Moment,
        cost: u64,
        members: &Members,
    ) -> Option<Decision> {
        let cost = share_of(of, cost, members);
        let decision = self.limiter(of)?.check(&of.key, now, cost);
        Some(Decision { remaining: decision.remaining / members.count().max(1), ..decision })
    }

    pub(super) fn give_back(&self, of: &StoredLimit, now: Moment, cost: u64, members: &Members) {
        if let Some(limiter) = self.limiter(of) {
            limiter.refund(&of.key, now, share_of(of, cost, members), now);
        }
    }

    /// Notes what the store has admitted, so that the share is not as good as new when the store goes away.
    pub(super) fn note(&self, of: &StoredLimit, now: Moment, cost: u64, members: &Members) {
        let Some(limiter) = self.limiter(of) else { return };
        if limiter.try_take(&of.key, now, share_of(of, cost, members)).is_err() {
            // The store may give one instance more than its share: then all of that is spent.
            self.spend(of, now);
        }
    }

    /// Whether nobody has asked for this key yet.
    pub(super) fn is_new(&self, of: &StoredLimit) -> bool {
        self.limiter(of).is_some_and(|limiter| !limiter.contains(&of.key))
    }

    /// Spends all of it: an instance that comes to others does not bring a burst of its own.
    pub(super) fn spend(&self, of: &StoredLimit, now: Moment) {
        if let Some(limiter) = self.limiter(of) {
            let left = limiter.remaining(&of.key, now);
            let _ = limiter.try_take(&of.key, now, left);
        }
    }

    pub(super) fn keys(&self) -> usize {
        self.limiters.iter().map(|(_, limiter)| limiter.len()).sum()
    }

    pub(super) fn sweep(&self, now: Moment) {
        for (_, limiter) in &self.limiters {
            limiter.sweep(now);
        }
    }
}

/// What the whole limit could pay, one instance can.
fn share_of(of: &StoredLimit, cost: u64, members: &Members) -> u64 {
    let (limit, share) = (of.config.limit(), cost.saturating_mul(members.count()));
    if cost <= limit { share.min(limit) } else { share }
}
