//! One user: what it has left, and what becomes of it when it moves.

use super::fair_share::FairShare;
use super::plan::{Plan, Tier};
use crate::clock::Moment;
use crate::limit::algorithm::Algorithm;
use crate::limit::token_bucket::Bucket;
use crate::sync::{AtomicU64, Ordering};

/// What is kept of a user.
#[derive(Debug)]
pub(super) struct User {
    /// The settings under which the rest is right.
    pub(super) tier: u32,
    pub(super) bucket: Bucket,
    /// The virtual time at which it would have been given what it took of the cap.
    pub(super) used: AtomicU64,
}

impl User {
    pub(super) fn new(tier: u32) -> Self {
        Self { tier, bucket: Bucket::default(), used: AtomicU64::new(0) }
    }

    /// Whether forgetting a user gives it nothing, whatever tier it comes back in.
    pub(super) fn is_fresh(&self, plan: &Plan, share: &FairShare, now: Moment) -> bool {
        plan.settings(self.tier).is_some_and(|tier| {
            tier.bucket.is_fresh(&self.bucket, now.before(plan.longest_fill))
                && share.is_fresh(self.used.load(Ordering::Relaxed), tier.allowance)
        })
    }

    /// The user in another tier, with what it has left in this one, at most the new burst.
    pub(super) fn moved(&self, plan: &Plan, share: &FairShare, to: &Tier, now: Moment) -> Self {
        let used = self.used.load(Ordering::Relaxed);
        let moved = Self::new(to.id);
        let (left, used) = match plan.settings(self.tier) {
            // Full for so long that it would be full in any tier.
            Some(from) if from.bucket.is_fresh(&self.bucket, now.before(plan.longest_fill)) => {
                (u64::MAX, share.moved(used, from.allowance, to.allowance))
            }
            Some(from) => {
                let left = from.bucket.peek(&self.bucket, now, 0).remaining;
                (left, share.moved(used, from.allowance, to.allowance))
            }
            // Settings of long ago: whatever it may have left is forgotten.
            None => (0, used),
        };
        let spent = to.bucket.limit().saturating_sub(left);
        // A new state has its whole limit, so this is never refused.
        let _ = to.bucket.try_take(&moved.bucket, now, spent);
        if spent == 0 && left != u64::MAX {
            // Full, but not for long: back in its old tier it must not be as good as new.
            let _ = to.bucket.try_take(&moved.bucket, now, 1);
            to.bucket.refund(&moved.bucket, now, 1, now);
        }
        moved.used.store(used, Ordering::Relaxed);
        moved
    }
}
