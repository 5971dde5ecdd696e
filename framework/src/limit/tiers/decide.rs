//! What is asked of a user's limits, and what they answer.

use std::cmp::Reverse;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use super::Tiers;
use super::config::TierConfig;
use super::plan::Tier;
use super::refusal::{TierLimit, TierRefusal};
use super::user::User;
use crate::clock::Moment;
use crate::limit::algorithm::{Algorithm, Decision};

/// A tiered limiter's whole answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TierDecision {
    /// The user's tier: the default one, if the one that was asked for is unknown or no room was found for it.
    pub tier: Arc<str>,
    /// The tier's settings that it was decided by.
    pub settings: TierConfig,
    /// Of a refusal: what refused. Else what has the least left for it.
    pub by: TierLimit,
    /// How things are with that: with [`TierLimit::FairShare`], `limit` is the cap's and `remaining` its.
    /// Of a refusal, `retry_after` is [`TierRefusal::retry_after`].
    pub decision: Decision,
}

/// What is asked for.
#[derive(Clone, Copy)]
struct Asked<'a> {
    user: &'a User,
    tier: &'a Tier,
    now: Moment,
    cost: u64,
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
        let asked = Asked { user, tier, now, cost };
        if tier.bucket.try_take(&user.bucket, now, cost).is_err() {
            return Err(self.refusal(TierLimit::User, asked));
        }
        if cost == 0 {
            return Ok(());
        }
        let at = self.share.at(now, self.left(now));
        let Some(used) = self.share.take(&user.used, tier.allowance, at, cost) else {
            tier.bucket.refund(&user.bucket, now, cost, now);
            return Err(self.refusal(TierLimit::FairShare, asked));
        };
        if self.cap.try_take(&self.cap_bucket, now, cost).is_err() {
            tier.bucket.refund(&user.bucket, now, cost, now);
            self.share.refund(&user.used, tier.allowance, cost);
            return Err(self.refusal(TierLimit::Cap, asked));
        }
        self.share.catch_up(used);
        Ok(())
    }

    /// What [`Tiers::take`] would say.
    pub(super) fn look(
        &self,
        user: &User,
        tier: &Tier,
        now: Moment,
        cost: u64,
    ) -> Result<(), TierRefusal> {
        let refused = |by| Err(self.refusal(by, Asked { user, tier, now, cost }));
        if !tier.bucket.peek(&user.bucket, now, cost).allowed {
            return refused(TierLimit::User);
        }
        if cost == 0 {
            return Ok(());
        }
        let at = self.share.at(now, self.left(now));
        if !self.share.has(&user.used, tier.allowance, at, cost) {
            return refused(TierLimit::FairShare);
        }
        if !self.cap.peek(&self.cap_bucket, now, cost).allowed {
            return refused(TierLimit::Cap);
        }
        Ok(())
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
            Err(TierRefusal { by, retry_after }) => {
                let of = match by {
                    TierLimit::User => own,
                    TierLimit::FairShare => share.unwrap_or(Decision { remaining: 0, ..cap }),
                    TierLimit::Cap => cap,
                };
                (by, Decision { allowed: false, retry_after, ..of })
            }
            Ok(()) => {
                let share = share.map(|share| (TierLimit::FairShare, share));
                let all = [Some((TierLimit::User, own)), share, Some((TierLimit::Cap, cap))];
                let left =
                    |(_, of): &(TierLimit, Decision)| (of.remaining, Reverse(of.reset_after));
                all.into_iter().flatten().min_by_key(left).unwrap_or((TierLimit::User, own))
            }
        };
        TierDecision { tier: Arc::clone(&tier.name), settings: tier.config, by, decision: standing }
    }

    /// What a user has of the cap while it is held to its share of it.
    fn share_of(&self, user: &User, tier: &Tier, now: Moment, cap: Decision) -> Option<Decision> {
        let left = self.left(now);
        if self.share.is_free(left) {
            return None;
        }
        let at = self.share.at(now, left);
        let tokens = self.share.left(&user.used, tier.allowance, at);
        let reset_after = self.cap.until_left(&self.cap_bucket, now, self.share.free());
        Some(Decision { remaining: tokens.min(cap.remaining), reset_after, ..cap })
    }

    /// Refused by one, it says when none of the three would: the one that refused first, the others have to be
    /// waited for too.
    #[cold]
    fn refusal(&self, by: TierLimit, asked: Asked<'_>) -> TierRefusal {
        let Asked { user, tier, now, cost } = asked;
        let is_ever = cost <= tier.bucket.limit().min(self.cap.limit());
        let retry_after = is_ever.then(|| {
            // None: it has enough.
            let own = tier.bucket.peek(&user.bucket, now, cost).retry_after.unwrap_or_default();
            let cap = self.cap.peek(&self.cap_bucket, now, cost).retry_after.unwrap_or_default();
            let at = self.share.at(now, self.left(now));
            let share = if self.share.has(&user.used, tier.allowance, at, cost) {
                Duration::ZERO
            } else {
                // Its credit may be there sooner; how soon depends on others too.
                self.cap.until_left(&self.cap_bucket, now, self.share.free())
            };
            own.max(cap).max(share)
        });
        TierRefusal { by, retry_after }
    }

    /// What is left of the cap, in its bucket's units: a fraction of a token counts.
    #[inline]
    pub(super) fn left(&self, now: Moment) -> u64 {
        self.cap.left(&self.cap_bucket, now)
    }
}
