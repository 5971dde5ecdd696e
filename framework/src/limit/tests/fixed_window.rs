use std::time::Duration;

use super::reference::{Reference, Taken, twenty_thousand_windows};
use super::{MINUTE, YEAR, burst, idle, race, secs};
use crate::clock::Moment;
use crate::limit::*;

fn window(limit: u64, window: Duration) -> RateLimiter<FixedWindow> {
    RateLimiter::new(FixedWindow::new(&Quota::new(limit, window).unwrap()), Moment::ZERO)
}

struct Counter {
    limit: u64,
    window: u64,
}

impl Counter {
    fn count(&self, taken: &Taken, at: u64) -> u64 {
        let same = taken.iter().filter(|(moment, _)| moment / self.window == at / self.window);
        same.map(|(_, cost)| cost).sum()
    }
}

impl Reference for Counter {
    fn limit(&self) -> u64 {
        self.limit
    }
    fn earliest(&self, taken: &Taken, from: u64, cost: u64) -> u64 {
        if self.count(taken, from) + cost <= self.limit {
            return from;
        }
        (from / self.window + 1) * self.window
    }
    fn left(&self, taken: &Taken, at: u64) -> u64 {
        self.limit.saturating_sub(self.count(taken, at))
    }
}

#[test]
fn a_window_begins_at_a_multiple_of_its_length_and_has_its_limit() {
    let limiter = window(5, MINUTE);
    assert_eq!(burst(&limiter, secs(59.0)), 5);
    let refusal = limiter.try_take(secs(59.0), 1).unwrap_err();
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(1)));
    assert_eq!(
        burst(&limiter, secs(60.0)),
        5,
        "twice the limit across a boundary, as it is known for"
    );
    assert_eq!(limiter.peek(secs(61.0), 1).reset_after, Duration::from_secs(59));
    assert_eq!(burst(&limiter, secs(119.999)), 0);
}

#[test]
fn idling_never_gives_more_than_the_limit() {
    idle(|| window(10, MINUTE), [60.0, 61.0, 3600.0, YEAR]);
}

#[test]
fn reservations_fill_window_after_window_and_none_beyond_its_limit() {
    let limiter = window(2, MINUTE);
    let waits: Vec<_> = (0..6)
        .map(|_| limiter.reserve(secs(30.0), 1, MAX_RESERVATION).unwrap().as_secs())
        .collect();
    assert_eq!(waits, [0, 0, 30, 30, 90, 90]);
    assert!(limiter.try_take(secs(60.0), 1).is_err(), "both of this window's are spoken for");
    assert_eq!(limiter.try_take(secs(60.0), 1).unwrap_err().retry_after, Some(2 * MINUTE));
    let refusal = limiter.reserve(secs(60.0), 1, MINUTE).unwrap_err();
    assert_eq!(refusal.retry_after, Some(MINUTE), "from then on it waits for a minute");
}

#[test]
fn nobody_passes_a_large_reservation_with_a_small_one() {
    let limiter = window(10, MINUTE);
    assert_eq!(limiter.try_take(secs(1.0), 7), Ok(()));
    assert_eq!(limiter.reserve(secs(1.0), 5, MAX_RESERVATION), Ok(Duration::from_secs(59)));
    assert_eq!(limiter.remaining(secs(2.0)), 0);
    assert_eq!(
        limiter.try_take(secs(2.0), 1).unwrap_err().retry_after,
        Some(Duration::from_secs(58))
    );
    assert_eq!(burst(&limiter, secs(60.0)), 5);
}

#[test]
fn a_refund_counts_in_its_own_window_only() {
    let limiter = window(3, MINUTE);
    assert_eq!(burst(&limiter, secs(1.0)), 3);
    limiter.refund(secs(1.0), 2, secs(1.0));
    assert_eq!(burst(&limiter, secs(59.0)), 2);
    assert_eq!(burst(&limiter, secs(60.0)), 3);
    limiter.refund(secs(61.0), 3, secs(1.0));
    assert_eq!(burst(&limiter, secs(61.0)), 0, "that window is over");
    limiter.refund(secs(61.0), u64::MAX, secs(61.0));
    assert_eq!(burst(&limiter, secs(61.0)), 3);
}

#[test]
fn reservations_given_back_from_the_end_leave_nothing_locked() {
    let limiter = window(1, MINUTE);
    assert_eq!(burst(&limiter, secs(1.0)), 1);
    let waits: Vec<_> =
        (0..5).map(|_| limiter.reserve(secs(1.0), 1, MAX_RESERVATION).unwrap()).collect();
    for wait in waits.iter().rev() {
        limiter.refund(secs(1.0), 1, secs(1.0) + *wait);
    }
    assert_eq!(
        limiter.try_take(secs(1.0), 1).unwrap_err().retry_after,
        Some(Duration::from_secs(59))
    );
    assert_eq!(burst(&limiter, secs(60.0)), 1);
}

#[test]
fn a_clock_that_goes_back_gains_nothing_and_locks_nobody_out_for_longer() {
    let limiter = window(10, MINUTE);
    assert_eq!(burst(&limiter, secs(YEAR)), 10);
    let back = limiter.try_take(secs(YEAR - 600.0), 1).unwrap_err().retry_after.unwrap();
    assert_eq!(back, Duration::from_secs(660), "ten minutes, and what was left of the window");
    assert_eq!(burst(&limiter, secs(YEAR - 60.0)), 0);
    assert_eq!(burst(&limiter, secs(1030.0)), 0, "set back a year, the window is used up");
    assert_eq!(burst(&limiter, secs(1080.0)), 10);
    assert_eq!(burst(&limiter, secs(YEAR * 2.0)), 10, "and ahead again");
}

#[test]
fn a_thread_that_read_the_clock_just_before_the_boundary_is_not_refused() {
    let limiter = window(3, MINUTE);
    assert_eq!(limiter.try_take(secs(60.0), 1), Ok(()));
    assert_eq!(limiter.try_take(Moment::from_nanos(59_999_999_990), 1), Ok(()));
    assert_eq!(burst(&limiter, secs(60.0)), 1, "it counts in the window that has begun");
}

#[test]
fn once_somebody_has_taken_from_a_window_that_was_waited_for_nobody_waits_for_it_any_more() {
    let limiter = window(3, MINUTE);
    assert_eq!(burst(&limiter, secs(59.0)), 3);
    assert_eq!(limiter.reserve(secs(59.0), 1, MINUTE), Ok(Duration::from_secs(1)));
    assert_eq!(limiter.remaining(secs(59.9)), 0, "it has not begun");
    assert_eq!(limiter.try_take(secs(60.0), 1), Ok(()));
    assert_eq!(limiter.remaining(secs(59.9)), 1, "it had, for the one who read the clock later");
    assert_eq!(limiter.try_take(secs(59.9), 1), Ok(()));
}

#[test]
fn a_limit_that_does_not_fit_is_counted_in_coarser_units_and_never_exceeded() {
    for limit in [u64::MAX, u64::MAX - 1, 1 << 62, (1 << 40) + 1] {
        for length in [MIN_WINDOW, MINUTE, MAX_WINDOW] {
            let limiter = window(limit, length);
            assert_eq!(limiter.remaining(secs(1.0)), limit);
            assert_eq!(limiter.try_take(secs(1.0), limit), Ok(()), "all of it at once");
            assert!(limiter.try_take(secs(1.0), 1).is_err());
            let limiter = window(limit, length);
            let mut taken = 0_u128;
            for part in [limit / 3, limit / 3, 1, limit / 3, limit / 7, 1] {
                if limiter.try_take(secs(1.0), part).is_ok() {
                    taken += u128::from(part);
                }
                assert!(u128::from(limiter.remaining(secs(1.0))) + taken <= u128::from(limit));
            }
            assert!(taken >= u128::from(limit) / 2, "{limit} in {length:?}: {taken}");
        }
    }
}

#[test]
fn racing_threads_take_nothing_twice() {
    let limiter = window(10_000, MINUTE);
    assert_eq!(race(&limiter, |_| secs(3.0)), 10_000);
}

#[test]
fn a_list_of_everything_taken_says_the_same_of_twenty_thousand_traces() {
    twenty_thousand_windows(FixedWindow::new, |limit, window| Counter { limit, window });
}
