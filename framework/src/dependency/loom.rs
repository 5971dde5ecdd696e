//! The gate under the model checker: breaker, permits and waiting room as the pipeline uses them, in
//! every interleaving of a few threads with up to three forced switches. The code is the real one;
//! only its atomics and mutexes are loom's (see `sync.rs`). Run with
//!
//! ```text
//! RUSTFLAGS="--cfg seawall_loom" cargo test -p seawall --lib --release loom
//! ```
//!
//! in a target directory of its own. `LOOM_MAX_PREEMPTIONS` overrides the three. A call that sleeps
//! for ever is reported as a deadlock.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Release};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use loom::future::block_on;
use loom::thread;

use super::claim::Claim;
use super::gate::{Gate, Token};
use super::signals::Signals;
use super::start_by::StartBy;
use super::waiter::{Join, Position, WaitError};
use crate::backpressure::{self, Strategy};
use crate::breaker::{self, Leave};
use crate::bulkhead;
use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::event::State;
use crate::limit;
use crate::outcome::{AttemptEnd, Outcome};
use crate::policy::Policy;
use crate::sync::model;

const NOW: Moment = Moment::from_nanos(1_000_000_000);

/// A gate and how many are inside.
struct World {
    policy: Policy,
    gate: Gate,
    limit: u32,
    inside: AtomicU32,
}

/// `limit` permits; opens at the first failure.
fn world(limit: u32, mailbox: backpressure::Builder) -> Arc<World> {
    let policy = Policy::builder()
        .breaker(breaker::Config::builder().failures(1).build())
        .bulkhead(bulkhead::Config::builder().max_concurrent(limit).build())
        .mailbox(mailbox.build())
        .build()
        .unwrap();
    Arc::new(World {
        gate: Gate::new(&policy, NOW, Entropy::seeded(0)),
        policy,
        limit,
        inside: AtomicU32::new(0),
    })
}

fn on(key: &super::HeldKey) -> Claim<'_> {
    Claim { key: Some(key), ..Claim::normal(NOW) }
}

fn blocking() -> backpressure::Builder {
    backpressure::Config::builder().capacity(4)
}

impl World {
    /// As the pipeline does: a look at the breaker, then a permit or a position in the queue.
    fn enter(&self) -> Result<Option<Position>, WaitError> {
        if self.gate.check_first(None, NOW).is_err()
            || self.gate.take_token(NOW, || Moment::MAX).is_err()
        {
            return Err(WaitError::BreakerOpen);
        }
        let room = self.gate.waiting_room();
        if room.look(1).is_some_and(|seen| room.enter_seen(seen, 1)) {
            return Ok(None);
        }
        match self.gate.join(Claim::normal(NOW), StartBy::NEVER, || false) {
            Join::Acquired => Ok(None),
            Join::Waiting(position) => Ok(Some(position)),
            Join::Refused(end) => Err(end),
        }
    }

    fn wait(&self, position: &Position) -> Result<(), WaitError> {
        block_on(poll_fn(|cx| self.gate.waiting_room().poll(position, cx)))
    }

    /// With a permit in hand: the lease, the dependency, the end.
    fn attempt(&self, outcome: Outcome) -> bool {
        let admitted = self.gate.admit(NOW, &mut None);
        if let Ok(admission) = admitted {
            self.end(admission, outcome);
        }
        self.gate.waiting_room().leave(1, || NOW);
        admitted.is_ok()
    }

    fn end(&self, admission: Leave, outcome: Outcome) {
        assert!(self.inside.fetch_add(1, Ordering::SeqCst) < self.limit, "one too many");
        thread::yield_now();
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.gate.record(admission, outcome, NOW);
    }

    /// A whole call, waiting as long as it takes.
    fn call(&self, outcome: Outcome) -> Result<bool, WaitError> {
        if let Some(position) = self.enter()? {
            self.wait(&position)?;
        }
        Ok(self.attempt(outcome))
    }

    /// A call that gives up as soon as it has to wait. True if it never had to.
    fn call_impatient(&self) -> bool {
        let Ok(entered) = self.enter() else { return false };
        let Some(position) = entered else { return self.attempt(Outcome::Success) };
        let mut cx = Context::from_waker(Waker::noop());
        match self.gate.waiting_room().poll(&position, &mut cx) {
            Poll::Ready(Ok(())) => self.gate.waiting_room().leave(1, || NOW),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                if self.gate.waiting_room().give_up(&position, || NOW).is_none() {
                    self.gate.waiting_room().leave(1, || NOW);
                }
            }
        }
        false
    }

    /// Holds a permit and a lease.
    fn hold(&self) -> Leave {
        assert!(self.gate.waiting_room().try_enter(1));
        self.gate.admit(NOW, &mut None).unwrap()
    }

    fn let_go(&self, admission: Leave, outcome: Outcome) {
        self.gate.record(admission, outcome, NOW);
        self.gate.waiting_room().leave(1, || NOW);
    }

    /// Everything was given back, nobody is left in the line, and nothing is uncounted.
    fn is_empty(&self) {
        let permits = self.gate.waiting_room().permits();
        assert_eq!((permits.active(), permits.waiters()), (0, 0));
        let counts = self.gate.waiting_room().counts();
        assert_eq!(counts.received, counts.processed + counts.dropped);
        assert!(permits.limit() == self.limit && self.inside.load(Ordering::SeqCst) == 0);
    }
}

fn spawn<T: 'static>(
    world: &Arc<World>,
    work: impl FnOnce(&World) -> T + 'static,
) -> thread::JoinHandle<T> {
    let world = Arc::clone(world);
    thread::spawn(move || work(&world))
}

#[test]
fn two_calls_for_two_permits_never_wait() {
    model("admit and end: 2 calls, 2 permits", || {
        let world = world(2, blocking());
        let other = spawn(&world, |world| world.call(Outcome::Success));
        assert_eq!(world.call(Outcome::Success), Ok(true));
        assert_eq!(other.join().unwrap(), Ok(true));
        world.is_empty();
        assert_eq!(world.gate.waiting_room().counts().received, 0);
    });
}

#[test]
fn two_calls_for_one_permit_both_get_it() {
    model("wait: 2 calls, 1 permit", || {
        let world = world(1, blocking());
        let other = spawn(&world, |world| world.call(Outcome::Success));
        assert_eq!(world.call(Outcome::Success), Ok(true));
        assert_eq!(other.join().unwrap(), Ok(true));
        world.is_empty();
    });
}

#[test]
fn a_permit_given_back_as_two_join_goes_to_both_in_turn() {
    model("wait: 2 join as 1 permit comes back", || {
        let world = world(1, blocking());
        let held = world.hold();
        let first = spawn(&world, |world| world.call(Outcome::Success));
        let second = spawn(&world, |world| world.call(Outcome::Success));
        world.let_go(held, Outcome::Success);
        assert_eq!(first.join().unwrap(), Ok(true));
        assert_eq!(second.join().unwrap(), Ok(true));
        world.is_empty();
    });
}

#[test]
fn a_waiter_that_gives_up_as_it_is_granted_passes_the_permit_on() {
    model("cancel: 1 gives up, 1 waits, 1 permit comes back", || {
        let world = world(1, blocking());
        let held = world.hold();
        let impatient = spawn(&world, |world| {
            world.call_impatient();
        });
        let patient = spawn(&world, |world| world.call(Outcome::Success));
        world.let_go(held, Outcome::Success);
        impatient.join().unwrap();
        assert_eq!(patient.join().unwrap(), Ok(true));
        world.is_empty();
    });
}

#[test]
fn a_trip_turns_everybody_away_who_waits_or_comes() {
    model("flush: the breaker opens as 2 join", || {
        let world = world(1, blocking());
        let held = world.hold();
        let first = spawn(&world, |world| world.call(Outcome::Success));
        let second = spawn(&world, |world| world.call(Outcome::Success));
        world.let_go(held, Outcome::Failure);
        for other in [first, second] {
            // Turned away, or with a permit in hand refused by the breaker.
            let end = other.join().unwrap();
            assert!(matches!(end, Err(WaitError::BreakerOpen) | Ok(false)), "{end:?}");
        }
        assert_eq!(world.gate.breaker().state(), State::Open);
        world.is_empty();
    });
}

/// No permit comes back in this model: a call that is forgotten in the queue would wait for ever.
#[test]
fn a_key_that_opens_turns_its_own_calls_away_and_nobody_else() {
    model("flush: a key opens as a call on it and one on another join", || {
        let world = world(1, blocking());
        let key = |key: &str| world.gate.keys().hold(&world.policy, key, NOW);
        let (opens, same, other) = (key("a"), key("a"), key("b"));
        let whole = world.hold();
        let own = world.gate.keys().admit(&opens, (world.gate.breaker(), whole), NOW, &mut None);
        let own = own.unwrap().unwrap();
        let refuse_wait = spawn(&world, move |world| {
            if world.gate.check_first(Some(&same), NOW).is_err()
                || world.gate.take_token(NOW, || Moment::MAX).is_err()
            {
                return;
            }
            match world.gate.join(on(&same), StartBy::NEVER, || false) {
                Join::Waiting(position) => {
                    assert_eq!(world.wait(&position), Err(WaitError::BreakerOpen));
                }
                joined => assert!(matches!(joined, Join::Refused(WaitError::BreakerOpen))),
            }
        });
        let waits = spawn(&world, move |world| {
            match world.gate.join(on(&other), StartBy::NEVER, || false) {
                Join::Waiting(position) => assert_eq!(world.wait(&position), Ok(())),
                joined => assert!(matches!(joined, Join::Acquired)),
            }
            world.gate.waiting_room().leave(1, || NOW);
        });
        let attempt_end = AttemptEnd::from(Outcome::Failure);
        let (for_all, _) = world.gate.record_by_key(&opens, (own, whole), attempt_end, NOW);
        refuse_wait.join().unwrap();
        world.gate.record(whole, for_all, NOW);
        world.gate.waiting_room().leave(1, || NOW);
        waits.join().unwrap();
        assert_eq!(world.gate.breaker().state(), State::Closed);
        world.is_empty();
    });
}

#[test]
fn a_trip_and_a_waiter_that_gives_up_leave_nobody_behind() {
    model("flush and cancel: the breaker opens as 1 joins and gives up", || {
        let world = world(1, blocking());
        let held = world.hold();
        let impatient = spawn(&world, |world| {
            world.call_impatient();
        });
        let patient = spawn(&world, |world| world.call(Outcome::Success));
        world.let_go(held, Outcome::Failure);
        impatient.join().unwrap();
        assert!(matches!(patient.join().unwrap(), Err(WaitError::BreakerOpen) | Ok(false)));
        world.is_empty();
    });
}

#[test]
fn the_oldest_is_dropped_and_the_newest_gets_the_permit() {
    model("drop_oldest: 2 join a line of 1 as 1 permit comes back", || {
        let world = world(1, blocking().capacity(1).on_full(Strategy::DropOldest));
        let held = world.hold();
        let first = spawn(&world, |world| world.call(Outcome::Success));
        let second = spawn(&world, |world| world.call(Outcome::Success));
        world.let_go(held, Outcome::Success);
        let ends = [first.join().unwrap(), second.join().unwrap()];
        assert!(ends.contains(&Ok(true)));
        assert!(ends.iter().all(|end| matches!(end, Ok(true) | Err(WaitError::Dropped))));
        world.is_empty();
    });
}

#[test]
fn the_backstop_gets_in_nobodys_way() {
    model("tick: as 1 waits and 1 permit comes back", || {
        let world = world(1, blocking());
        let held = world.hold();
        let waiter = spawn(&world, |world| world.call(Outcome::Success));
        let actor = spawn(&world, |world| world.gate.tick(NOW));
        world.let_go(held, Outcome::Success);
        assert_eq!(waiter.join().unwrap(), Ok(true));
        assert_eq!(actor.join().unwrap(), (None, None));
        world.is_empty();
    });
}

#[test]
fn forced_open_behind_a_breaker_whose_time_is_up_nobody_waits_on() {
    model("force_open: nobody is left in the line of an open breaker", || {
        let world = world(1, blocking());
        let held = world.hold();
        // It opens, stays open, and its time passes: a call that comes now may wait to be a probe.
        let other = spawn(&world, |world| {
            let later = NOW + Duration::from_secs(30);
            if world.gate.breaker().check(later).is_err() {
                return;
            }
            match world.gate.join(Claim::normal(later), StartBy::NEVER, || false) {
                Join::Waiting(position) => assert!(world.wait(&position).is_err()),
                Join::Acquired => world.gate.waiting_room().leave(1, || later),
                Join::Refused(end) => assert_eq!(end, WaitError::BreakerOpen),
            }
        });
        world.gate.record(held, Outcome::Failure, NOW);
        world.gate.force_open(NOW);
        other.join().unwrap();
        world.gate.waiting_room().leave(1, || NOW);
        world.is_empty();
    });
}

#[test]
fn a_late_answer_changes_nothing_for_those_who_come_after_a_reset() {
    model("stale: an old failure, a reset and a call", || {
        let world = world(2, blocking());
        let old = world.hold();
        world.gate.breaker().reset(NOW);
        let late = spawn(&world, move |world| world.let_go(old, Outcome::Failure));
        assert_eq!(world.call(Outcome::Success), Ok(true));
        late.join().unwrap();
        let report = world.gate.breaker().report(Moment::ZERO);
        assert_eq!((report.state, report.stale_results), (State::Closed, 1));
        world.is_empty();
    });
}

#[test]
fn a_drain_sees_the_permit_or_the_call_sees_the_drain() {
    model("drain: 1 takes a permit as calls are no longer taken", || {
        let world = world(1, blocking());
        let serving = Arc::new(AtomicU64::new(1));
        let (seen, call) = {
            let read = Arc::clone(&serving);
            // As a call does: a permit, then whether it is still served.
            let other = spawn(&world, move |world| {
                let entered = world.gate.waiting_room().try_enter(1);
                assert!(entered);
                read.load(Acquire) == 1
            });
            // As a drain does.
            serving.store(0, Release);
            let seen = world.gate.waiting_room().permits().active_and_fence();
            (seen, other.join().unwrap())
        };
        assert!(seen == 1 || !call, "a call went on that the drain has not seen");
        world.gate.waiting_room().leave(1, || NOW);
    });
}

#[test]
fn what_changed_before_a_signal_is_seen_by_a_look_after_it() {
    model("signals: 2 are raised as the actor looks", || {
        let shared = Arc::new((Signals::default(), AtomicU64::new(0)));
        let raising = Arc::clone(&shared);
        let other = thread::spawn(move || {
            for change in 1..=2 {
                raising.1.store(change, Release);
                raising.0.raise();
            }
        });
        while shared.1.load(Acquire) != 2 {
            block_on(poll_fn(|cx| shared.0.poll(cx)));
        }
        other.join().unwrap();
    });
}

#[test]
fn a_permit_added_before_another_is_given_back_lets_nobody_in_between() {
    model("an added permit", || {
        let world = world(1, blocking());
        let room = world.gate.waiting_room();
        assert!(room.try_enter(1));
        let newcomer = spawn(&world, |world| world.gate.waiting_room().try_enter(1));
        // What a stream does with its first item: a permit of its own, then its attempt gives the other back.
        room.permits().add(1);
        room.leave(1, || NOW);
        assert!(!newcomer.join().unwrap(), "the stream still has the permit");
        room.leave(1, || NOW);
        assert_eq!(room.permits().active(), 0);
    });
}

#[test]
fn a_token_of_the_limit_before_a_reload_is_not_given_back_to_the_one_after_it() {
    model("reload: 1 takes a token of 2, of which 1 is spent, and gives it back", || {
        let limited = |rate| {
            Policy::builder()
                .rate_limit(limit::Config::token_bucket(2, rate).unwrap())
                .build()
                .unwrap()
        };
        let (first, before, after) = (limited(0.5), limited(1.0), limited(2.0));
        let gate = Arc::new(Gate::new(&first, NOW, Entropy::seeded(0)));
        gate.reconfigure(&first, &before, NOW).1.wake();
        let take = |gate: &Gate| gate.take_token(NOW, || Moment::MAX);
        assert!(take(&gate).is_ok());
        let taking = Arc::clone(&gate);
        let other = thread::spawn(move || match take(&taking) {
            Ok(Token::Now(number)) => taking.refund(number, NOW, NOW),
            taken => panic!("{taken:?}"),
        });
        let (moved, wakers) = gate.reconfigure(&before, &after, NOW);
        wakers.wake();
        other.join().unwrap();
        assert_eq!(moved, None);
        let left = (0..3).filter(|_| take(&gate).is_ok()).count();
        assert!(left <= 1, "{left} tokens are left of 2, though one is spent");
    });
}

#[test]
fn a_permit_that_is_kept_comes_back_once_and_to_the_call_that_waits() {
    model("grace: 2 kept permits end twice at once, 1 waits", || {
        let later = NOW + std::time::Duration::from_millis(1);
        let bulkhead = bulkhead::Config::builder().max_concurrent(2);
        let bulkhead = bulkhead.grace(std::time::Duration::from_millis(1));
        let policy = Policy::builder().bulkhead(bulkhead.build()).build().unwrap();
        let gate = Arc::new(Gate::new(&policy, NOW, Entropy::seeded(0)));
        let room = gate.waiting_room();
        assert!(room.try_enter(1) && room.try_enter(1));
        let keep = |gate: &Gate| gate.keep_permit(1, || (NOW, std::time::Duration::MAX));
        assert!(keep(&gate));
        let ends = Arc::clone(&gate);
        let other = thread::spawn(move || {
            assert!(keep(&ends));
            ends.end_graces(later);
        });
        match gate.join(Claim::normal(NOW), StartBy::NEVER, || false) {
            Join::Waiting(position) => {
                gate.end_graces(later);
                block_on(poll_fn(|cx| room.poll(&position, cx))).unwrap();
            }
            Join::Acquired => {}
            Join::Refused(error) => panic!("{error:?}"),
        }
        other.join().unwrap();
        gate.end_graces(later);
        assert_eq!((room.permits().active(), gate.attempts_and_fence()), (1, 1), "its own");
        room.leave(1, || later);
        assert_eq!(room.permits().active(), 0);
    });
}

#[test]
fn a_drain_among_permits_that_are_kept_sees_every_attempt_or_is_seen_by_it() {
    model(
        "close against grace: 1 attempt begins and ends unanswered, 1 grace ends, 1 drain",
        || {
            let millisecond = std::time::Duration::from_millis(1);
            let later = NOW + millisecond;
            let bulkhead = bulkhead::Config::builder().max_concurrent(2).grace(millisecond);
            let policy = Policy::builder().bulkhead(bulkhead.build()).build().unwrap();
            let gate = Arc::new(Gate::new(&policy, NOW, Entropy::seeded(0)));
            let room = gate.waiting_room();
            let keep = |gate: &Gate| gate.keep_permit(1, || (NOW, std::time::Duration::MAX));
            // One whose grace ends meanwhile.
            assert!(room.try_enter(1) && keep(&gate));
            let serving = Arc::new(AtomicU64::new(1));
            // 1: with the dependency; 2: it has ended.
            let attempt = Arc::new(AtomicU64::new(0));
            let other = {
                let (gate, serving) = (Arc::clone(&gate), Arc::clone(&serving));
                let attempt = Arc::clone(&attempt);
                thread::spawn(move || {
                    gate.end_graces(later);
                    assert!(gate.waiting_room().try_enter(1));
                    if serving.load(Acquire) == 0 {
                        gate.waiting_room().leave(1, || NOW);
                        return;
                    }
                    attempt.store(1, Release);
                    attempt.store(2, Release);
                    assert!(keep(&gate));
                })
            };
            serving.store(0, Release);
            let seen = gate.attempts_and_fence();
            let at = attempt.load(Acquire);
            other.join().unwrap();
            // A drain that sees nothing is over: no attempt is with the dependency, and none will be.
            let is_or_will_be = at == 1 || (at == 0 && attempt.load(Acquire) != 0);
            assert!(seen > 0 || !is_or_will_be, "an attempt that the drain has not seen");
            gate.end_graces(later);
            assert_eq!(room.permits().active(), 0);
        },
    );
}

#[test]
fn of_a_heavy_call_that_gives_up_the_light_one_behind_it_has_what_is_free() {
    model(
        "weights: 1 free of 2, a heavy and a light one wait, the heavy one gives up as the other permit is given back",
        || {
            let world = world(2, blocking());
            let room = world.gate.waiting_room();
            assert!(room.try_enter(1) && room.try_enter(1));
            let join = |weight| {
                let claim = Claim { weight, ..Claim::normal(NOW) };
                match world.gate.join(claim, StartBy::NEVER, || false) {
                    Join::Waiting(position) => position,
                    joined => panic!("{joined:?}"),
                }
            };
            let (heavy, light) = (join(2), join(1));
            room.leave(1, || NOW);
            let other = spawn(&world, |world| world.gate.waiting_room().leave(1, || NOW));
            if room.give_up(&heavy, || NOW).is_none() {
                // It was granted both at the same moment.
                room.leave(2, || NOW);
            }
            block_on(poll_fn(|cx| room.poll(&light, cx))).unwrap();
            other.join().unwrap();
            assert_eq!((room.permits().active(), room.permits().waiters()), (1, 0));
            room.leave(1, || NOW);
        },
    );
}
