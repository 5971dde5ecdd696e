//! What an instance decides by when it does not ask the store: its part of a limit.

use crate::clock::Moment;
use crate::limit::{AnyAlgorithm, Config, Decision, KeyedConfig, KeyedLimiter};

use super::members::Members;
use super::shape;
use super::store::LimitKey;

/// A limit divided by the instances that are alive: each request costs as many times what it costs as there are instances.
///
/// So what was spent stays spent when instances come and go, and nothing is lost to rounding. A limit below the number of
/// instances lets each instance have one at a time.
pub(super) struct Share {
    limiter: KeyedLimiter<LimitKey, AnyAlgorithm>,
    limit: u64,
}

impl Share {
    pub(super) fn new(config: &Config, keys: KeyedConfig, now: Moment) -> Self {
        Self {
            limiter: KeyedLimiter::new(AnyAlgorithm::new(config), keys, now),
            limit: shape::limit_of(config),
        }
    }

    fn cost(&self, cost: u64, members: &Members) -> u64 {
        let share = cost.saturating_mul(members.count());
        // What the whole limit could pay, one instance can.
        if cost <= self.limit { share.min(self.limit) } else { share }
    }

    pub(super) fn take(
        &self,
        key: &LimitKey,
        now: Moment,
        cost: u64,
        members: &Members,
    ) -> Decision {
        let decision = self.limiter.check(key, now, self.cost(cost, members));
        told(decision, members)
    }

    pub(super) fn give_back(&self, key: &LimitKey, now: Moment, cost: u64, members: &Members) {
        self.limiter.refund(key, now, self.cost(cost, members), now);
    }

    /// Notes what the store has admitted, so that the share is not as good as new when the store goes away.
    pub(super) fn note(&self, key: &LimitKey, now: Moment, cost: u64, members: &Members) {
        let cost = self.cost(cost, members);
        if self.limiter.try_take(key, now, cost).is_err() {
            // The store may give one instance more than its share: then all of that is spent.
            let left = self.limiter.remaining(key, now);
            let _ = self.limiter.try_take(key, now, left);
        }
    }

    /// Whether nobody has asked for this key yet.
    pub(super) fn is_new(&self, key: &LimitKey) -> bool {
        !self.limiter.contains(key)
    }

    /// Spends all of it: an instance that comes to others does not bring a burst of its own.
    pub(super) fn spend(&self, key: &LimitKey, now: Moment) {
        let left = self.limiter.remaining(key, now);
        let _ = self.limiter.try_take(key, now, left);
    }

    pub(super) fn keys(&self) -> usize {
        self.limiter.len()
    }

    pub(super) fn sweep(&self, now: Moment) {
        self.limiter.sweep(now);
    }
}

fn told(decision: Decision, members: &Members) -> Decision {
    Decision { remaining: decision.remaining / members.count().max(1), ..decision }
}
