//! On real threads. Bounded work, no sleeps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::{at, call, touchy};
use crate::breaker::{Keyed, KeyedAdmission};
use crate::clock::Moment;
use crate::event::State;
use crate::outcome::Outcome;

const THREADS: u64 = 4;
const CALLS: u64 = 20_000;

fn on_threads(work: impl Fn(u64) + Sync) {
    thread::scope(|scope| {
        for n in 0..THREADS {
            let work = &work;
            scope.spawn(move || work(n));
        }
    });
}

/// Keys of all kinds, calls that overlap, polls and resets: it stays in bounds and whole.
#[test]
fn threads_with_random_keys_never_exceed_the_bound() {
    let keyed: Keyed<u64> = touchy(50);
    let clock = AtomicU64::new(0);
    on_threads(|thread| {
        let mut random = fastrand::Rng::with_seed(thread);
        let mut calls: Vec<KeyedAdmission<u64>> = Vec::new();
        for n in 0..CALLS {
            // 10 ms a call: open times and idle times pass.
            let now = Moment::from_nanos(clock.fetch_add(10_000_000, Ordering::Relaxed));
            let key = random.u64(..if n % 2 == 0 { 20 } else { 1_000 });
            calls.extend(keyed.let_in(&key, now, &mut None));
            if calls.len() > 8 || random.bool() {
                let outcome = if random.u8(..) < 40 { Outcome::Failure } else { Outcome::Success };
                if !calls.is_empty() {
                    keyed.record(calls.swap_remove(random.usize(..calls.len())), outcome, now);
                }
            }
            match random.u8(..) {
                0 => drop(keyed.poll(now)),
                1 => drop(keyed.reset(&key, now)),
                2 => {
                    // The map counts shard by shard: while a key takes another's place it may count both, or neither.
                    let _none_moves = keyed.order.lock();
                    assert!(keyed.keys.len() <= 50);
                }
                _ => {}
            }
            assert!(keyed.len() <= 50);
        }
    });
    keyed.assert_whole();
    assert!(keyed.evicted_total() > 0);
}

#[test]
fn an_open_key_survives_a_flood_from_many_threads() {
    let keyed = touchy(64);
    for key in 0..32 {
        call(&keyed, key, Outcome::Failure, at(0));
    }
    on_threads(|thread| {
        for n in 0..CALLS {
            call(&keyed, (thread + 1) << 32 | n, Outcome::Success, at(1));
            assert_eq!(keyed.state(&(n % 32)), Some(State::Open));
        }
    });
    assert!(keyed.evicted_total() > 0);
    assert_eq!(keyed.overflowed_total(), 0, "there was always a closed key to evict");
}

/// An outcome is never lost with the key it was for: a failure in flight opens its key, however
/// many others want its place.
#[test]
fn a_failure_in_flight_opens_its_key_though_others_want_its_place() {
    let keyed = touchy(2);
    on_threads(|thread| {
        for n in 0..3 * CALLS {
            let key = thread << 32 | n;
            if thread > 0 {
                call(&keyed, key, Outcome::Success, at(0));
                continue;
            }
            // Known first, so that the failing call finds it without taking the order's lock.
            call(&keyed, key, Outcome::Success, at(n * 1_000));
            let Ok(admission) = keyed.let_in(&key, at(n * 1_000), &mut None) else { continue };
            if admission.key().is_none() {
                continue;
            }
            assert!(keyed.record(admission, Outcome::Failure, at(n * 1_000)).is_some());
            assert_eq!(keyed.state(&key), Some(State::Open));
        }
    });
    keyed.assert_whole();
}

#[test]
fn threads_that_meet_on_a_new_key_share_its_breaker() {
    for round in 0..2_000 {
        let keyed = touchy(2);
        let opened = AtomicU64::new(0);
        on_threads(|_| {
            let Ok(admission) = keyed.let_in(&round, at(0), &mut None) else { return };
            let moved = keyed.record(admission, Outcome::Failure, at(0));
            opened.fetch_add(u64::from(moved.is_some()), Ordering::Relaxed);
        });
        assert_eq!((opened.into_inner(), keyed.len()), (1, 1));
        keyed.assert_whole();
    }
}
