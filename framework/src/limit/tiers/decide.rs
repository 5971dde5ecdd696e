//! What is asked of a user's limits, and what they answer.

use std::cmp::Reverse;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use super::Tiers;
use super::config::TierConfig;
use super::plan::Tier;
use super::refusal::{TierLimit, TierRefusal};
use super::share::FREE;
use super::user::User;
use crate::clock::Moment;
use crate::limit::algorithm::{Algorithm, Decision, Refusal};

/// A tiered limiter's whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct TierDecision {
    /// The user's tier: the default one, if the one that was asked for is unknown or no room was found for him.
    pub tier: Arc<str>,
    /// The tier's settings that it was decided by.
    pub settings: TierConfig,
    /// Of a refusal: what refused. Else what has the least left for him.
    pub by: TierLimit,
    /// How things are with that: with [`TierLimit::Share`], `limit` is the cap's and `remaining` his.
    /// Of a refusal, `retry_after` is how long until the same request would pass all of them, if nobody
    /// else takes anything: exact where his share is not what it waits for, else at the latest.
    pub decision: Decision,
}

impl<K: Hash + Eq, S: BuildHasher> Tiers<K, S> {
    /// From the narrowest to the widest, so that what a narrower limit refuses never touches the cap.
    pub(super) fn take(
        &self,
        user: &User,
        tier: &Tier,
        now: Moment,
        cost: u64,
    ) -> Result<(), TierRefusal> {
        let refused = |by| move |Refusal { retry_after }| TierRefusal { by, retry_after };
        tier.bucket.try_take(&user.bucket, now, cost).map_err(refused(TierLimit::User))?;
        if cost == 0 {
            return Ok(());
        }
        let level = self.level(now);
        let time = self.share.advance(now, level);
        if !self.share.take(&user.used, tier.allowance, time, level, cost) {
            tier.bucket.refund(&user.bucket, now, cost);
            let retry_after = Some(self.until_free(level));
            return Err(TierRefusal { by: TierLimit::Share, retry_after });
        }
        self.cap.try_take(&self.cap_bucket, now, cost).map_err(|refusal| {
            tier.bucket.refund(&user.bucket, now, cost);
            self.share.refund(&user.used, tier.allowance, cost);
            refused(TierLimit::Cap)(refusal)
        })
    }

    /// What [`Tiers::take`] would say.
    pub(super) fn look(
        &self,
        user: &User,
        tier: &Tier,
        now: Moment,
        cost: u64,
    ) -> Result<(), TierRefusal> {
        let refused = |by, decision: Decision| {
            let retry_after = decision.retry_after;
            if decision.allowed { Ok(()) } else { Err(TierRefusal { by, retry_after }) }
        };
        refused(TierLimit::User, tier.bucket.peek(&user.bucket, now, cost))?;
        if cost == 0 {
            return Ok(());
        }
        let level = self.level(now);
        let time = self.share.advance(now, level);
        if !self.share.has(&user.used, tier.allowance, time, level, cost) {
            let retry_after = Some(self.until_free(level));
            return Err(TierRefusal { by: TierLimit::Share, retry_after });
        }
        refused(TierLimit::Cap, self.cap.peek(&self.cap_bucket, now, cost))
    }

    /// What part of the cap's bucket is left.
    pub(super) fn level(&self, now: Moment) -> f64 {
        let decision = self.cap.peek(&self.cap_bucket, now, 0);
        decision.remaining as f64 / decision.limit as f64
    }

    /// How long until nobody is held to a share, if nobody takes anything.
    fn until_free(&self, level: f64) -> Duration {
        let missing = (FREE - level).max(0.0) * self.config.cap().capacity() as f64 + 1.0;
        let seconds = missing / self.config.cap().per_second();
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// [`Tiers::take`], and how things are then.
    pub(super) fn take_and_tell(
        &self,
        user: &User,
        tier: &Tier,
        now: Moment,
        cost: u64,
    ) -> TierDecision {
        let taken = self.take(user, tier, now, cost);
        let own = tier.bucket.peek(&user.bucket, now, 0);
        let cap = self.cap.peek(&self.cap_bucket, now, 0);
        let share = self.share_of(user, tier, now, cap);
        let (by, standing) = match taken {
            Err(refusal) => {
                let retry_after = self.until_all(user, tier, now, cost, refusal);
                let of = match refusal.by {
                    TierLimit::User => own,
                    TierLimit::Share => share.unwrap_or(Decision { remaining: 0, ..cap }),
                    TierLimit::Cap => cap,
                };
                (refusal.by, Decision { allowed: false, retry_after, ..of })
            }
            Ok(()) => {
                let share = share.map(|share| (TierLimit::Share, share));
                let all = [Some((TierLimit::User, own)), share, Some((TierLimit::Cap, cap))];
                let left =
                    |(_, of): &(TierLimit, Decision)| (of.remaining, Reverse(of.reset_after));
                all.into_iter().flatten().min_by_key(left).unwrap_or((TierLimit::User, own))
            }
        };
        TierDecision { tier: Arc::clone(&tier.name), settings: tier.config, by, decision: standing }
    }

    /// What a user has of the cap while he is held to his share of it.
    fn share_of(&self, user: &User, tier: &Tier, now: Moment, cap: Decision) -> Option<Decision> {
        let level = cap.remaining as f64 / cap.limit as f64;
        let time = self.share.advance(now, level);
        let left = || self.share.left(&user.used, tier.allowance, time, level);
        (level < FREE).then(|| Decision {
            remaining: left().min(cap.remaining),
            reset_after: self.until_free(level),
            ..cap
        })
    }

    /// How long until nothing refuses, if `first` was the first that did.
    fn until_all(
        &self,
        user: &User,
        tier: &Tier,
        now: Moment,
        cost: u64,
        first: TierRefusal,
    ) -> Option<Duration> {
        let level = self.level(now);
        let time = self.share.advance(now, level);
        let own = tier.bucket.peek(&user.bucket, now, cost);
        let cap = self.cap.peek(&self.cap_bucket, now, cost);
        let has_share = self.share.has(&user.used, tier.allowance, time, level, cost);
        let share = if has_share { Duration::ZERO } else { self.until_free(level) };
        let until = |of: Decision| if of.allowed { Some(Duration::ZERO) } else { of.retry_after };
        Some(first.retry_after?.max(until(own)?).max(until(cap)?).max(share))
    }
}
