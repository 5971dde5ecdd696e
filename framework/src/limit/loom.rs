//! The sliding window's two words under the model checker. The other algorithms are one word and one
//! compare-and-swap loop, or a lock. How to run it is said in `call/loom.rs`.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::{MAX_RESERVATION, Quota, RateLimiter, SlidingWindow};
use crate::clock::Moment;
use crate::sync::model;

const MILLI: u64 = 1_000_000;

fn at(nanos: u64) -> Moment {
    Moment::from_nanos(nanos)
}

fn limiter(limit: u64) -> Arc<RateLimiter<SlidingWindow>> {
    let quota = Quota::new(limit, Duration::from_millis(1)).unwrap();
    Arc::new(RateLimiter::new(SlidingWindow::new(&quota), Moment::ZERO))
}

/// How many of these takes are allowed, each on a thread of its own.
fn race(limiter: &Arc<RateLimiter<SlidingWindow>>, moments: [Moment; 2]) -> u64 {
    let [there, here] = moments;
    let other = {
        let limiter = Arc::clone(limiter);
        thread::spawn(move || u64::from(limiter.try_take(there, 1).is_ok()))
    };
    let own = u64::from(limiter.try_take(here, 1).is_ok());
    own + other.join().unwrap()
}

#[test]
fn of_two_at_once_one_gets_the_last_one() {
    model("sliding window: 2 takes, 1 left", || {
        let limiter = limiter(1);
        assert_eq!(race(&limiter, [at(5 * MILLI), at(5 * MILLI)]), 1);
    });
}

#[test]
fn nor_do_both_when_one_read_the_clock_before_the_boundary() {
    model("sliding window: 2 takes around a boundary, 1 left", || {
        let limiter = limiter(2);
        limiter.try_take(at(5 * MILLI - 2), 1).unwrap();
        // The one before weighs as good as all of it just after the boundary.
        assert_eq!(race(&limiter, [at(5 * MILLI - 1), at(5 * MILLI)]), 1);
        assert_eq!(limiter.remaining(at(5 * MILLI)), 0);
    });
}

#[test]
fn nor_when_a_window_went_by_that_nobody_took_anything_in() {
    model("sliding window: 2 takes, an empty window before", || {
        let limiter = limiter(1);
        limiter.try_take(at(2 * MILLI), 1).unwrap();
        assert_eq!(race(&limiter, [at(5 * MILLI - 1), at(5 * MILLI)]), 1);
    });
}

#[test]
fn two_reservations_get_turns_of_their_own() {
    model("sliding window: 2 reservations", || {
        let limiter = limiter(1);
        limiter.try_take(at(5 * MILLI), 1).unwrap();
        let other = {
            let limiter = Arc::clone(&limiter);
            thread::spawn(move || limiter.reserve(at(5 * MILLI), 1, MAX_RESERVATION).unwrap())
        };
        let own = limiter.reserve(at(5 * MILLI), 1, MAX_RESERVATION).unwrap();
        let mut waits = [own, other.join().unwrap()];
        waits.sort_unstable();
        assert_eq!(waits, [Duration::from_millis(2), Duration::from_millis(4)]);
    });
}

#[test]
fn a_refund_meanwhile_lets_nobody_in_twice() {
    model("sliding window: a refund, 2 takes", || {
        let limiter = limiter(2);
        limiter.try_take(at(5 * MILLI), 2).unwrap();
        let refund = {
            let limiter = Arc::clone(&limiter);
            thread::spawn(move || limiter.refund(at(5 * MILLI), 1, at(5 * MILLI)))
        };
        let taken = race(&limiter, [at(5 * MILLI), at(5 * MILLI)]);
        refund.join().unwrap();
        assert!(taken <= 1);
        assert_eq!(limiter.remaining(at(5 * MILLI)), 1 - taken);
    });
}

#[test]
fn a_clock_set_back_is_noticed_once_and_gains_nothing() {
    model("sliding window: 2 takes after the clock was set back", || {
        let limiter = limiter(2);
        let far = MAX_RESERVATION.as_nanos() as u64 * 3;
        limiter.try_take(at(far), 1).unwrap();
        limiter.try_take(at(far + MILLI), 1).unwrap();
        assert_eq!(race(&limiter, [at(5 * MILLI), at(6 * MILLI)]), 0);
        assert_eq!(limiter.remaining(at(6 * MILLI)), 0);
    });
}
