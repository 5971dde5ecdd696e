//! A limit that is changed while it is in use: what was spent stays spent.

use std::time::Duration;

use proptest::prelude::*;

use crate::clock::Moment;
use crate::limit::{AnyAlgorithm, Config, RateLimiter};

const WINDOW: Duration = Duration::from_secs(10);

/// Each of the five, with this limit; buckets come back whole in ten seconds.
fn configs(limit: u64) -> [Config; 5] {
    let rate = limit as f64 / 10.0;
    [
        Config::fixed_window(limit, WINDOW).unwrap(),
        Config::sliding_log(limit, WINDOW).unwrap(),
        Config::sliding_window(limit, WINDOW).unwrap(),
        Config::token_bucket(limit, rate).unwrap(),
        Config::leaky_bucket(limit, rate).unwrap(),
    ]
}

fn changed(
    limiter: &RateLimiter<AnyAlgorithm>,
    config: &Config,
    now: Moment,
) -> RateLimiter<AnyAlgorithm> {
    RateLimiter::with_spent(AnyAlgorithm::new(config), now, limiter.spent(now))
}

#[test]
fn a_raised_limit_gives_the_difference_and_a_lowered_one_takes_it() {
    let now = Moment::ZERO + Duration::from_secs(5);
    for (from, (raised, lowered)) in configs(100).iter().zip(configs(150).iter().zip(&configs(90)))
    {
        let limiter = RateLimiter::new(AnyAlgorithm::new(from), now);
        limiter.try_take(now, 80).unwrap();
        assert_eq!(changed(&limiter, raised, now).remaining(now), 70, "{from:?}");
        assert_eq!(changed(&limiter, lowered, now).remaining(now), 10, "{from:?}");
    }
}

#[test]
fn lowered_below_what_is_spent_it_gives_nothing_until_that_has_come_back() {
    let start = Moment::ZERO;
    for (from, to) in configs(100).iter().zip(&configs(10)) {
        let limiter = RateLimiter::new(AnyAlgorithm::new(from), start);
        limiter.try_take(start, 80).unwrap();
        let lowered = changed(&limiter, to, start);
        assert_eq!((lowered.remaining(start), lowered.spent(start)), (0, 80), "{to:?}");
        let after = lowered.try_take(start, 1).unwrap_err().retry_after.unwrap();
        assert!(!after.is_zero(), "{to:?}");
        assert!(lowered.try_take(start + after, 1).is_ok(), "{to:?}: waiting as told is enough");
    }
}

proptest! {
    /// Any of the five, takes, pauses and changes of the limit. At each change what remains is the limit less what was
    /// spent; and changes that end where they began have changed nothing.
    #[test]
    fn nothing_is_to_be_had_by_changing_back_and_forth(
        which in 0usize..5,
        first in 1u64..100,
        steps in prop::collection::vec((1u64..100, 0u64..60, 0u64..3_000), 1..40),
    ) {
        let mut now = Moment::ZERO;
        let mut config = configs(first)[which];
        let mut limiter = RateLimiter::new(AnyAlgorithm::new(&config), now);
        for (limit, takes, pause_ms) in steps {
            for _ in 0..takes {
                let _ = limiter.try_take(now, 1);
            }
            let (spent, left) = (limiter.spent(now), limiter.remaining(now));
            let other = configs(limit)[which];
            let there = changed(&limiter, &other, now);
            let expected = limit.saturating_sub(spent);
            prop_assert_eq!(there.remaining(now), expected, "{:?} to {:?}", config, other);
            let back = changed(&there, &config, now);
            // Half a token of a bucket counts as spent.
            prop_assert!(back.remaining(now) <= left && back.remaining(now) + 1 >= left);
            limiter = there;
            config = other;
            now = now + Duration::from_millis(pause_ms);
        }
    }
}
