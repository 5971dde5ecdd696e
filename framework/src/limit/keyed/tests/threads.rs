//! On real threads: what is taken, evicted and made at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{at, burst, keyed};
use crate::clock::Moment;
use crate::limit::{KeyedConfig, KeyedLimiter, Rate, TokenBucket};

/// Room for two of eight keys, which those threads race for that find none taken; and somebody who forgets whatever may be forgotten.
/// What each key has taken.
fn raced_for<S: std::hash::BuildHasher + Sync>(
    keyed: &KeyedLimiter<u64, TokenBucket, S>,
) -> [u64; 8] {
    let taken: [AtomicU64; 8] = Default::default();
    std::thread::scope(|scope| {
        for first in 0..4_u64 {
            let taken = &taken;
            scope.spawn(move || {
                for n in 0..20_000 {
                    let key = (first + n) % 8;
                    let got = u64::from(keyed.try_take(&key, at(0), 1).is_ok());
                    taken[key as usize].fetch_add(got, Ordering::Relaxed);
                    if n % 16 == 0 {
                        keyed.sweep(at(0));
                    }
                }
            });
        }
    });
    taken.map(AtomicU64::into_inner)
}

#[test]
fn racing_threads_take_no_token_twice_while_their_keys_come_and_go() {
    let taken = raced_for(&keyed(100, 2));
    assert!(taken.iter().all(|taken| *taken <= 100), "{taken:?}");
    // All that the others share, and two keys of their own, less what was taken of what is shared before they came.
    assert!((100..=400).contains(&taken.iter().sum::<u64>()), "{taken:?}");
}

#[test]
fn racing_threads_take_all_that_there_is_where_two_keys_have_come_before() {
    let keyed = keyed(100, 2);
    assert!([0, 1].iter().all(|key| keyed.try_take(key, at(0), 1).is_ok()));
    let taken = raced_for(&keyed);
    assert_eq!((taken[0], taken[1], taken[2..].iter().sum()), (99, 99, 100), "{taken:?}");
}

#[test]
fn no_take_is_lost_to_an_eviction_at_the_same_time() {
    // Each key takes all it has at once; refills in a second; meanwhile it is fresh for the sweeper as
    // often as not. Whatever the order, a key has at most a capacity and what came in.
    for round in 0..10 {
        let keyed = keyed(5, 100_000);
        let now = at(10 * round);
        let taken = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| (0..2_000).map(|key| burst(&keyed, key, now, 5)).sum::<u64>())
                })
                .collect();
            scope.spawn(|| (0..200).map(|_| keyed.sweep(now)).sum::<usize>());
            takers.into_iter().map(|taker| taker.join().unwrap()).sum::<u64>()
        });
        assert_eq!(taken, 5 * 2_000, "each key its five, whichever thread took them");
    }
}

/// A key whose code panics when it is told to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Touchy(u64);

static PANICS: AtomicU64 = AtomicU64::new(u64::MAX);

impl std::hash::Hash for Touchy {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        assert_ne!(self.0, PANICS.load(Ordering::Relaxed), "told to");
        state.write_u64(self.0);
    }
}

#[test]
fn a_key_whose_hash_panics_hurts_nobody_else() {
    let bucket = TokenBucket::new(&Rate::new(3, 1.0).unwrap());
    let config = KeyedConfig::builder().max_keys(1_000).build().unwrap();
    let keyed: KeyedLimiter<Touchy, _> = KeyedLimiter::new(bucket, config, Moment::ZERO);
    for key in 0..2_000 {
        // Every third insertion meets a key that panics when its table grows.
        PANICS.store(if key % 3 == 0 { key / 2 } else { u64::MAX }, Ordering::Relaxed);
        let take = || keyed.try_take(&Touchy(key), at(0) + Duration::from_secs(key * 5), 1);
        let _ = catch_unwind(AssertUnwindSafe(take));
        assert!(keyed.len() <= 1_000);
    }
    PANICS.store(u64::MAX, Ordering::Relaxed);
    // No place was lost for good: a thousand newcomers find room.
    let now = at(100_000);
    while keyed.sweep(now) > 0 {}
    for _ in 0..100 {
        keyed.sweep(now);
    }
    assert_eq!(keyed.len(), 0, "{keyed:?}");
    for key in 0..1_000 {
        keyed.try_take(&Touchy(10_000 + key), now, 3).unwrap();
    }
    assert_eq!((keyed.len(), keyed.overflowed_total()), (1_000, 0));
}
