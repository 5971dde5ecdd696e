use std::time::Duration;

use proptest::prelude::*;

use super::reference::{compare, twenty_thousand_buckets};
use super::{YEAR, burst, idle, race, secs};
use crate::clock::Moment;
use crate::limit::*;

fn bucket(capacity: u64, refill_per_second: f64) -> RateLimiter<TokenBucket> {
    let rate = Rate::new(capacity, refill_per_second).unwrap();
    RateLimiter::new(TokenBucket::new(&rate), Moment::ZERO)
}

#[test]
fn it_starts_full_and_refills_continuously() {
    let bucket = bucket(10, 1.0);
    assert_eq!(burst(&bucket, secs(5.0)), 10);
    assert_eq!(bucket.remaining(secs(5.999)), 0);
    assert_eq!(burst(&bucket, secs(6.0)), 1);
    assert_eq!(burst(&bucket, secs(8.5)), 2);
    assert_eq!(burst(&bucket, secs(9.0)), 1, "the half token from before counts");
}

#[test]
fn idling_never_gives_more_than_the_capacity() {
    idle(|| bucket(10, 1.0), [10.0, 11.0, 1e6, YEAR]);
}

#[test]
fn a_cost_above_the_capacity_is_never_allowed() {
    let bucket = bucket(10, 1.0);
    assert_eq!(bucket.try_take(secs(0.0), 11), Err(Refusal { retry_after: None }));
    assert_eq!(bucket.try_take(secs(0.0), 10), Ok(()));
    assert_eq!(
        bucket.try_take(secs(0.0), 10),
        Err(Refusal { retry_after: Some(Duration::from_secs(10)) })
    );
}

#[test]
fn a_refund_gives_back_and_never_overfills() {
    let bucket = bucket(10, 1.0);
    assert_eq!(burst(&bucket, secs(1.0)), 10);
    bucket.refund(secs(1.0), 3, secs(1.0));
    assert_eq!(bucket.remaining(secs(1.0)), 3);
    bucket.refund(secs(1.0), u64::MAX, secs(1.0));
    assert_eq!(burst(&bucket, secs(1.0)), 10);
}

#[test]
fn what_is_given_back_late_lets_no_more_through_than_the_bucket_holds() {
    let bucket = bucket(10, 1.0);
    assert_eq!(burst(&bucket, secs(0.0)), 10, "these wait for something else");
    assert_eq!(burst(&bucket, secs(20.0)), 10, "and these are used");
    bucket.refund(secs(20.0), 10, secs(0.0));
    assert_eq!(burst(&bucket, secs(20.0)), 0, "it had been full again by itself");
    bucket.refund(secs(23.0), 10, secs(20.0));
    assert_eq!(burst(&bucket, secs(23.0)), 10, "three have come back, and seven are given back");
}

#[test]
fn a_reservation_given_back_lets_no_more_through_than_the_bucket_holds() {
    let bucket = bucket(10, 1.0);
    assert_eq!(burst(&bucket, secs(0.0)), 10, "these are given back");
    let reserve = |cost| bucket.reserve(secs(0.0), cost, MAX_RESERVATION).unwrap();
    assert_eq!(reserve(10), Duration::from_secs(10), "these are used");
    bucket.refund(secs(0.0), 10, secs(0.0));
    assert_eq!(burst(&bucket, secs(10.0)), 0, "it would have been full from 0 to 10");
    assert_eq!([reserve(2), reserve(3)].map(|wait| wait.as_secs()), [12, 15]);
    bucket.refund(secs(0.0), 2, secs(12.0));
    assert_eq!(reserve(1).as_secs(), 16, "the one that is behind has been told when to go");
    bucket.refund(secs(0.0), 1, secs(16.0));
    bucket.refund(secs(0.0), 3, secs(15.0));
    assert_eq!(reserve(3).as_secs(), 15, "the last in line makes room");
}

#[test]
fn a_clock_that_goes_back_refills_nothing_and_does_not_lock_out() {
    let bucket = bucket(10, 1.0);
    assert_eq!(burst(&bucket, secs(YEAR)), 10);
    assert_eq!(burst(&bucket, secs(YEAR - 5.0)), 0);
    assert_eq!(burst(&bucket, secs(YEAR)), 0, "and coming back refills nothing either");
    assert_eq!(burst(&bucket, secs(1000.0)), 0);
    assert_eq!(burst(&bucket, secs(1003.0)), 3, "set back for good, it refills from there");
}

#[test]
fn ten_million_a_second_come_out_to_the_token() {
    for rate in [1e7, 3e6, 7e8, 1e9, 123_456_789.0] {
        let bucket = bucket(1_000_000, rate);
        assert_eq!(bucket.try_take(secs(10.0), 1_000_000), Ok(()));
        let mut taken = 0;
        for step in 1_u64..=1_000 {
            // A microsecond at a time, so that rounding would add up if it could.
            let now = Moment::from_nanos(10_000_000_000 + step * 1_000);
            let available = bucket.remaining(now);
            assert_eq!(bucket.try_take(now, available), Ok(()));
            taken += available;
        }
        let expected = (rate / 1_000.0) as i64;
        assert!((taken as i64 - expected).abs() <= 1, "{rate}: {taken} of {expected}");
    }
}

#[test]
fn a_thousandth_a_second_and_the_largest_capacity_do_not_overflow() {
    let slow = bucket(1, 0.001);
    assert_eq!(burst(&slow, secs(1.0)), 1);
    let wait = slow.try_take(secs(1.0), 1).unwrap_err().retry_after.unwrap();
    assert!((wait.as_secs_f64() - 1000.0).abs() < 1e-6, "{wait:?}");
    for rate in [MIN_REFILL_PER_SECOND, 0.001, 1.0, MAX_REFILL_PER_SECOND] {
        let huge = bucket(u64::MAX, rate);
        for now in [Moment::ZERO, secs(1.0), secs(YEAR), Moment::MAX] {
            assert_eq!(huge.try_take(now, 1), Ok(()));
            assert!(huge.remaining(now) >= u64::MAX - 4);
        }
        let huge = bucket(u64::MAX, rate);
        assert_eq!(huge.try_take(Moment::ZERO, u64::MAX), Ok(()));
        assert!(huge.try_take(Moment::ZERO, 1).unwrap_err().retry_after.is_some());
    }
}

#[test]
fn a_wait_longer_than_any_clock_can_say_is_told_and_not_looked_for_for_ever() {
    let bucket = bucket(u64::MAX, MIN_REFILL_PER_SECOND);
    assert_eq!(bucket.try_take(Moment::ZERO, u64::MAX), Ok(()));
    let wait = bucket.try_take(Moment::ZERO, u64::MAX).unwrap_err().retry_after.unwrap();
    assert!(wait > Duration::from_secs(500 * 365 * 24 * 3600), "{wait:?}");
    assert!(!bucket.peek(Moment::ZERO, u64::MAX).allowed);
}

#[test]
fn racing_threads_take_no_token_twice() {
    let bucket = bucket(10_000, 1.0);
    assert_eq!(race(&bucket, |_| secs(3.0)), 10_000);
}

/// A token bucket as in textbooks, told the time.
struct Model {
    capacity: f64,
    refill_rate: f64,
    tokens: f64,
    last_refill: f64,
}

impl Model {
    fn refill(&mut self, now: f64) {
        self.tokens = self.capacity.min(self.tokens + (now - self.last_refill) * self.refill_rate);
        self.last_refill = now;
    }
}

fn rate() -> impl Strategy<Value = f64> {
    (-30_i32..=90).prop_map(|tenths| 10.0_f64.powf(f64::from(tenths) / 10.0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_textbook_bucket_allows_the_same(
        capacity in 1_u64..50,
        rate in rate(),
        steps in prop::collection::vec((0.0_f64..3.0, 0_u64..60), 1..200),
    ) {
        let ours = bucket(capacity, rate);
        let mut model = Model {
            capacity: capacity as f64, refill_rate: rate, tokens: capacity as f64, last_refill: 0.0,
        };
        let mut now = Moment::ZERO;
        for (tokens, cost) in steps {
            // Steps of up to three tokens' time, whatever the rate.
            now = now + Duration::from_nanos((tokens / rate * 1e9) as u64);
            model.refill(now.as_nanos() as f64 / 1e9);
            // What a few nanoseconds and a double's rounding are worth.
            let hair = rate * 1e-8 + 1e-6;
            prop_assert!((ours.remaining(now) as f64) <= model.tokens + hair);
            prop_assert!((ours.remaining(now) as f64) > model.tokens - 1.0 - hair);
            prop_assert_eq!(ours.has_one(now), ours.peek(now, 1).allowed);
            let allowed = ours.try_take(now, cost).is_ok();
            if (model.tokens - cost as f64).abs() > hair {
                prop_assert_eq!(allowed, model.tokens >= cost as f64, "{} for {}", model.tokens, cost);
            }
            if allowed {
                model.tokens -= cost as f64;
            }
        }
    }

    #[test]
    fn it_is_refused_just_before_retry_after_and_allowed_at_it(
        capacity in prop_oneof![1_u64..100, any::<u64>().prop_map(|n| n.max(1))],
        rate in rate(),
        start in 0_u64..u64::MAX / 4,
        spend in any::<prop::sample::Index>(),
        cost in any::<prop::sample::Index>(),
    ) {
        let bucket = bucket(capacity, rate);
        let start = Moment::from_nanos(start);
        let pick = |index: prop::sample::Index| 1 + index.index(usize::try_from(capacity).unwrap()) as u64;
        prop_assert_eq!(bucket.try_take(start, pick(spend)), Ok(()));
        let cost = pick(cost).min(capacity);
        if let Err(refusal) = bucket.try_take(start, cost) {
            let wait = refusal.retry_after.unwrap();
            if start.as_nanos().checked_add(wait.as_nanos() as u64).is_some_and(|at| at < u64::MAX) {
                let before = (start + wait).before(Duration::from_nanos(1));
                prop_assert!(bucket.try_take(before, cost).is_err(), "a nanosecond before {wait:?}");
                prop_assert_eq!(bucket.try_take(start + wait, cost), Ok(()));
            }
        }
    }

    #[test]
    fn a_second_brings_exactly_a_seconds_tokens(rate in 1_u64..=1_000_000_000, start in 0_u64..u64::MAX / 4) {
        let bucket = bucket(rate, rate as f64);
        let start = Moment::from_nanos(start);
        prop_assert_eq!(bucket.try_take(start, rate), Ok(()));
        let second = Duration::from_secs(1);
        prop_assert_eq!(bucket.remaining(start + second), rate);
        prop_assert!(bucket.remaining(start + second.saturating_sub(Duration::from_nanos(8))) < rate);
    }

    #[test]
    fn one_at_a_look_is_taken_where_and_as_one_would_be(
        capacity in prop_oneof![4 => 1_u64..6, 1 => any::<u64>().prop_map(|n| n.max(1))],
        rate in rate(),
        // In tokens' time, and now and then a clock that jumps.
        steps in prop::collection::vec(prop_oneof![9 => (0.0_f64..3.0).prop_map(Ok), 1 => any::<u64>().prop_map(Err)], 1..100),
    ) {
        let config = Config::token_bucket(capacity, rate).unwrap();
        let fresh = || RateLimiter::new(AnyAlgorithm::new(&config), Moment::ZERO);
        let (at_a_look, other) = (fresh(), fresh());
        let mut now = Moment::ZERO;
        for step in steps {
            now = match step {
                Ok(tokens) => now + Duration::from_nanos((tokens / rate * 1e9) as u64),
                Err(jump) => Moment::from_nanos(jump),
            };
            let taken = at_a_look.take_one_at_once(now);
            prop_assert_eq!(taken, other.try_take(now, 1).is_ok());
            if !taken {
                // As those go on who find none at a look.
                prop_assert!(at_a_look.try_take(now, 1).is_err());
            }
            prop_assert_eq!(at_a_look.spent(now), other.spent(now));
        }
    }

    #[test]
    fn any_clock_and_any_cost_are_survived(
        capacity in 1_u64..=u64::MAX,
        rate in rate(),
        steps in prop::collection::vec((any::<u64>(), any::<u64>(), any::<bool>()), 0..60),
    ) {
        let bucket = bucket(capacity, rate);
        for (now, cost, refund) in steps {
            let now = Moment::from_nanos(now);
            if refund {
                bucket.refund(now, cost, now);
            } else {
                let _ = bucket.try_take(now, cost);
            }
            prop_assert!(bucket.remaining(now) <= capacity);
        }
    }
}

#[test]
fn a_list_of_everything_taken_says_the_same_of_twenty_thousand_traces() {
    twenty_thousand_buckets(|bucket, trace| {
        let rate = Rate::new(bucket.capacity, bucket.per_second as f64).unwrap();
        compare(TokenBucket::new(&rate), &bucket, trace);
    });
}

#[test]
fn only_a_bucket_of_tokens_is_asked_at_a_look() {
    let rate = Config::leaky_bucket(10, 1.0).unwrap();
    let limiter = RateLimiter::new(AnyAlgorithm::new(&rate), Moment::ZERO);
    assert!(!limiter.take_one_at_once(Moment::ZERO));
    assert_eq!(limiter.spent(Moment::ZERO), 0);
}
