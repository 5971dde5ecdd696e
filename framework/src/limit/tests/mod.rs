//! What all algorithms have in common is here; each has a file of its own, named after it.

use std::time::Duration;

use super::*;
use crate::clock::Moment;

mod changes;
mod fixed_window;
mod leaky_bucket;
mod reference;
mod sliding_log;
mod sliding_window;
mod token_bucket;

const MINUTE: Duration = Duration::from_secs(60);
const YEAR: f64 = 365.0 * 24.0 * 3600.0;

fn secs(seconds: f64) -> Moment {
    Moment::from_nanos((seconds * 1e9) as u64)
}

/// How many can be had one by one.
fn burst<A: Algorithm>(limiter: &RateLimiter<A>, now: Moment) -> usize {
    (0..1_000_000).take_while(|_| limiter.try_take(now, 1).is_ok()).count()
}

/// How many four threads get, taking one by one for as long as they can; each is told its number's time.
fn race<A: Algorithm>(limiter: &RateLimiter<A>, at: impl Fn(u64) -> Moment) -> usize {
    std::thread::scope(|scope| {
        let start = |now| scope.spawn(move || burst(limiter, now));
        let threads: Vec<_> = (0..4).map(|n| start(at(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

/// Used up at one second, after each of these it has its limit of 10 again, and no more.
fn idle<A: Algorithm>(fresh: impl Fn() -> RateLimiter<A>, pauses: [f64; 4]) {
    for pause in pauses {
        let limiter = fresh();
        assert_eq!(burst(&limiter, secs(1.0)), 10);
        assert_eq!(limiter.remaining(secs(1.0 + pause)), 10);
        assert_eq!(burst(&limiter, secs(1.0 + pause)), 10);
    }
}

#[test]
fn the_default_is_the_textbook_bucket() {
    assert_eq!(Config::default(), Config::token_bucket(10, 1.0).unwrap());
    assert_eq!((Rate::default().capacity(), Rate::default().per_second()), (10, 1.0));
}

#[test]
fn settings_that_make_no_sense_are_told_at_once() {
    let wrong = Config::token_bucket(0, 0.0).unwrap_err();
    assert_eq!(wrong.as_slice().len(), 2);
    for rate in [f64::NAN, f64::INFINITY, -1.0, 1e10, 1e-9] {
        assert!(Config::token_bucket(1, rate).is_err(), "{rate}");
        assert!(Config::leaky_bucket(1, rate).is_err(), "{rate}");
    }
    let too_short = Duration::from_nanos(999_999);
    for window in [Duration::ZERO, too_short, MAX_WINDOW + Duration::from_nanos(1), Duration::MAX] {
        let wrong = Config::fixed_window(0, window).unwrap_err();
        let keys: Vec<_> = wrong.as_slice().iter().map(|wrong| wrong.key).collect();
        assert_eq!(keys, ["fixed_window.limit", "fixed_window.window"]);
        assert!(
            Config::sliding_log(1, window).is_err() && Config::sliding_window(1, window).is_err()
        );
    }
}

#[test]
fn a_state_is_as_small_as_documented() {
    assert_eq!(size_of::<<FixedWindow as Algorithm>::State>(), 8);
    assert_eq!(size_of::<<TokenBucket as Algorithm>::State>(), 8);
    assert_eq!(size_of::<<LeakyBucket as Algorithm>::State>(), 8);
    assert_eq!(size_of::<<SlidingWindow as Algorithm>::State>(), 16);
    assert!(size_of::<AnyState>() <= 24);
}

/// One of each: so much in a window, or at once and at that rate.
pub(in crate::limit) fn five(limit: u64, window: Duration, per_second: f64) -> [AnyAlgorithm; 5] {
    [
        Config::fixed_window(limit, window),
        Config::sliding_log(limit, window),
        Config::sliding_window(limit, window),
        Config::token_bucket(limit, per_second),
        Config::leaky_bucket(limit, per_second),
    ]
    .map(|config| AnyAlgorithm::new(&config.unwrap()))
}

fn all() -> [AnyAlgorithm; 5] {
    five(3, MINUTE, 0.05)
}

#[test]
fn whichever_it_is_a_refusal_and_a_look_change_nothing() {
    for algorithm in all() {
        let limiter = RateLimiter::new(algorithm, Moment::ZERO);
        let now = secs(1000.0);
        assert_eq!(limiter.check(now, 2).remaining, 1);
        for _ in 0..100 {
            assert!(limiter.try_take(now, 2).is_err() && !limiter.check(now, 4).allowed);
            assert!(limiter.peek(now, 1).allowed && !limiter.peek(now, 2).allowed);
            assert!(limiter.reserve(now, 2, Duration::from_nanos(1)).is_err());
            assert_eq!(limiter.try_take(now, 4), Err(Refusal { retry_after: None }));
            assert_eq!(limiter.try_take(now, 0), Ok(()));
        }
        assert_eq!(limiter.try_take(now, 1), Ok(()), "{algorithm:?}");
        assert!(limiter.check(now, 0).allowed && limiter.peek(now, 0).allowed);
    }
}

#[test]
fn whichever_it_is_it_is_denied_before_the_stated_wait_and_allowed_exactly_at_it() {
    for algorithm in all() {
        for cost in 1..=3 {
            let limiter = RateLimiter::new(algorithm, Moment::ZERO);
            let now = secs(1007.0);
            assert_eq!(limiter.try_take(now, 3), Ok(()));
            let wait = limiter.try_take(now, cost).unwrap_err().retry_after.unwrap();
            let due = now + wait;
            assert!(limiter.try_take(due.before(Duration::from_nanos(1)), cost).is_err());
            assert_eq!(limiter.try_take(due, cost), Ok(()), "{algorithm:?} {cost}");
        }
    }
}

#[test]
fn whichever_it_is_a_reservation_is_refused_before_the_stated_wait_and_granted_exactly_at_it() {
    for algorithm in all() {
        for cost in 1..=3 {
            for max_wait in [0.0, 3.0, 11.0, 19.0, 100.0].map(Duration::from_secs_f64) {
                let limiter = RateLimiter::new(algorithm, Moment::ZERO);
                let now = secs(1007.0);
                assert_eq!(limiter.try_take(now, 3), Ok(()));
                while limiter.reserve(now, 1, Duration::from_secs(70)).is_ok() {}
                let Err(refusal) = limiter.reserve(now, cost, max_wait) else { continue };
                let due = now + refusal.retry_after.unwrap();
                let before = due.before(Duration::from_nanos(1));
                let what = format!("{algorithm:?} {cost} {max_wait:?} {refusal:?}");
                assert!(limiter.reserve(before, cost, max_wait).is_err(), "{what}");
                assert!(limiter.reserve(due, cost, max_wait).is_ok(), "{what}");
            }
        }
    }
}

#[test]
fn whichever_it_is_what_is_given_back_at_once_can_be_had_again() {
    for algorithm in all() {
        let limiter = RateLimiter::new(algorithm, Moment::ZERO);
        for at in [0.0, 7.0, 1007.0, 1008.0, 5000.0] {
            assert_eq!(limiter.try_take(secs(at), 1), Ok(()), "{algorithm:?}");
            limiter.refund(secs(at), 1, secs(at));
            assert_eq!(limiter.remaining(secs(at)), 3, "{algorithm:?}");
        }
    }
}

#[test]
fn whichever_it_is_after_its_reset_it_is_as_good_as_new() {
    for algorithm in all() {
        let limiter = RateLimiter::new(algorithm, Moment::ZERO);
        let now = secs(1007.0);
        let reset = limiter.check(now, 2).reset_after;
        assert!(!reset.is_zero(), "{algorithm:?}");
        assert_eq!(limiter.remaining(now + reset), 3, "{algorithm:?}");
        assert_eq!(burst(&limiter, now + reset), 3, "{algorithm:?}: never one more");
        let state = algorithm.start(now);
        assert!(algorithm.is_fresh(&state, now));
        assert_eq!(algorithm.try_take(&state, now, 2), Ok(()));
        let reset = algorithm.peek(&state, now, 0).reset_after;
        assert!(!algorithm.is_fresh(&state, (now + reset).before(Duration::from_nanos(1))));
        assert!(algorithm.is_fresh(&state, now + reset), "{algorithm:?}");
    }
}

#[test]
fn any_clock_and_any_cost_are_survived_by_all() {
    for seed in 0..2_000 {
        let chance = reference::Chance::seeded(seed);
        let (limit, nanos) = (chance.any().max(1), 1_000_000 + chance.below(2_591_000_000_000_000));
        let window = Duration::from_nanos(nanos);
        let rate = 10.0_f64.powi(chance.below(16) as i32 - 6);
        for algorithm in five(limit, window, rate) {
            let limiter = RateLimiter::new(algorithm, Moment::ZERO);
            for _ in 0..20 {
                let (now, cost) = (Moment::from_nanos(chance.any()), chance.any());
                match chance.below(5) {
                    0 => limiter.refund(now, cost, Moment::from_nanos(chance.any())),
                    1 => drop(limiter.reserve(now, cost, Duration::MAX)),
                    2 => drop(limiter.check(now, cost)),
                    _ => drop(limiter.try_take(now, cost)),
                }
                assert!(limiter.remaining(now) <= limit);
            }
        }
    }
}

#[test]
fn asked_with_the_state_of_another_it_has_nothing_to_give() {
    let [one, .., other] = all();
    let state = one.start(Moment::ZERO);
    assert_eq!(other.try_take(&state, Moment::ZERO, 1), Err(Refusal { retry_after: None }));
    assert!(!other.check(&state, Moment::ZERO, 0).allowed && !other.is_fresh(&state, Moment::ZERO));
}

#[test]
fn at_the_end_of_time_there_is_no_next_window_to_reserve() {
    let [fixed, log, sliding, ..] = all();
    for algorithm in [fixed, log, sliding] {
        let limiter = RateLimiter::new(algorithm, Moment::ZERO);
        assert_eq!(burst(&limiter, Moment::MAX), 3);
        for _ in 0..10 {
            assert!(limiter.reserve(Moment::MAX, 1, MAX_RESERVATION).is_err(), "{algorithm:?}");
        }
    }
}
