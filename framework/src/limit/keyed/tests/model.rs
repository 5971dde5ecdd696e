//! Against a plain map of plain token buckets, in whole milliseconds and whole tokens.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use super::at;
use super::idle::{OneShard, one_shard};
use crate::clock::Moment;
use crate::limit::tests::five;
use crate::limit::{AnyAlgorithm, KeyedLimiter, Rate, RateLimiter, TokenBucket};

/// What a bucket of whole thousandths of a token holds; a token comes in each second.
#[derive(Clone, Copy)]
struct Bucket {
    thousandths: u64,
    at_ms: u64,
}

struct Model {
    capacity: u64,
    buckets: HashMap<u8, Bucket>,
}

impl Model {
    /// Nobody is ever forgotten, and there is room for everybody.
    fn bucket(&mut self, key: u8, now_ms: u64) -> &mut Bucket {
        let full = self.capacity * 1_000;
        let bucket = self.buckets.entry(key).or_insert(Bucket { thousandths: full, at_ms: now_ms });
        bucket.thousandths = full.min(bucket.thousandths + (now_ms - bucket.at_ms));
        bucket.at_ms = now_ms;
        bucket
    }

    fn take(&mut self, key: u8, now_ms: u64, cost: u64) -> bool {
        let bucket = self.bucket(key, now_ms);
        let enough = bucket.thousandths >= cost * 1_000;
        if enough {
            bucket.thousandths -= cost * 1_000;
        }
        enough
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Take(u8, u64),
    Check(u8, u64),
    Peek(u8, u64),
    Refund(u8, u64),
    Sweep,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..24_u8;
    prop_oneof![
        5 => (key.clone(), 0..6_u64).prop_map(|(key, cost)| Step::Take(key, cost)),
        2 => (key.clone(), 0..6_u64).prop_map(|(key, cost)| Step::Check(key, cost)),
        1 => (key.clone(), 0..6_u64).prop_map(|(key, cost)| Step::Peek(key, cost)),
        1 => (key, 0..6_u64).prop_map(|(key, cost)| Step::Refund(key, cost)),
        1 => Just(Step::Sweep),
        2 => (0..4_000_u64).prop_map(Step::Wait),
    ]
}

/// In one shard: a new key makes others be forgotten.
fn limiter(capacity: u64, max_keys: usize) -> KeyedLimiter<u8, TokenBucket, OneShard> {
    one_shard(TokenBucket::new(&Rate::new(capacity, 1.0).unwrap()), max_keys)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// With room for all, forgetting a key is never to be seen.
    #[test]
    fn it_does_what_a_map_that_forgets_nothing_does(
        capacity in 1..8_u64,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let keyed = limiter(capacity, 24);
        let mut model = Model { capacity, buckets: HashMap::new() };
        let mut ms = 1_u64;
        for step in steps {
            let now = Moment::from_nanos(ms * 1_000_000);
            match step {
                Step::Take(key, cost) => {
                    prop_assert_eq!(keyed.try_take(&key, now, cost).is_ok(), model.take(key, ms, cost));
                }
                Step::Check(key, cost) => {
                    let decision = keyed.check(&key, now, cost);
                    prop_assert_eq!(decision.allowed, model.take(key, ms, cost));
                    prop_assert_eq!(decision.remaining, model.bucket(key, ms).thousandths / 1_000);
                }
                Step::Peek(key, cost) => {
                    let enough = model.bucket(key, ms).thousandths >= cost * 1_000;
                    prop_assert_eq!(keyed.peek(&key, now, cost).allowed, enough);
                }
                Step::Refund(key, cost) => {
                    keyed.refund(&key, now, cost, now);
                    let full = capacity * 1_000;
                    let bucket = model.bucket(key, ms);
                    bucket.thousandths = full.min(bucket.thousandths + cost * 1_000);
                }
                Step::Sweep => assert!(keyed.sweep(now) <= 24),
                Step::Wait(more) => ms += more,
            }
            for key in 0..24 {
                let left = model.bucket(key, ms).thousandths / 1_000;
                let now = Moment::from_nanos(ms * 1_000_000);
                prop_assert_eq!(keyed.remaining(&key, now), left, "key {}", key);
            }
        }
        prop_assert_eq!(keyed.overflowed_total(), 0);
        // All full again: newcomers, four places of 32 each, forget all that were there.
        let (late, evicted) = (at(1_000), keyed.evicted_total() + keyed.len() as u64);
        for key in 100..108 {
            prop_assert!(keyed.try_take(&key, late, 1).is_ok());
        }
        prop_assert_eq!((keyed.evicted_total(), keyed.len()), (evicted, 8));
    }

    /// Without room for all, nobody gets anything that the map would not have given.
    #[test]
    fn however_few_keys_are_kept_nobody_gets_more(
        capacity in 1..8_u64,
        max_keys in 1..20_usize,
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let keyed = limiter(capacity, max_keys);
        let mut model = Model { capacity, buckets: HashMap::new() };
        let mut ms = 1_u64;
        for step in steps {
            let now = Moment::from_nanos(ms * 1_000_000);
            match step {
                Step::Take(key, cost) | Step::Check(key, cost) => {
                    if keyed.check(&key, now, cost).allowed {
                        prop_assert!(model.take(key, ms, cost), "key {} got {} too many", key, cost);
                    }
                }
                Step::Peek(key, cost) => {
                    let left = model.bucket(key, ms).thousandths;
                    prop_assert!(!keyed.peek(&key, now, cost).allowed || left >= cost * 1_000);
                }
                Step::Sweep => assert!(keyed.sweep(now) <= 24),
                Step::Refund(..) => {}
                Step::Wait(more) => ms += more,
            }
            prop_assert!(keyed.len() <= max_keys);
        }
    }

    #[test]
    fn any_clock_and_any_cost_are_survived(
        capacity in 1..=u64::MAX,
        steps in prop::collection::vec((any::<u64>(), any::<u8>(), any::<u64>(), 0..6_u8), 0..60),
    ) {
        let keyed = limiter(capacity, 3);
        for (now, key, cost, what) in steps {
            let now = Moment::from_nanos(now);
            match what {
                0 => assert!(keyed.try_take(&key, now, cost).is_ok() || cost > 0),
                1 => assert!(keyed.sweep(now) <= 3),
                2 => keyed.refund(&key, now, cost, now),
                3 => assert!(keyed.reserve(&key, now, cost, Duration::MAX).is_ok() || cost > 0),
                _ => assert!(keyed.check(&key, now, cost).remaining <= capacity),
            }
            prop_assert!(keyed.len() <= 3 && keyed.remaining(&key, now) <= capacity);
        }
    }

    /// Of all five: a limiter for each key that is never forgotten says the same, word for word.
    #[test]
    fn forgetting_is_never_to_be_seen_whatever_the_algorithm(
        limit in 1..8_u64,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        for algorithm in five(limit, Duration::from_secs(1), 1.0) {
            let keyed = one_shard(algorithm, 24);
            let mut plain: HashMap<u8, RateLimiter<AnyAlgorithm>> = HashMap::new();
            let mut now = at(100);
            for &step in &steps {
                let key = match step {
                    Step::Take(key, _) | Step::Check(key, _) | Step::Peek(key, _) => key,
                    Step::Refund(key, _) => key,
                    Step::Sweep | Step::Wait(_) => 0,
                };
                let plain = plain.entry(key).or_insert_with(|| RateLimiter::new(algorithm, now));
                match step {
                    Step::Take(key, cost) => {
                        prop_assert_eq!(keyed.try_take(&key, now, cost), plain.try_take(now, cost));
                    }
                    Step::Check(key, cost) => {
                        prop_assert_eq!(keyed.check(&key, now, cost), plain.check(now, cost));
                    }
                    Step::Peek(key, cost) => {
                        prop_assert_eq!(keyed.peek(&key, now, cost), plain.peek(now, cost));
                    }
                    Step::Refund(key, cost) => {
                        let max_wait = Duration::from_secs(cost);
                        let ours = keyed.reserve(&key, now, cost, max_wait);
                        prop_assert_eq!(ours, plain.reserve(now, cost, max_wait));
                        if let Ok(wait) = ours {
                            keyed.refund(&key, now, cost, now + wait);
                            plain.refund(now, cost, now + wait);
                        }
                    }
                    Step::Sweep => assert!(keyed.sweep(now) <= 24),
                    Step::Wait(more) => now = now + Duration::from_millis(more),
                }
            }
            prop_assert_eq!(keyed.overflowed_total(), 0);
        }
    }
}
