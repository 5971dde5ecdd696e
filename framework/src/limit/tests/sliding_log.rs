use std::time::Duration;

use super::reference::{Reference, Taken, twenty_thousand_windows};
use super::{MINUTE, YEAR, burst, idle, race, secs};
use crate::clock::Moment;
use crate::limit::*;

fn log(limit: u64, window: Duration) -> RateLimiter<SlidingLog> {
    RateLimiter::new(SlidingLog::new(&Quota::new(limit, window).unwrap()), Moment::ZERO)
}

pub(super) struct Timestamps {
    pub(super) limit: u64,
    pub(super) window: u64,
}

impl Timestamps {
    /// What was taken in the window that ends with `at`.
    pub(super) fn count(&self, taken: &Taken, at: u64) -> u64 {
        let within = taken.iter().filter(|(moment, _)| moment + self.window > at && *moment <= at);
        within.map(|(_, cost)| cost).sum()
    }
}

impl Reference for Timestamps {
    fn limit(&self) -> u64 {
        self.limit
    }
    fn earliest(&self, taken: &Taken, from: u64, cost: u64) -> u64 {
        // Only when something leaves the window does anything change.
        let mut moments: Vec<_> = taken.iter().map(|(moment, _)| moment + self.window).collect();
        moments.push(from);
        moments.retain(|moment| *moment >= from);
        moments.sort_unstable();
        moments.into_iter().find(|at| self.count(taken, *at) + cost <= self.limit).unwrap()
    }
    fn left(&self, taken: &Taken, at: u64) -> u64 {
        self.limit.saturating_sub(self.count(taken, at))
    }
}

#[test]
fn in_no_stretch_as_long_as_the_window_is_there_more_than_the_limit() {
    let limiter = log(5, MINUTE);
    assert_eq!(burst(&limiter, secs(59.0)), 5);
    assert_eq!(
        limiter.try_take(secs(60.0), 1).unwrap_err().retry_after,
        Some(Duration::from_secs(59))
    );
    assert!(limiter.try_take(Moment::from_nanos(118_999_999_999), 1).is_err());
    assert_eq!(burst(&limiter, secs(119.0)), 5);
}

#[test]
fn idling_never_gives_more_than_the_limit() {
    idle(|| log(10, MINUTE), [60.0, 61.0, 3600.0, YEAR]);
}

#[test]
fn reservations_are_entries_ahead_of_their_time() {
    let limiter = log(2, MINUTE);
    assert_eq!(burst(&limiter, secs(10.0)), 2);
    let reserve = |cost| limiter.reserve(secs(30.0), cost, MAX_RESERVATION).unwrap().as_secs();
    assert_eq!([reserve(1), reserve(1), reserve(2), reserve(1)], [40, 40, 100, 160]);
    assert_eq!(burst(&limiter, secs(70.0)), 0, "no newcomer passes one that waits");
    assert_eq!(limiter.remaining(secs(70.0)), 0);
    limiter.refund(secs(70.0), 1, secs(190.0));
    limiter.refund(secs(70.0), 2, secs(130.0));
    assert_eq!(burst(&limiter, secs(129.0)), 0);
    assert_eq!(burst(&limiter, secs(130.0)), 2, "what was given back can be had again");
}

#[test]
fn a_refund_leaves_the_log_from_anywhere_but_not_twice() {
    let limiter = log(3, MINUTE);
    for second in [1.0, 2.0, 3.0] {
        assert_eq!(limiter.try_take(secs(second), 1), Ok(()));
    }
    limiter.refund(secs(3.0), 1, secs(2.0));
    assert_eq!(burst(&limiter, secs(4.0)), 1);
    assert_eq!(burst(&limiter, secs(61.0)), 1);
    limiter.refund(secs(61.0), 1, secs(1.0));
    assert_eq!(burst(&limiter, secs(61.0)), 0, "what is out of the window does not count any more");
}

#[test]
fn a_clock_that_goes_back_gains_nothing_and_locks_nobody_out_for_longer() {
    let limiter = log(10, MINUTE);
    assert_eq!(limiter.try_take(secs(YEAR), 4), Ok(()));
    assert_eq!(burst(&limiter, secs(YEAR - 600.0)), 6, "what is left is left");
    let back = limiter.try_take(secs(YEAR - 600.0), 1).unwrap_err().retry_after.unwrap();
    assert_eq!(back, Duration::from_secs(660));
    assert_eq!(burst(&limiter, secs(1000.0)), 0, "set back a year, the log is set back too");
    assert_eq!(burst(&limiter, secs(1059.9)), 0);
    assert_eq!(burst(&limiter, secs(1060.0)), 10);
    assert_eq!(burst(&limiter, secs(YEAR * 2.0)), 10, "and ahead again");
}

#[test]
fn the_largest_limit_is_no_memory_and_does_not_overflow() {
    let limiter = log(u64::MAX, MAX_WINDOW);
    for now in [Moment::ZERO, secs(1.0), secs(YEAR), Moment::MAX] {
        assert_eq!(limiter.try_take(now, 1), Ok(()));
        assert!(!limiter.peek(now, u64::MAX).allowed);
    }
    let limiter = log(u64::MAX, MIN_WINDOW);
    assert_eq!(limiter.try_take(secs(1.0), u64::MAX), Ok(()));
    assert_eq!(limiter.reserve(secs(1.0), u64::MAX, MINUTE), Ok(MIN_WINDOW));
    assert_eq!(limiter.reserve(secs(1.0), u64::MAX, MINUTE), Ok(2 * MIN_WINDOW));
    assert_eq!(limiter.try_take(secs(1.0), 1).unwrap_err().retry_after, Some(3 * MIN_WINDOW));
}

#[test]
fn racing_threads_take_nothing_twice() {
    let limiter = log(10_000, MINUTE);
    assert_eq!(race(&limiter, |_| secs(3.0)), 10_000);
}

#[test]
fn a_list_of_everything_taken_says_the_same_of_twenty_thousand_traces() {
    twenty_thousand_windows(SlidingLog::new, |limit, window| Timestamps { limit, window });
}

#[test]
fn its_memory_is_what_was_really_taken_and_comes_back() {
    let held = |log: &RateLimiter<SlidingLog>| log.state.0.lock().entries.capacity();
    let limiter = log(u64::MAX, MINUTE);
    assert_eq!(held(&limiter), 0, "nothing up front");
    for nano in 0..10_000 {
        let now = Moment::from_nanos(1_000_000_000 + nano / 10);
        assert_eq!(limiter.try_take(now, 1), Ok(()));
    }
    assert!(
        (1_000..=2_048).contains(&held(&limiter)),
        "of the same moment one: {}",
        held(&limiter)
    );
    assert_eq!(limiter.try_take(secs(100.0), 1), Ok(()));
    assert!(held(&limiter) <= 64, "{}", held(&limiter));
    let limited = log(100, MINUTE);
    for nano in 0..10_000 {
        let _ = limited.try_take(Moment::from_nanos(nano), 1);
    }
    assert!(held(&limited) <= 128, "never beyond the limit: {}", held(&limited));
}
