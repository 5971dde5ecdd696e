//! A gate that goes by another policy from now on, with calls in it.

use crate::clock::{Moment, nanos};
use crate::dependency::waiting_room::Wakers;
use crate::event::Transition;
use crate::limit::{Algorithm, AnyAlgorithm, RateLimiter};
use crate::policy::Policy;
use crate::sync::Ordering;

use super::Gate;

impl Gate {
    /// Goes by `next` from now on, and keeps what it has: the breaker's state and counts, permits that
    /// are out, everybody in line, and no more tokens than there were. What `before` said in the same
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
            let limiter = limiter(next, now);
            let shapes = !next.rate_limit_max_wait().is_zero();
            let before = &self.written.0.limiter;
            let spent = before.with(|before| spent(before.as_ref(), limiter.as_ref(), shapes, now));
            if let Some(limiter) = &limiter {
                // As many as there are: it cannot fail.
                let _ = limiter.try_take(now, spent);
            }
            // Whoever waits for his turn by the one before asks this one, and gives nothing back to it.
            self.limiters.fetch_add(1, Ordering::AcqRel);
            self.written.0.limiter.replace(limiter);
            self.limiters.fetch_add(1, Ordering::Release);
            self.limit_changed.notify_waiters();
        }
        if before.quota() != next.quota() {
            self.set_quota(next);
            self.limit_changed.notify_waiters();
        }
        self.rate_limit_max_wait.store(nanos(next.rate_limit_max_wait()), Ordering::Relaxed);
        self.max_wait.store(nanos(next.bulkhead().max_wait()), Ordering::Relaxed);
        self.block_timeout.store(block_timeout(next), Ordering::Relaxed);
        let limit = next.bulkhead().max_concurrent();
        let is_same_room =
            before.bulkhead().max_concurrent() == limit && before.mailbox() == next.mailbox();
        let wakers = if is_same_room {
            Wakers::default()
        } else {
            self.written.0.waiting_room.reconfigure(limit, next.mailbox(), now)
        };
        (moved, wakers)
    }
}

pub(super) fn limiter(policy: &Policy, now: Moment) -> Option<RateLimiter<AnyAlgorithm>> {
    policy.rate_limit().map(|config| RateLimiter::new(AnyAlgorithm::new(config), now))
}

/// What of `next` counts as spent, so that tokens are not to be had by asking for other settings: it begins
/// with the share that is left over, and with no more than there was.
fn spent(
    before: Option<&RateLimiter<AnyAlgorithm>>,
    next: Option<&RateLimiter<AnyAlgorithm>>,
    shapes: bool,
    now: Moment,
) -> u64 {
    let (Some(before), Some(next)) = (before, next) else { return 0 };
    let (left, limit) = (before.remaining(now), next.algorithm().limit());
    if matches!(next.algorithm(), AnyAlgorithm::LeakyBucket(_)) && shapes {
        // Nothing leaves it in a burst anyway, and a full queue would turn away whoever waits.
        return 1;
    }
    let share =
        u128::from(left) * u128::from(limit) / u128::from(before.algorithm().limit().max(1));
    limit.saturating_sub(left).max(limit.saturating_sub(u64::try_from(share).unwrap_or(limit)))
}

/// Under strategies other than `block` nobody stands behind a full line: what waits there is in it.
pub(super) fn block_timeout(policy: &Policy) -> u64 {
    policy.mailbox().on_full().block_timeout().map_or(u64::MAX, nanos)
}
