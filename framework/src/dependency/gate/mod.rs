//! The gate: the guards that every call of a dependency passes, in the caller's own task.
//!
//! Breaker, limiter, permits and waiting room, joined by two rules. The caller that opens the breaker empties the
//! waiting room. No call joins the waiting room after that while the breaker is open. The same two rules hold for a
//! key's breaker and the calls on that key.
//!
//! The gate never waits and reads no clock. It holds the whole state of its guards, so the actor can stop and be
//! rebuilt without any change here.

mod bounds;
mod reload;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use once_cell::race::OnceBox;

use crate::backpressure::Rank;
use crate::breaker::{CircuitBreaker, Leave};
use crate::bulkhead::Tuner;
use crate::clock::{Moment, nanos};
use crate::entropy::Entropy;
use crate::error::RejectedBy;
use crate::event::{State, Transition};
use crate::limit::{AnyAlgorithm, RateLimiter};
use crate::listeners::Listeners;
use crate::outcome::AttemptEnd;
use crate::policy::Policy;
use crate::swappable::Swappable;
use crate::sync::{AtomicU64, Ordering};

pub(crate) use tokens::Token;

use super::claim::Claim;
use super::fleet::FleetSeat;
use super::keys::{HeldKey, KeyBreakers};
use super::lingering::Lingering;
use super::quota::Quota;
use super::refusals::Refused;
use super::shared_tokens::SharedTokens;
use super::start_by::StartBy;
use super::waiter::{Join, Newcomer, WaitError, WaitLimits};
use super::waiting_room::WaitingRoom;
use reload::{block_timeout, limiter, tuner};

/// A dependency's guards.
#[derive(Debug)]
// In order, so that what a call needs is in few lines of the cache: see `Dependency`.
#[repr(C)]
pub struct Gate {
    breaker: CircuitBreaker,
    // The breaker ends with what calls among failures write, apart from what others do: the following are for those who wait,
    // or for nobody.
    /// In nanoseconds.
    max_wait: AtomicU64,
    block_timeout: AtomicU64,
    /// The limiter's number. It grows before the limiter is replaced and again after it: while it is odd, a token may be
    /// of either limiter.
    limiters: AtomicU64,
    /// Where its permits are part of a fleet's.
    seat: OnceBox<FleetSeat>,
    /// A limit that others share. With it, the limiter is no longer read by its first value.
    shared: OnceBox<Arc<dyn SharedTokens>>,
    /// Wakes the calls that wait for a token: a breaker has opened, or the limit has changed.
    limit_changed: Listeners,
    // What every call writes at its beginning.
    /// In nanoseconds. Only read, and with the limiter.
    rate_limit_max_wait: AtomicU64,
    limiter: Swappable<Option<RateLimiter<AnyAlgorithm>>>,
    waiting_room: WaitingRoom,
    // What a good call does not need.
    keys: KeyBreakers,
    /// Finds the number of permits, if that is not fixed.
    tuner: Swappable<Option<Box<Tuner>>>,
    lingering: Lingering,
    /// With a quota, too, the limiter is no longer read by its first value, so that calls without one need not look here.
    quota: Quota,
}

impl Gate {
    /// The guards that `policy` asks for, all permits free and the breaker closed. `entropy` jitters how
    /// long that stays open.
    #[must_use]
    pub fn new(policy: &Policy, now: Moment, entropy: Entropy) -> Self {
        let (tuner, permits) = tuner(policy, now);
        let gate = Self {
            tuner: Swappable::new(tuner),
            breaker: CircuitBreaker::late(policy.shared_breaker(), now).with_entropy(entropy),
            keys: KeyBreakers::new(policy),
            rate_limit_max_wait: AtomicU64::new(nanos(policy.rate_limit_max_wait())),
            limiter: Swappable::new(limiter(policy, now)),
            waiting_room: WaitingRoom::new(permits, policy.mailbox()),
            lingering: Lingering::new(policy.bulkhead().grace()),
            seat: OnceBox::new(),
            max_wait: AtomicU64::new(nanos(policy.bulkhead().max_wait())),
            block_timeout: AtomicU64::new(block_timeout(policy)),
            limiters: AtomicU64::new(0),
            quota: Quota::new(),
            shared: OnceBox::new(),
            limit_changed: Listeners::default(),
        };
        gate.set_quota(policy);
        gate
    }

    /// Where those of its fields are that a good call only reads.
    #[cfg(all(test, not(seawall_loom)))]
    pub(super) fn read_by_each_call() -> [usize; 5] {
        CircuitBreaker::read_by_each_call().map(|at| std::mem::offset_of!(Self, breaker) + at)
    }

    /// Where those are that it writes, with what belongs to them: first what it writes only among failures.
    #[cfg(all(test, not(seawall_loom)))]
    pub(super) fn written_by_each_call() -> [usize; 3] {
        use std::mem::offset_of;
        let numbers = offset_of!(Self, breaker) + CircuitBreaker::written_among_failures();
        [numbers, offset_of!(Self, rate_limit_max_wait), offset_of!(Self, waiting_room)]
    }

    fn set_quota(&self, policy: &Policy) {
        self.quota.set(policy.quota());
        if policy.quota().is_some() {
            self.limiter.leave_first();
        }
    }

    /// The breaker. Transitions made on it directly do not empty the waiting room: use the gate's own.
    #[must_use]
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    /// The breakers of its keys.
    pub(crate) fn keys(&self) -> &KeyBreakers {
        &self.keys
    }

    /// What the dependency's answers say of its quota.
    pub(crate) fn quota(&self) -> &Quota {
        &self.quota
    }

    /// Calls waiting for a permit.
    #[must_use]
    pub fn waiters(&self) -> u32 {
        self.waiting_room.permits().waiters()
    }

    pub(crate) fn waiting_room(&self) -> &WaitingRoom {
        &self.waiting_room
    }

    /// The check that comes first: the breaker, and the key's. An open breaker costs no token.
    pub(crate) fn check_first(&self, key: Option<&HeldKey>, now: Moment) -> Result<(), Refused> {
        self.breaker.check(now)?;
        key.map_or(Ok(()), |key| self.keys.check(key, &self.breaker, now))
    }

    /// The check of a call that waits: the breaker, and the key's.
    pub(crate) fn check(&self, key: Option<&HeldKey>, now: Moment) -> Result<(), Refused> {
        self.breaker.check(now)?;
        key.map_or(Ok(()), |key| self.keys.check_again(key, &self.breaker, now))
    }

    /// Whether a call without a permit may wait for one, as things are. Counts nothing.
    pub(crate) fn may_wait(&self) -> bool {
        self.max_wait.load(Ordering::Relaxed) != 0
            && self.waiting_room().full().has_room(self.waiters())
    }

    /// Why a call without a permit may not even wait, if that is known without the queue's lock.
    pub(crate) fn refuses_to_wait(&self) -> Option<RejectedBy> {
        if self.max_wait.load(Ordering::Relaxed) == 0 {
            return Some(RejectedBy::Bulkhead);
        }
        self.waiting_room().full().refuses(self.waiters())
    }

    /// Takes a permit or a position in the queue. The breakers are checked again with the queue locked. A call that has
    /// no time left to wait is told so at once.
    pub(crate) fn join(
        &self,
        claim: Claim<'_>,
        start_by: StartBy,
        shut_down: impl FnOnce() -> bool,
    ) -> Join {
        let Claim { key, weight, now, priority, lot, waker } = claim;
        let max_wait = self.max_wait.load(Ordering::Relaxed);
        if max_wait == 0 || start_by.latest <= now {
            return Join::Refused(WaitError::Expired);
        }
        let give_up_at = now.plus_nanos(max_wait).min(start_by.latest);
        let blocked_until = now.plus_nanos(self.block_timeout.load(Ordering::Relaxed));
        let limits = WaitLimits { give_up_at, blocked_until, noticed_late: start_by.noticed_late };
        let (class, rank) = (priority.importance(), Rank::new(priority, lot));
        let key_id = key.map(HeldKey::id);
        let newcomer = Newcomer { key: key_id, weight, class, rank, limits, now, waker };
        self.waiting_room.join(newcomer, || {
            if shut_down() {
                return Some(WaitError::ShutDown);
            }
            self.check(key, now).is_err().then_some(WaitError::BreakerOpen)
        })
    }

    /// Leave by the breaker, with the permit in hand. This check decides.
    #[inline]
    pub(crate) fn admit(
        &self,
        now: Moment,
        moved: &mut Option<Transition>,
    ) -> Result<Leave, Refused> {
        Ok(self.breaker.let_in(now, moved)?)
    }

    /// Counts an admitted attempt that ended well, and in good time.
    #[inline]
    pub(crate) fn record_good(&self, admission: Leave, now: Moment) -> Option<Transition> {
        let moved = self.breaker.record_good(admission, now);
        if let Some(transition) = moved {
            self.settle(transition);
        }
        moved
    }

    /// Counts how an admitted attempt ended.
    pub(crate) fn record(
        &self,
        admission: Leave,
        attempt_end: impl Into<AttemptEnd>,
        now: Moment,
    ) -> Option<Transition> {
        let moved = self.breaker.note_among(admission, attempt_end.into(), self.in_flight(), now);
        if let Some(transition) = moved {
            self.settle(transition);
        }
        moved
    }

    /// Takes back the admission of an attempt that comes to nothing, and the one by its key's breaker.
    pub(crate) fn take_back(&self, admission: Leave, key: Option<(&HeldKey, Leave)>) {
        self.breaker.take_back(admission);
        if let Some((key, own)) = key {
            self.keys.take_back(key, own);
        }
    }

    /// Attempts that the dependency may still answer.
    fn in_flight(&self) -> u32 {
        self.waiting_room.permits().active()
    }

    /// Counts how an attempt on `key` ended, and says what [`Gate::record`] is to count of it.
    pub(crate) fn record_by_key(
        &self,
        key: &HeldKey,
        admissions: (Leave, Leave),
        attempt_end: AttemptEnd,
        now: Moment,
    ) -> (AttemptEnd, Option<Transition>) {
        let in_flight = self.in_flight();
        let (for_all, moved) = self.keys.record(key, admissions, (attempt_end, in_flight), now);
        // A breaker that opened but refuses nothing only observes, or is overruled by hand.
        if moved.is_some_and(|moved| moved.to == State::Open)
            && self.keys.check_again(key, &self.breaker, now).is_err()
        {
            self.waiting_room.flush_key(key.id(), WaitError::BreakerOpen, now);
            self.limit_changed.tell();
        }
        (for_all, moved)
    }

    /// Applies a transition of the breaker to the calls that wait.
    #[cold]
    fn settle(&self, moved: Transition) {
        if moved.to == State::Open && !self.breaker.is_observing() {
            self.refuse_waiting();
        }
    }

    /// Holds the breaker open by hand and refuses every call that waits.
    pub(crate) fn force_open(&self, now: Moment) -> Option<Transition> {
        let moved = self.breaker.force_open(now);
        // Even without a transition: behind an open breaker whose time is up, calls may wait again.
        self.refuse_waiting();
        moved
    }

    /// Opens the breaker because it is open elsewhere, and refuses every call that waits.
    pub(crate) fn open_elsewhere(
        &self,
        counts: (u32, u32),
        now: Moment,
        open_for: Duration,
    ) -> Option<Transition> {
        let moved = self.breaker.open_elsewhere(counts, now, open_for)?;
        self.settle(moved);
        Some(moved)
    }

    /// Refuses every call that waits for a permit or a token.
    fn refuse_waiting(&self) {
        self.waiting_room.flush(WaitError::BreakerOpen);
        self.limit_changed.tell();
    }

    /// Does again what callers do for themselves, in case one did not: moves an open breaker on, grants free permits,
    /// refuses calls that wait behind an open breaker or past their deadline. Returns the transition, if there was one,
    /// and when the breaker needs the next look.
    pub(crate) fn tick(&self, now: Moment) -> (Option<Transition>, Option<Moment>) {
        let (moved, next) = self.breaker.poll(now);
        if self.breaker.check(now).is_err() && self.breaker.state() == State::Open {
            self.refuse_waiting();
        } else if self.waiting_room.permits().waiters() > 0 {
            self.waiting_room.grant_free(now);
        }
        let next =
            next.into_iter().chain(self.lingering.next()).chain(self.ask_for_waiters(now)).min();
        (moved, next)
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::backpressure::{Config, Strategy};
    use crate::dependency::waiter::Position;
    use crate::outcome::Outcome;
    use crate::{breaker, bulkhead};

    fn full(on_full: Strategy) -> Gate {
        let policy = Policy::builder()
            .bulkhead(bulkhead::Config::builder().max_concurrent(1).build())
            .mailbox(Config::builder().capacity(1).on_full(on_full).build())
            .build()
            .unwrap();
        let gate = Gate::new(&policy, Moment::ZERO, Entropy::seeded(0));
        assert!(gate.waiting_room().try_enter(1));
        assert!(matches!(
            gate.join(Claim::normal(Moment::ZERO), StartBy::NEVER, || false),
            Join::Waiting(_)
        ));
        gate
    }

    fn gives_up_after(on_full: Strategy) -> Duration {
        let gate = full(on_full);
        match gate.join(Claim::normal(Moment::ZERO), StartBy::NEVER, || false) {
            Join::Waiting(position) => {
                gate.waiting_room().gives_up_at(&position).since(Moment::ZERO)
            }
            joined => panic!("{joined:?}"),
        }
    }

    #[test]
    fn a_call_that_evicts_the_oldest_may_wait_for_max_wait() {
        assert_eq!(gives_up_after(Strategy::DropOldest), Duration::from_secs(30));
    }

    /// One permit, which is out, and a call that waits for it; opens at the first failure.
    fn waited_for(enforcement: breaker::Enforcement) -> (Gate, Position) {
        let breaker = breaker::Config::builder().failures(1).half_open_calls(1);
        let policy = Policy::builder()
            .breaker(breaker.enforcement(enforcement))
            .bulkhead(bulkhead::Config::builder().max_concurrent(1));
        let gate = Gate::new(&policy.build().unwrap(), Moment::ZERO, Entropy::seeded(0));
        assert!(gate.waiting_room().try_enter(1));
        match gate.join(Claim::normal(Moment::ZERO), StartBy::NEVER, || false) {
            Join::Waiting(position) => (gate, position),
            joined => panic!("{joined:?}"),
        }
    }

    fn waits(gate: &Gate, position: &Position) -> Poll<Result<(), WaitError>> {
        gate.waiting_room().poll(position, &mut Context::from_waker(Waker::noop()))
    }

    /// Fails an attempt, and nobody heeds what the breaker makes of that.
    fn trip(gate: &Gate) {
        let admission = gate.breaker().let_in(Moment::ZERO, &mut None).unwrap();
        assert!(gate.breaker().note(admission, Outcome::Failure, Moment::ZERO).is_some());
    }

    #[test]
    fn a_look_refuses_those_who_wait_behind_a_breaker_that_is_open() {
        let (gate, waiting) = waited_for(breaker::Enforcement::Enforce);
        trip(&gate);
        gate.tick(Moment::ZERO);
        assert_eq!(waits(&gate, &waiting), Poll::Ready(Err(WaitError::BreakerOpen)));
    }

    #[test]
    fn a_look_refuses_nobody_where_the_breaker_only_observes_or_has_its_probes_out() {
        let (gate, waiting) = waited_for(breaker::Enforcement::Observe);
        trip(&gate);
        gate.tick(Moment::ZERO);
        assert_eq!(gate.breaker().state(), State::Open);
        assert_eq!(waits(&gate, &waiting), Poll::Pending);

        let (gate, waiting) = waited_for(breaker::Enforcement::Enforce);
        trip(&gate);
        let now = Moment::ZERO + Duration::from_secs(3_600);
        assert!(gate.breaker().let_in(now, &mut None).unwrap().is_probe());
        assert!(gate.check(None, now).is_err(), "there is no place for another");
        gate.tick(now);
        assert_eq!(waits(&gate, &waiting), Poll::Pending);
    }

    #[test]
    fn a_look_hands_out_a_permit_that_nobody_handed_on() {
        let (gate, waiting) = waited_for(breaker::Enforcement::Enforce);
        assert!(gate.waiting_room().permits().release());
        assert_eq!(waits(&gate, &waiting), Poll::Pending);
        gate.tick(Moment::ZERO);
        assert_eq!(waits(&gate, &waiting), Poll::Ready(Ok(())));
    }

    #[test]
    fn those_who_wait_are_refused_when_other_instances_open_the_breaker() {
        let (gate, waiting) = waited_for(breaker::Enforcement::Enforce);
        assert!(gate.open_elsewhere((2, 2), Moment::ZERO, Duration::from_secs(5)).is_some());
        assert_eq!(waits(&gate, &waiting), Poll::Ready(Err(WaitError::BreakerOpen)));
    }

    #[test]
    fn a_call_with_no_time_to_wait_is_not_put_into_the_queue() {
        let gate = Gate::new(&Policy::default(), Moment::ZERO, Entropy::seeded(0));
        let now = Moment::ZERO + Duration::from_secs(1);
        let start_by = StartBy { latest: now, ..StartBy::NEVER };
        let joined = gate.join(Claim::normal(now), start_by, || false);
        assert!(matches!(joined, Join::Refused(WaitError::Expired)), "{joined:?}");
        assert_eq!(gate.waiting_room().counts().received, 0);
    }

    #[test]
    fn a_blocked_call_gives_up_at_the_block_timeout() {
        let timeout = Duration::from_secs(3);
        assert_eq!(gives_up_after(Strategy::Block { timeout }), timeout);
    }

    #[test]
    fn a_blocked_call_that_moves_up_may_wait_for_max_wait() {
        let gate = full(Strategy::Block { timeout: Duration::from_secs(1) });
        let Join::Waiting(position) =
            gate.join(Claim::normal(Moment::ZERO), StartBy::NEVER, || false)
        else {
            panic!("a permit is out and the queue is full");
        };
        let room = gate.waiting_room();
        assert_eq!(room.gives_up_at(&position).since(Moment::ZERO), Duration::from_secs(1));
        room.leave(1, || Moment::ZERO);
        assert_eq!(room.gives_up_at(&position).since(Moment::ZERO), Duration::from_secs(30));
    }
}
