//! A limiter for each key: what it costs in memory.

use std::time::Duration;

use allocation_counter::measure;
use seawall::clock::Moment;
use seawall::limit::{
    Algorithm, Bucket, Decision, KeyedConfig, KeyedLimiter, Rate, Refusal, TokenBucket,
};

fn limiter<A: Algorithm>(algorithm: A) -> KeyedLimiter<u64, A> {
    let config = KeyedConfig::builder().max_keys(2_000_000).build().unwrap();
    KeyedLimiter::new(algorithm, config, Moment::ZERO)
}

/// Bytes that are held for `keys` keys, the limiter itself included.
fn bytes_for<A: Algorithm>(algorithm: A, keys: u64) -> i64 {
    let mut made = None;
    let held = measure(|| {
        let limiter = limiter(algorithm);
        for key in 0..keys {
            assert!(limiter.try_take(&key, Moment::ZERO, 1).is_ok());
        }
        made = Some(limiter);
    });
    assert_eq!(made.map(|limiter| limiter.len() as u64), Some(keys));
    held.bytes_current
}

/// An algorithm that keeps two values of eight bytes.
#[derive(Debug)]
struct Two(TokenBucket);

impl Algorithm for Two {
    type State = [Bucket; 2];

    fn start(&self, now: Moment) -> Self::State {
        [self.0.start(now), self.0.start(now)]
    }
    fn limit(&self) -> u64 {
        self.0.limit()
    }
    fn try_take(&self, state: &Self::State, now: Moment, cost: u64) -> Result<(), Refusal> {
        self.0.try_take(&state[0], now, cost)
    }
    fn check(&self, state: &Self::State, now: Moment, cost: u64) -> Decision {
        self.0.check(&state[0], now, cost)
    }
    fn peek(&self, state: &Self::State, now: Moment, cost: u64) -> Decision {
        self.0.peek(&state[0], now, cost)
    }
    fn reserve(
        &self,
        state: &Self::State,
        now: Moment,
        cost: u64,
        max_wait: Duration,
    ) -> Result<Duration, Refusal> {
        self.0.reserve(&state[0], now, cost, max_wait)
    }
    fn refund(&self, state: &Self::State, now: Moment, cost: u64, taken_for: Moment) {
        self.0.refund(&state[0], now, cost, taken_for);
    }
    fn is_fresh(&self, state: &Self::State, now: Moment) -> bool {
        self.0.is_fresh(&state[0], now)
    }
}

fn bucket() -> TokenBucket {
    TokenBucket::new(&Rate::default())
}

/// The bytes held are measured, by the allocator, as the keys come; the limiter itself is among them.
#[test]
fn no_number_of_keys_is_a_bad_one_and_a_million_hold_at_most_32_bytes_each() {
    let mut made = None;
    let mut held = measure(|| made = Some(limiter(bucket()))).bytes_current;
    let limiter = made.unwrap();
    let mut key = 0;
    let mut worst = 0.0_f64;
    while key < 2_000_000 {
        let step = measure(|| {
            for _ in 0..20_000 {
                assert!(limiter.try_take(&key, Moment::ZERO, 1).is_ok());
                key += 1;
            }
        });
        held += step.bytes_current;
        let each = held as f64 / key as f64;
        worst = worst.max(if key >= 100_000 { each } else { 0.0 });
        if key == 1_000_000 {
            eprintln!("bytes a key at 1,000,000: {each:.1}");
            assert!(each <= 32.0, "{each}");
        }
    }
    eprintln!("bytes a key from 100,000 to 2,000,000, at worst: {worst:.1}");
    assert!(worst <= 32.0, "{worst}");
}

#[test]
fn a_million_keys_of_two_values_hold_at_most_48_bytes_each() {
    let each = bytes_for(Two(bucket()), 1_000_000) as f64 / 1e6;
    eprintln!("bytes a key at 1,000,000, two values: {each:.1}");
    assert!(each <= 48.0, "{each}");
}

/// Counted by the allocator: those of keys that are in use, and no more as time goes by.
#[test]
fn keys_that_come_once_hold_no_memory_when_the_next_have_come() {
    let config = KeyedConfig::builder().max_keys(2_000_000).build().unwrap();
    let mut made = None;
    let empty = measure(|| made = Some(KeyedLimiter::new(bucket(), config, Moment::ZERO)));
    let limiter = made.unwrap();
    let (mut held, mut key, mut after) = (0, 0_u64, Vec::new());
    for generation in 0..50 {
        // Each is full again after a second.
        let now = Moment::ZERO + Duration::from_secs(2 * generation);
        let step = measure(|| {
            for _ in 0..10_000 {
                assert!(limiter.try_take(&key, now, 1).is_ok());
                key += 1;
            }
        });
        held += step.bytes_current;
        assert!(limiter.len() <= 11_000, "{limiter:?}");
        after.push(held);
    }
    let (first, most) = (after[0], after.iter().copied().max().unwrap_or_default());
    eprintln!("bytes for 10,000 keys: {first} after the first, {most} at most; {empty:?}");
    assert!(most <= 10_000 * 48, "{after:?}");
}

#[test]
fn a_known_key_allocates_nothing_and_neither_does_a_refusal() {
    let config = KeyedConfig::default();
    let limiter: KeyedLimiter<String, _> = KeyedLimiter::new(bucket(), config, Moment::ZERO);
    assert!(limiter.try_take("anna", Moment::ZERO, 1).is_ok());
    let cost = measure(|| {
        for n in 0..1_000 {
            assert_eq!(limiter.try_take("anna", Moment::ZERO, 1).is_ok(), n < 9);
            assert!(!limiter.check("anna", Moment::ZERO, 10).allowed);
            assert_eq!(limiter.remaining("bert", Moment::ZERO), 10);
        }
        limiter.refund("anna", Moment::ZERO, 1, Moment::ZERO);
        assert!(limiter.reserve("anna", Moment::ZERO, 1, Duration::ZERO).is_ok());
    });
    assert_eq!(cost.count_total, 0, "{cost:?}");
}
