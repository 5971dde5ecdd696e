//! The gate: what every call of a dependency passes, in the caller's own task.
//!
//! Breaker, limiter, permits and waiting room, each whole in itself, joined by two rules: whoever
//! opens the breaker empties the waiting room, and nobody joins the room once it has been emptied.
//! The same goes for a key's breaker and the calls on that key.
//! The gate waits for nothing and asks nobody the time. It is the truth about its dependency: the
//! actor that looks after it can die and be rebuilt without anything here changing.

mod reload;

use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::breaker::{Admission, CircuitBreaker, Refusal};
use crate::clock::{Moment, nanos};
use crate::entropy::Entropy;
use crate::error::RejectedBy;
use crate::event::{State, Transition};
use crate::limit::{self, AnyAlgorithm, RateLimiter};
use crate::live::Live;
use crate::outcome::Lesson;
use crate::policy::Policy;
use crate::sync::{AtomicU64, CachePadded, Ordering};

use super::keys::{Key, KeyBreakers};
use super::quota::Quota;
use super::room::{Join, Room, TurnedAway};
use reload::{block_timeout, limiter};

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

impl From<limit::Refusal> for Refused {
    fn from(refusal: limit::Refusal) -> Self {
        Self { by: RejectedBy::RateLimit, retry_after: refusal.retry_after }
    }
}

/// A dependency's guards.
#[derive(Debug)]
pub struct Gate {
    breaker: CircuitBreaker,
    keys: KeyBreakers,
    /// What every call writes, off the lines that every call only reads.
    written: CachePadded<Written>,
    /// In nanoseconds.
    max_wait: AtomicU64,
    block_timeout: AtomicU64,
    turn_max_wait: AtomicU64,
    /// The limiter's number. It grows before the limiter is replaced and again after it, so that no token is ever
    /// taken for another one's.
    limiters: AtomicU64,
    /// Whoever goes by it has left the limiter's first value, so that others need not look.
    quota: Quota,
    /// For whoever waits for his turn: a breaker has opened, or the limit has changed.
    turns: Notify,
}

/// What came of a knock, and the number of the limiter that has given a token for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knock {
    /// Come in.
    Open(u64),
    /// There is a turn, at this moment.
    At(Moment, u64),
    /// Come in, by the dependency's own quota.
    Paced(u64),
}

#[derive(Debug)]
struct Written {
    limiter: Live<Option<RateLimiter<AnyAlgorithm>>>,
    room: Room,
}

impl Gate {
    /// The guards that `policy` asks for, all permits free and the breaker closed. `entropy` jitters how
    /// long that stays open.
    #[must_use]
    pub fn new(policy: &Policy, now: Moment, entropy: Entropy) -> Self {
        let gate = Self {
            breaker: CircuitBreaker::new(policy.shared_breaker(), now).with_entropy(entropy),
            keys: KeyBreakers::new(policy),
            written: CachePadded(Written {
                limiter: Live::new(limiter(policy, now)),
                room: Room::new(policy.bulkhead().max_concurrent(), policy.mailbox()),
            }),
            max_wait: AtomicU64::new(nanos(policy.bulkhead().max_wait())),
            block_timeout: AtomicU64::new(block_timeout(policy)),
            turn_max_wait: AtomicU64::new(nanos(policy.rate_limit_max_wait())),
            limiters: AtomicU64::new(0),
            quota: Quota::new(),
            turns: Notify::new(),
        };
        gate.set_quota(policy);
        gate
    }

    fn set_quota(&self, policy: &Policy) {
        self.quota.set(policy.quota());
        if policy.quota().is_some() {
            self.written.0.limiter.leave_first();
        }
    }

    /// The breaker. Moves made on it directly do not empty the waiting room: use the gate's own.
    #[must_use]
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// The breakers of its keys.
    pub(crate) fn keys(&self) -> &KeyBreakers {
        &self.keys
    }

    /// What the dependency's answers say of its quota.
    pub(super) fn quota(&self) -> &Quota {
        &self.quota
    }

    /// Calls waiting for a permit.
    #[must_use]
    pub fn waiters(&self) -> u32 {
        self.written.0.room.permits().waiters()
    }

    pub(crate) fn room(&self) -> &Room {
        &self.written.0.room
    }

    /// The first look: an open breaker, the key's too, answers for itself and burns no token. A limiter
    /// that shapes gives a turn that comes before `deadline`.
    #[inline]
    pub(crate) fn knock(
        &self,
        key: Option<&Key>,
        now: Moment,
        deadline: Moment,
    ) -> Result<Knock, Refused> {
        self.breaker.check(now)?;
        if let Some(key) = key {
            self.keys.check(key, &self.breaker, now)?;
        }
        match self.written.0.limiter.first() {
            Some(limiter) => self.ask(limiter.as_ref(), 0, now, deadline),
            None => self.knock_later(now, deadline),
        }
    }

    /// With a limiter that has been replaced, or a quota beside it.
    #[cold]
    fn knock_later(&self, now: Moment, deadline: Moment) -> Result<Knock, Refused> {
        let number = self.limiters.load(Ordering::Acquire);
        let limiter = &self.written.0.limiter;
        match limiter.with(|limiter| self.ask(limiter.as_ref(), number, now, deadline))? {
            Knock::Open(number) if self.quota.is_on() => Ok(Knock::Paced(number)),
            knock => Ok(knock),
        }
    }

    #[inline]
    fn ask(
        &self,
        limiter: Option<&RateLimiter<AnyAlgorithm>>,
        number: u64,
        now: Moment,
        deadline: Moment,
    ) -> Result<Knock, Refused> {
        let Some(limiter) = limiter else { return Ok(Knock::Open(number)) };
        let longest = self.turn_max_wait.load(Ordering::Relaxed);
        if longest == 0 {
            limiter.try_take(now, 1)?;
            return Ok(Knock::Open(number));
        }
        let wait = Self::turn(limiter, now, deadline, longest)?;
        Ok(if wait.is_zero() { Knock::Open(number) } else { Knock::At(now + wait, number) })
    }

    #[cold]
    fn turn(
        limiter: &RateLimiter<AnyAlgorithm>,
        now: Moment,
        deadline: Moment,
        longest: u64,
    ) -> Result<Duration, limit::Refusal> {
        // At the deadline itself there would be no time left to do anything in.
        let left = deadline.nanos_since(now).saturating_sub(1);
        let patience = Duration::from_nanos(longest.min(left));
        limiter.reserve(now, 1, patience).map_err(|refusal| limit::Refusal {
            // It says when the same would be granted, which a later attempt with less time left is not: nearer
            // to its deadline than `max_wait`, the call is told when it would not have to wait at all.
            retry_after: refusal
                .retry_after
                .map(|after| if left < longest { after.saturating_add(patience) } else { after }),
        })
    }

    /// Whether the limiter of this number is not asked any more.
    pub(crate) fn is_replaced(&self, number: u64) -> bool {
        self.limiters.load(Ordering::Acquire) != number
    }

    /// Ends when whoever waits for his turn must look again, because of what happens after this call.
    pub(crate) fn turns(&self) -> Notified<'_> {
        self.turns.notified()
    }

    /// Gives back the token, taken for this moment, of an attempt that was never dispatched: to the limiter of
    /// this number, which has given it, or to nobody.
    pub(crate) fn refund(&self, number: u64, now: Moment, taken_for: Moment) {
        self.written.0.limiter.with(|limiter| {
            if let Some(limiter) = limiter
                && !self.is_replaced(number)
            {
                limiter.refund(now, 1, taken_for);
            }
        });
    }

    /// What a call that waits looks at: the breaker, and the key's.
    pub(crate) fn check(&self, key: Option<&Key>, now: Moment) -> Result<(), Refused> {
        self.breaker.check(now)?;
        key.map_or(Ok(()), |key| self.keys.check_again(key, &self.breaker, now))
    }

    /// Takes a permit or a place in the line; the breakers are looked at again with the line locked.
    pub(crate) fn join(
        &self,
        key: Option<&Key>,
        now: Moment,
        deadline: Moment,
        shut_down: impl FnOnce() -> bool,
    ) -> Join {
        let max_wait = self.max_wait.load(Ordering::Relaxed);
        if max_wait == 0 {
            return Join::Refused(TurnedAway::Expired);
        }
        let give_up_at = now.plus_nanos(max_wait).min(deadline);
        let blocked_until = now.plus_nanos(self.block_timeout.load(Ordering::Relaxed));
        self.written.0.room.join(key.map(Key::id), give_up_at, blocked_until, || {
            if shut_down() {
                return Some(TurnedAway::ShutDown);
            }
            self.check(key, now).is_err().then_some(TurnedAway::Flushed)
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

    /// Counts an admitted attempt that ended well, and in good time.
    #[inline]
    pub(crate) fn record_good(&self, admission: Admission, now: Moment) -> Option<Transition> {
        let moved = self.breaker.record_good(admission, now);
        if let Some(transition) = moved {
            self.settle(transition);
        }
        moved
    }

    /// Counts how an admitted attempt ended.
    pub(crate) fn record(
        &self,
        admission: Admission,
        lesson: impl Into<Lesson>,
        now: Moment,
    ) -> Option<Transition> {
        let moved = self.breaker.record(admission, lesson, now);
        if let Some(transition) = moved {
            self.settle(transition);
        }
        moved
    }

    /// Counts how an attempt on `key` ended, and says what [`Gate::record`] is to count of it.
    pub(crate) fn record_by_key(
        &self,
        key: &Key,
        admissions: (Admission, Admission),
        lesson: Lesson,
        now: Moment,
    ) -> (Lesson, Option<Transition>) {
        let (for_all, moved) = self.keys.record(key, admissions, lesson, now);
        // A breaker that opened but refuses nothing only observes, or is overruled by hand.
        if moved.is_some_and(|moved| moved.to == State::Open)
            && self.keys.check_again(key, &self.breaker, now).is_err()
        {
            self.written.0.room.flush_key(key.id(), TurnedAway::Flushed);
            self.turns.notify_waiters();
        }
        (for_all, moved)
    }

    /// What a move of the breaker means for those who wait.
    #[cold]
    fn settle(&self, moved: Transition) {
        if moved.to == State::Open && !self.breaker.is_observing() {
            self.turn_away();
        }
    }

    /// Holds the breaker open by hand and turns everybody waiting away.
    pub(crate) fn force_open(&self, now: Moment) -> Option<Transition> {
        let moved = self.breaker.force_open(now);
        // Though no move was made: behind an open breaker whose time was up, calls may wait again.
        self.turn_away();
        moved
    }

    /// The breaker is open: nobody waits for anything any more.
    fn turn_away(&self) {
        self.written.0.room.flush(TurnedAway::Flushed);
        self.turns.notify_waiters();
    }

    /// The backstop for everything that callers do for themselves: moves an open breaker on, calls up
    /// whoever a free permit is for, turns away whoever an open breaker or a passed time forgot.
    /// Returns the move, if one was made, and when the breaker wants to be looked at again.
    pub(crate) fn tick(&self, now: Moment) -> (Option<Transition>, Option<Moment>) {
        let (moved, next) = self.breaker.poll(now);
        if self.breaker.check(now).is_err() && self.breaker.state() == State::Open {
            self.turn_away();
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
        assert!(matches!(gate.join(None, Moment::ZERO, Moment::MAX, || false), Join::Waiting(_)));
        gate
    }

    fn gives_up_after(on_full: Strategy) -> Duration {
        let gate = full(on_full);
        match gate.join(None, Moment::ZERO, Moment::MAX, || false) {
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
