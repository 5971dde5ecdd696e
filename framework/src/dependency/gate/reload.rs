//! Applies another policy to a gate that has calls in it.

use crate::bulkhead::Tuner;
use crate::clock::{Moment, nanos};
use crate::event::Transition;
use crate::limit::{AnyAlgorithm, RateLimiter};
use crate::policy::Policy;
use crate::sync::{Ordering, Wakers};

use super::Gate;

impl Gate {
    /// Goes by `next` from now on, and keeps what it has: the breaker's state and counts, permits that
    /// are out, calls that wait, and what is spent of the rate limit. What `before` said in the same
    /// words is left alone. Returns the breaker's move, if that made one, and who is to be woken.
    pub(crate) fn reconfigure(
        &self,
        before: &Policy,
        next: &Policy,
        now: Moment,
    ) -> (Option<Transition>, Wakers) {
        let moved = if before.breaker() == next.breaker() {
            None
        } else {
            self.breaker.reconfigure(next.shared_breaker(), now)
        };
        self.keys.reconfigure(before, next, now);
        if before.rate_limit() != next.rate_limit() {
            let limiter = self.limiter.with(|before| follow(before.as_ref(), next, now));
            // A call that waits for a token of the one before asks this one, and gives nothing back to it.
            self.limiters.fetch_add(1, Ordering::AcqRel);
            self.limiter.replace(limiter);
            self.limiters.fetch_add(1, Ordering::Release);
            self.limit_changed.tell();
        }
        if before.quota() != next.quota() {
            self.set_quota(next);
            self.limit_changed.tell();
        }
        self.rate_limit_max_wait.store(nanos(next.rate_limit_max_wait()), Ordering::Relaxed);
        self.lingering.set(next.bulkhead().grace());
        self.max_wait.store(nanos(next.bulkhead().max_wait()), Ordering::Relaxed);
        self.block_timeout.store(block_timeout(next), Ordering::Relaxed);
        if before.mailbox() != next.mailbox() {
            self.waiting_room.reconfigure(next.mailbox());
        }
        let wakers = match self.permits(before, next, now) {
            Some(limit) => self.set_limit(limit, now),
            None => Wakers::default(),
        };
        (moved, wakers)
    }
}

impl Gate {
    /// Has one permit from now on, whatever policies say. Returns who is to be woken.
    pub(crate) fn allow_one_at_a_time(&self, now: Moment) -> Wakers {
        self.waiting_room.be_exclusive();
        self.set_limit(1, now)
    }

    /// How many permits there are from now on, if that changes. A number that finds itself is kept while what it is found by is
    /// the same.
    fn permits(&self, before: &Policy, next: &Policy, now: Moment) -> Option<u32> {
        let bounds =
            |policy: &Policy| (policy.bulkhead().limit(), policy.bulkhead().max_concurrent());
        if bounds(before) == bounds(next) {
            return None;
        }
        let (tuner, permits) = tuner(next, now);
        self.tuner.replace(tuner);
        Some(if self.waiting_room.is_exclusive() { 1 } else { permits })
    }
}

/// What finds the number of permits, if it is not fixed, and the number to begin with.
pub(super) fn tuner(policy: &Policy, now: Moment) -> (Option<Box<Tuner>>, u32) {
    let max = policy.bulkhead().max_concurrent();
    match Tuner::new(policy.bulkhead().limit(), max, now) {
        Some((tuner, initial)) => (Some(Box::new(tuner)), initial),
        None => (None, max),
    }
}

pub(super) fn limiter(policy: &Policy, now: Moment) -> Option<RateLimiter<AnyAlgorithm>> {
    policy.rate_limit().map(|config| RateLimiter::new(AnyAlgorithm::new(config), now))
}

/// The limiter of `next` in the place of `before`: what was spent stays spent, so tokens are not to be had by reloading
/// back and forth.
fn follow(
    before: Option<&RateLimiter<AnyAlgorithm>>,
    next: &Policy,
    now: Moment,
) -> Option<RateLimiter<AnyAlgorithm>> {
    let algorithm = AnyAlgorithm::new(next.rate_limit()?);
    let Some(before) = before else { return Some(RateLimiter::new(algorithm, now)) };
    let shapes = !next.rate_limit_max_wait().is_zero();
    let spent = if matches!(algorithm, AnyAlgorithm::LeakyBucket(_)) && shapes {
        // Nothing leaves it in a burst anyway, and a full queue would refuse the calls that wait.
        1
    } else {
        before.spent(now)
    };
    Some(RateLimiter::with_spent(algorithm, now, spent))
}

/// Under strategies other than `block` no call waits outside a full queue.
pub(super) fn block_timeout(policy: &Policy) -> u64 {
    policy.mailbox().on_full().block_timeout().map_or(u64::MAX, nanos)
}
