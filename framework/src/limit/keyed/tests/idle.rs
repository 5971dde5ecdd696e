//! Idle keys go by themselves: nobody calls `sweep` here, and there is room for all.

use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher};
use std::time::Duration;

use proptest::prelude::*;

use super::{Keyed, at, keyed};
use crate::clock::Moment;
use crate::limit::tests::five;
use crate::limit::{Algorithm, AnyAlgorithm, KeyedConfig, KeyedLimiter, RateLimiter};

/// Puts all keys into the first shard, whose table then forgets and grows often.
#[derive(Clone, Copy, Default)]
pub(super) struct OneShard;

#[derive(Default)]
pub(super) struct FewBits(DefaultHasher);

impl BuildHasher for OneShard {
    type Hasher = FewBits;
    fn build_hasher(&self) -> FewBits {
        FewBits::default()
    }
}

impl Hasher for FewBits {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }
    fn finish(&self) -> u64 {
        self.0.finish() & !(0xFFFF_FFFF << 25)
    }
}

/// With all keys in one shard.
pub(super) fn one_shard<A: Algorithm>(
    algorithm: A,
    max_keys: usize,
) -> KeyedLimiter<u8, A, OneShard> {
    let config = KeyedConfig::builder().max_keys(max_keys).build().unwrap();
    KeyedLimiter::with_hasher(algorithm, config, OneShard, at(0))
}

fn once(keyed: &Keyed, keys: impl IntoIterator<Item = u64>, now: Moment) {
    for key in keys {
        keyed.try_take(&key, now, 1).unwrap();
    }
}

#[test]
fn keys_that_come_once_are_gone_when_the_next_have_come() {
    let keyed = keyed(10, 1_000_000);
    let mut room = 0;
    for generation in 0..50 {
        let first = generation * 10_000;
        once(&keyed, first..first + 10_000, at(2 * generation));
        assert!(keyed.len() <= 11_000, "{keyed:?}");
        room = room.max(keyed.keys.room());
    }
    assert!(keyed.evicted_total() >= 489_000 && keyed.overflowed_total() == 0, "{keyed:?}");
    assert!(room <= 30_000, "{room} places for 10,000 keys");
}

#[test]
fn at_a_constant_rate_memory_is_that_of_the_keys_that_are_not_idle() {
    for rate in [100, 1_000, 10_000] {
        let keyed = keyed(10, 1_000_000);
        let (mut most, mut room) = (0, 0);
        for key in 0..20 * rate {
            // Full again a second later.
            once(&keyed, [key], Moment::from_nanos(1_000_000_000 / rate * key));
            most = most.max(keyed.len() as u64);
            room = room.max(keyed.keys.room() as u64 * u64::from(key % 100 == 0));
        }
        // Beside those in use: those that the looks have yet to come to, and one or two in each of
        // its 244 shards that nobody new has come to.
        assert!(most <= rate + rate / 2 + 2 * 244, "{most} keys of {rate} in use");
        assert!(room <= 3 * rate + 4 * 244, "{room} places for {rate} keys in use");
    }
}

#[test]
fn a_flood_gives_its_memory_back_to_a_trickle() {
    let keyed = keyed(10, 1_000_000);
    once(&keyed, 0..100_000, at(0));
    let flooded = keyed.keys.room();
    // As many newcomers as there are places, each idle before the next.
    for n in 0..flooded as u64 {
        once(&keyed, [1_000_000 + n], at(10 + n));
    }
    assert!(keyed.len() < 3 * 244, "{keyed:?}");
    assert!(keyed.keys.room() < flooded / 50, "{} of {flooded}", keyed.keys.room());
}

#[test]
fn who_has_spent_something_stays_however_many_come_and_go() {
    let keyed = keyed(1_000, 1_000_000);
    for key in 0..100 {
        keyed.try_take(&key, at(0), 1_000).unwrap();
    }
    for second in 1..100 {
        let first = second * 1_000;
        once(&keyed, first..first + 1_000, at(2 * second));
    }
    for key in 0..100 {
        assert_eq!(keyed.remaining(&key, at(200)), 200, "what 200 s bring, and no more");
    }
    assert!(keyed.evicted_total() > 90_000, "{keyed:?}");
}

#[test]
fn a_table_is_seldom_looked_through_however_little_there_is_to_forget() {
    use std::cell::Cell;

    use super::super::shards::Shards;

    // Just so many are needed that one place in a few is free again; or nothing ever is.
    for needed in [0.0, 0.5, 0.7, 0.8, 0.85, 0.9, 1.0] {
        let shards: Shards<u64, u64, OneShard> = Shards::new(1_000_000, OneShard);
        let (looks, mut random) = (Cell::new(0_u64), fastrand::Rng::with_seed(5));
        let came = 20_000;
        for key in 0..came {
            let kept = (needed * 4_096.0) as u64;
            let may_go = |born: &u64| {
                looks.set(looks.get() + 1);
                needed < 1.0 && born + kept < key
            };
            shards.write(&random.u64(..), may_go, || key, |_| ());
        }
        let each = looks.get() as f64 / came as f64;
        assert!(each < 14.0, "{each} looks a newcomer with {needed} needed");
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Keys that nobody has seen before, so many of them, and what each takes.
    Flood(u8, u64),
    Take(u8, u64),
    Reserve(u8, u64),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (1..40_u8, 0..6_u64).prop_map(|(keys, cost)| Step::Flood(keys, cost)),
        4 => (0..24_u8, 0..6_u64).prop_map(|(key, cost)| Step::Take(key, cost)),
        1 => (0..24_u8, 0..6_u64).prop_map(|(key, cost)| Step::Reserve(key, cost)),
        2 => (0..4_000_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Of all five: a map of limiters that forgets nothing says the same, word for word, while keys go by
    /// themselves all the time.
    #[test]
    fn nobody_gets_more_or_less_because_idle_keys_went(
        limit in 1..8_u64,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        for algorithm in five(limit, Duration::from_secs(1), 1.0) {
            let keys = KeyedConfig::default();
            let keyed: KeyedLimiter<u64, _, _> =
                KeyedLimiter::with_hasher(algorithm, keys, OneShard, at(0));
            let mut plain: HashMap<u64, RateLimiter<AnyAlgorithm>> = HashMap::new();
            let (mut now, mut newest) = (at(100), 1_000_u64);
            let mut ask = |key, now, cost, ahead: Option<Duration>| {
                let plain = plain.entry(key).or_insert_with(|| RateLimiter::new(algorithm, now));
                match ahead {
                    None => keyed.try_take(&key, now, cost) == plain.try_take(now, cost),
                    Some(max) => keyed.reserve(&key, now, cost, max) == plain.reserve(now, cost, max),
                }
            };
            for &step in &steps {
                match step {
                    Step::Flood(keys, cost) => for _ in 0..keys {
                        newest += 1;
                        prop_assert!(ask(newest, now, cost, None), "{:?}", step);
                    },
                    Step::Take(key, cost) => {
                        prop_assert!(ask(key.into(), now, cost, None), "{:?}", step);
                    }
                    Step::Reserve(key, cost) => {
                        let ahead = Some(Duration::from_secs(cost));
                        prop_assert!(ask(key.into(), now, cost, ahead), "{:?}", step);
                    }
                    Step::Wait(more) => now = now + Duration::from_millis(more),
                }
            }
            // What came so far is idle by now, and goes as others come, four places for each: in one
            // round of the table, and one more if it was made smaller at its end, for one that had not
            // been looked at may be anywhere in it then.
            let (before, now) = (keyed.len() as u64, now + Duration::from_secs(60));
            let newcomers = 2 * (keyed.keys.room() as u64 / 4 + 1);
            for key in 10_000..10_000 + newcomers {
                prop_assert!(ask(key, now, limit, None));
            }
            prop_assert!(keyed.evicted_total() >= before && keyed.len() as u64 <= newcomers);
            prop_assert_eq!(keyed.overflowed_total(), 0);
        }
    }
}
