use std::time::Duration;

use super::reference::{Bucketful, Step, compare, twenty_thousand_buckets};
use super::{YEAR, burst, secs};
use crate::clock::Moment;
use crate::limit::*;

fn bucket(capacity: u64, leak_per_second: f64) -> RateLimiter<LeakyBucket> {
    let rate = Rate::new(capacity, leak_per_second).unwrap();
    RateLimiter::new(LeakyBucket::new(&rate), Moment::ZERO)
}

#[test]
fn as_a_meter_it_lets_through_what_does_not_overflow_it() {
    let bucket = bucket(10, 1.0);
    assert_eq!(burst(&bucket, secs(5.0)), 10);
    assert_eq!(
        bucket.try_take(secs(5.0), 1).unwrap_err().retry_after,
        Some(Duration::from_secs(1))
    );
    assert_eq!(burst(&bucket, secs(8.5)), 3);
    assert_eq!(bucket.try_take(secs(8.5), 11), Err(Refusal { retry_after: None }));
}

#[test]
fn as_a_shaper_its_output_is_constant_even_after_idling() {
    let bucket = bucket(10, 5.0);
    for idle in [1.0, 100.0, YEAR] {
        let now = secs(idle);
        for turn in 0..10 {
            let wait = bucket.reserve(now, 1, MAX_RESERVATION).unwrap();
            let exact = turn * Duration::from_millis(200);
            assert!(wait.abs_diff(exact) < Duration::from_nanos(20), "{wait:?}");
        }
        let full = bucket.reserve(now, 1, MAX_RESERVATION).unwrap_err().retry_after.unwrap();
        let room = Duration::from_millis(200);
        assert!(full.abs_diff(room) < Duration::from_nanos(20), "then there is room in the queue");
    }
}

#[test]
fn a_weighted_cost_keeps_the_next_one_waiting_for_its_weight() {
    let bucket = bucket(10, 1.0);
    let reserve =
        |cost| bucket.reserve(secs(1.0), cost, MAX_RESERVATION).map(|wait| wait.as_secs());
    assert_eq!([reserve(3), reserve(2), reserve(5)], [Ok(0), Ok(3), Ok(5)]);
    assert!(reserve(1).is_err());
}

#[test]
fn a_meter_does_not_pass_the_queue() {
    let bucket = bucket(10, 1.0);
    let reserve = || bucket.reserve(secs(1.0), 1, MAX_RESERVATION).unwrap().as_secs();
    assert_eq!([reserve(), reserve(), reserve()], [0, 1, 2]);
    assert_eq!(
        bucket.try_take(secs(1.0), 1).unwrap_err().retry_after,
        Some(Duration::from_secs(3))
    );
    assert!(bucket.try_take(secs(3.999), 1).is_err());
    assert_eq!(burst(&bucket, secs(4.0)), 10);
    assert_eq!(bucket.remaining(secs(4.0)), 0);
}

#[test]
fn given_back_the_last_in_the_queue_makes_room_and_no_other_does() {
    let bucket = bucket(10, 1.0);
    let reserve = || bucket.reserve(secs(1.0), 1, MAX_RESERVATION).unwrap();
    let [_, second, third] = [reserve(), reserve(), reserve()];
    bucket.refund(secs(1.0), 1, secs(1.0) + second);
    assert_eq!(
        reserve(),
        Duration::from_secs(3),
        "two at once is what a shaper is there to prevent"
    );
    bucket.refund(secs(1.0), 1, secs(1.0) + Duration::from_secs(3));
    bucket.refund(secs(1.0), 1, secs(1.0) + third);
    assert_eq!(reserve(), Duration::from_secs(2));
}

#[test]
fn a_wait_that_is_too_long_is_refused_and_told() {
    let bucket = bucket(1_000_000, 1.0);
    assert_eq!(bucket.try_take(secs(1.0), 5_000), Ok(()));
    let refusal = bucket.reserve(secs(1.0), 1, Duration::MAX).unwrap_err();
    assert_eq!(
        refusal.retry_after,
        Some(Duration::from_secs(5_000 - 3_600)),
        "beyond an hour nothing is reserved: by then it is an hour"
    );
    assert_eq!(bucket.remaining(secs(1.0)), 995_000);
}

#[test]
fn a_clock_that_goes_back_lets_nothing_leak_and_does_not_lock_out() {
    let bucket = bucket(10, 1.0);
    assert_eq!(burst(&bucket, secs(YEAR)), 10);
    assert_eq!(burst(&bucket, secs(YEAR - 5.0)), 0);
    assert_eq!(burst(&bucket, secs(YEAR)), 0);
    assert_eq!(burst(&bucket, secs(1000.0)), 0);
    assert_eq!(burst(&bucket, secs(1003.0)), 3, "set back for good, it leaks from there");
}

#[test]
fn the_largest_capacity_does_not_overflow() {
    for rate in [MIN_REFILL_PER_SECOND, 0.001, 1.0, 1e8] {
        let huge = bucket(u64::MAX, rate);
        for now in [Moment::ZERO, secs(1.0), secs(YEAR), Moment::MAX] {
            assert_eq!(huge.try_take(now, 1), Ok(()));
            assert!(huge.remaining(now) >= u64::MAX / 4 - 4);
        }
        let huge = bucket(u64::MAX, rate);
        assert_eq!(huge.try_take(Moment::ZERO, u64::MAX), Ok(()));
        assert!(huge.try_take(Moment::ZERO, 1).unwrap_err().retry_after.is_some());
        assert!(huge.reserve(Moment::ZERO, 1, Duration::MAX).is_err());
        huge.refund(Moment::ZERO, u64::MAX, Moment::ZERO);
        assert_eq!(huge.remaining(Moment::ZERO), u64::MAX);
    }
}

#[test]
fn a_queue_that_was_served_long_ago_is_forgotten() {
    for later in [secs(4.0), Moment::from_nanos(u64::MAX - 1)] {
        let bucket = bucket(2, 1.0);
        let places = [(); 2].map(|()| bucket.reserve(Moment::ZERO, 1, MAX_RESERVATION));
        assert_eq!(places, [Ok(Duration::ZERO), Ok(Duration::from_secs(1))]);
        assert_eq!(burst(&bucket, later), 2, "{later:?}");
    }
}

#[test]
fn racing_threads_get_turns_of_their_own() {
    let bucket = bucket(10_000, 1000.0);
    let mut turns: Vec<_> = std::thread::scope(|scope| {
        let reserve = || {
            (0..1000)
                .map(|_| bucket.reserve(secs(3.0), 1, MAX_RESERVATION).unwrap().as_millis())
                .collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(reserve)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    turns.sort_unstable();
    assert_eq!(turns, (0..4000).collect::<Vec<_>>());
}

/// What a shaper has been asked for: when each goes out, its weight, and whether it was given back.
type Turns = Vec<(u64, u64, bool)>;

/// Reservations alone, and what is given back of them: what goes out, and when.
fn shape(reference: &Bucketful, trace: &[(u64, Step)]) {
    let bucket = bucket(reference.capacity, reference.per_second as f64);
    let per_second = i128::from(reference.per_second);
    let token = 1_000_000_000_i128;
    let hair = 20 * per_second;
    let (mut level_at, mut level, mut now) = (0, 0_i128, 0);
    let mut turns = Turns::new();
    for (pause, step) in trace {
        now += pause;
        level = (level - i128::from(now - level_at) * per_second).max(0);
        level_at = now;
        let cost = match *step {
            Step::Take(cost) | Step::Check(cost) | Step::Reserve(cost, _) => cost,
            Step::Refund(choice) => {
                level -= give_back(&bucket, &mut turns, now, choice, per_second).min(level);
                continue;
            }
        };
        let room = i128::from(reference.capacity) * token - level - i128::from(cost) * token;
        let answer = bucket.reserve(Moment::from_nanos(now), cost, MAX_RESERVATION);
        if cost == 0 || reference.until(level) > MAX_RESERVATION.as_nanos() as u64 {
            continue;
        }
        if room.abs() > hair {
            assert_eq!(answer.is_ok(), room > 0, "{} at {} of {:?}", cost, now, trace);
        }
        if let Ok(wait) = answer {
            let wait = wait.as_nanos() as u64;
            assert!(wait.abs_diff(reference.until(level)) <= 20, "{wait} at {now} of {trace:?}");
            turns.push((now + wait, cost, false));
            level += i128::from(cost) * token;
        }
    }
    let used: Vec<_> = turns.iter().filter(|(.., back)| !back).collect();
    for pair in used.windows(2) {
        let apart = i128::from(pair[1].0 - pair[0].0) * per_second;
        assert!(apart + hair >= i128::from(pair[0].1) * token, "no burst, ever, in {trace:?}");
    }
}

/// Gives one of the turns back: of the last, what cannot have leaked out by now. How much that is.
fn give_back(
    bucket: &RateLimiter<LeakyBucket>,
    turns: &mut Turns,
    now: u64,
    choice: u64,
    per_second: i128,
) -> i128 {
    let held: Vec<_> = (0..turns.len()).filter(|at| !turns[*at].2).collect();
    if held.is_empty() {
        return 0;
    }
    // Often the last, which counts.
    let n = if choice.is_multiple_of(2) { held.len() - 1 } else { choice as usize % held.len() };
    let (out, cost, _) = turns[held[n]];
    bucket.refund(Moment::from_nanos(now), cost, Moment::from_nanos(out));
    if held[n] + 1 < turns.len() {
        turns[held[n]].2 = true;
        return 0;
    }
    turns.pop();
    (i128::from(cost) * 1_000_000_000 - i128::from(now.saturating_sub(out)) * per_second).max(0)
}

#[test]
fn what_is_given_back_late_lets_no_two_out_at_once() {
    let bucket = bucket(10, 1.0);
    assert_eq!(bucket.reserve(secs(0.0), 1, Duration::ZERO), Ok(Duration::ZERO));
    assert_eq!(bucket.reserve(secs(5.0), 1, Duration::ZERO), Ok(Duration::ZERO));
    bucket.refund(secs(5.0), 1, secs(0.0));
    assert!(bucket.reserve(secs(5.0), 1, Duration::ZERO).is_err());
    bucket.refund(secs(5.25), 1, secs(5.0));
    let wait = bucket.reserve(secs(5.25), 1, MAX_RESERVATION).unwrap();
    assert_eq!(wait, Duration::ZERO, "that one was not used, so it does not keep the next waiting");
}

#[test]
fn a_reservation_that_finds_the_queue_full_is_told_when_it_would_be_granted() {
    for max_wait in [0, 100, 300, 900, 5_000].map(Duration::from_millis) {
        for cost in 1..=3 {
            let bucket = bucket(10, 10.0);
            for _ in 0..10 {
                bucket.reserve(secs(1.0), 1, MAX_RESERVATION).unwrap();
            }
            let refused = bucket.reserve(secs(1.0), cost, max_wait).unwrap_err();
            let due = secs(1.0) + refused.retry_after.unwrap();
            let before = due.before(Duration::from_nanos(1));
            assert!(bucket.reserve(before, cost, max_wait).is_err(), "{max_wait:?}");
            assert!(bucket.reserve(due, cost, max_wait).is_ok(), "{max_wait:?}");
        }
    }
}

#[test]
fn as_a_meter_a_list_of_everything_taken_says_the_same_of_twenty_thousand_traces() {
    twenty_thousand_buckets(|bucket, trace| {
        let metered = trace.iter().map(|(pause, step)| match *step {
            Step::Reserve(cost, _) => (*pause, Step::Check(cost)),
            step => (*pause, step),
        });
        let rate = Rate::new(bucket.capacity, bucket.per_second as f64).unwrap();
        compare(LeakyBucket::new(&rate), &bucket, &metered.collect::<Vec<_>>());
    });
}

#[test]
fn as_a_shaper_a_list_of_everything_taken_says_the_same_of_twenty_thousand_traces() {
    twenty_thousand_buckets(|bucket, trace| shape(&bucket, trace));
}
