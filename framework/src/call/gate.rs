//! The gate: what every call of a dependency passes, in the caller's own task.
//!
//! Breaker, limiter, permits and waiting room, each whole in itself, joined by two rules: whoever
//! opens the breaker empties the waiting room, and nobody joins the room once it has been emptied.
//! The gate waits for nothing and asks nobody the time. It is the truth about its dependency: the
//! actor that looks after it can die and be rebuilt without anything here changing.

use std::time::Duration;

use crate::breaker::{Admission, CircuitBreaker, Refusal};
use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::error::RejectedBy;
use crate::event::{State, Transition};
use crate::limit::TokenBucket;
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::sync::CachePadded;

use super::room::{Join, Room, TurnedAway};

/// A guard's refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) by: RejectedBy,
    pub(crate) retry_after: Option<Duration>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { by: RejectedBy::Breaker, retry_after: refusal.retry_after }
    }
}

/// A dependency's guards.
#[derive(Debug)]
pub struct Gate {
    breaker: CircuitBreaker,
    /// What every call writes, off the lines that every call only reads.
    written: CachePadded<Written>,
    max_wait: Duration,
    block_timeout: Duration,
}

#[derive(Debug)]
struct Written {
    limiter: Option<TokenBucket>,
    room: Room,
}

impl Gate {
    /// The guards that `policy` asks for, all permits free and the breaker closed. `entropy` jitters how
    /// long that stays open.
    #[must_use]
    pub fn new(policy: &Policy, now: Moment, entropy: Entropy) -> Self {
        Self {
            breaker: CircuitBreaker::new(policy.shared_breaker(), now).with_entropy(entropy),
            written: CachePadded(Written {
                limiter: policy.rate_limit().map(TokenBucket::new),
                room: Room::new(policy.bulkhead().max_concurrent(), policy.mailbox()),
            }),
            max_wait: policy.bulkhead().max_wait(),
            // Under the other strategies nobody stands behind a full line: what waits there is in it.
            block_timeout: policy.mailbox().on_full().block_timeout().unwrap_or(Duration::MAX),
        }
    }

    /// The breaker. Moves made on it directly do not empty the waiting room: use the gate's own.
    #[must_use]
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// Calls waiting for a permit.
    #[must_use]
    pub fn waiters(&self) -> u32 {
        self.written.0.room.permits().waiters()
    }

    pub(crate) fn room(&self) -> &Room {
        &self.written.0.room
    }

    /// The first look: an open breaker answers for itself and burns no token.
    #[inline]
    pub(crate) fn knock(&self, now: Moment) -> Result<(), Refused> {
        self.breaker.check(now)?;
        if let Some(limiter) = &self.written.0.limiter {
            limiter.try_take(now, 1).map_err(|refusal| Refused {
                by: RejectedBy::RateLimit,
                retry_after: refusal.retry_after,
            })?;
        }
        Ok(())
    }

    /// Gives back the token of an attempt that was never dispatched.
    pub(crate) fn refund(&self) {
        if let Some(limiter) = &self.written.0.limiter {
            limiter.refund(1);
        }
    }

    /// Takes a permit or a place in the line; the breaker is looked at again with the line locked.
    pub(crate) fn join(
        &self,
        now: Moment,
        deadline: Moment,
        shut_down: impl FnOnce() -> bool,
    ) -> Join {
        if self.max_wait.is_zero() {
            return Join::Refused(TurnedAway::Expired);
        }
        let give_up_at = (now + self.max_wait).min(deadline);
        self.written.0.room.join(give_up_at, now + self.block_timeout, || {
            if shut_down() {
                return Some(TurnedAway::ShutDown);
            }
            self.breaker.check(now).is_err().then_some(TurnedAway::Flushed)
        })
    }

    /// The lease, taken with the permit in hand: the second look, and the one that counts.
    #[inline]
    pub(crate) fn admit(
        &self,
        now: Moment,
        moved: &mut Option<Transition>,
    ) -> Result<Admission, Refused> {
        Ok(self.breaker.admit(now, moved)?)
    }

    /// Counts how an admitted attempt ended.
    #[inline]
    pub(crate) fn record(
        &self,
        admission: Admission,
        outcome: Outcome,
        now: Moment,
    ) -> Option<Transition> {
        let moved = self.breaker.record(admission, outcome, now);
        if let Some(transition) = moved {
            self.settle(transition);
        }
        moved
    }

    /// What a move of the breaker means for those who wait.
    #[cold]
    fn settle(&self, moved: Transition) {
        if moved.to == State::Open && !self.breaker.is_observing() {
            self.written.0.room.flush(TurnedAway::Flushed);
        }
    }

    /// Holds the breaker open by hand and turns everybody waiting away.
    pub(crate) fn force_open(&self, now: Moment) -> Option<Transition> {
        let moved = self.breaker.force_open(now);
        // Though no move was made: behind an open breaker whose time was up, calls may wait again.
        self.written.0.room.flush(TurnedAway::Flushed);
        moved
    }

    /// The backstop for everything that callers do for themselves: moves an open breaker on, calls up
    /// whoever a free permit is for, turns away whoever an open breaker or a passed time forgot.
    /// Returns the move, if one was made, and when the breaker wants to be looked at again.
    pub(crate) fn tick(&self, now: Moment) -> (Option<Transition>, Option<Moment>) {
        let (moved, next) = self.breaker.poll(now);
        if self.breaker.check(now).is_err() && self.breaker.state() == State::Open {
            self.written.0.room.flush(TurnedAway::Flushed);
        } else if self.written.0.room.permits().waiters() > 0 {
            self.written.0.room.call_up(now);
        }
        (moved, next)
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use super::*;
    use crate::backpressure::{Config, Strategy};
    use crate::bulkhead;

    fn full(on_full: Strategy) -> Gate {
        let policy = Policy::builder()
            .bulkhead(bulkhead::Config::builder().max_concurrent(1).build())
            .mailbox(Config::builder().capacity(1).on_full(on_full).build())
            .build()
            .unwrap();
        let gate = Gate::new(&policy, Moment::ZERO, Entropy::seeded(0));
        assert!(gate.room().try_enter());
        assert!(matches!(gate.join(Moment::ZERO, Moment::MAX, || false), Join::Waiting(_)));
        gate
    }

    fn gives_up_after(on_full: Strategy) -> Duration {
        let gate = full(on_full);
        match gate.join(Moment::ZERO, Moment::MAX, || false) {
            Join::Waiting(ticket) => Room::gives_up_at(&ticket).since(Moment::ZERO),
            joined => panic!("{joined:?}"),
        }
    }

    #[test]
    fn whoever_takes_the_oldest_ones_place_may_wait_as_long_as_anybody() {
        assert_eq!(gives_up_after(Strategy::DropOldest), Duration::from_secs(30));
    }

    #[test]
    fn whoever_blocks_waits_no_longer_than_that() {
        let timeout = Duration::from_secs(3);
        assert_eq!(gives_up_after(Strategy::Block { timeout }), timeout);
    }
}
