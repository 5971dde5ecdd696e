//! What happens when there are more keys than may be kept.

use std::time::Duration;

use super::{at, burst, keyed};
use crate::clock::Moment;
use crate::limit::keyed::shards::SWEEP_LOOKS;

#[test]
fn memory_is_bounded_under_any_stream_of_keys() {
    let keyed = keyed(10, 1_000);
    let mut random = fastrand::Rng::with_seed(1);
    for n in 0..50_000 {
        let _ = keyed.try_take(&random.u64(..), Moment::from_nanos(n * 1_200_000), 1);
        assert!(keyed.len() <= 1_000);
    }
    assert!(keyed.evicted_total() > 45_000 && keyed.overflowed_total() < 500, "{keyed:?}");
}

#[test]
fn a_key_that_has_spent_something_survives_a_flood_of_random_keys() {
    let keyed = keyed(100, 1_000);
    let mut random = fastrand::Rng::with_seed(2);
    for key in 0..50 {
        assert_eq!(burst(&keyed, key, at(0), 100), 100);
    }
    // A flood of 30 s: each key that comes is full again a second later and gives way.
    for n in 0..10_000 {
        let now = at(0) + Duration::from_millis(3 * n);
        let _ = keyed.try_take(&random.u64(1_000..), now, 1);
    }
    for key in 0..50 {
        assert_eq!(keyed.remaining(&key, at(30)), 30, "what 30 s bring, and no more");
    }
}

#[test]
fn keys_that_find_no_room_share_one_limit() {
    let keyed = keyed(10, 4);
    for key in 0..4 {
        assert_eq!(burst(&keyed, key, at(0), 10), 10);
    }
    assert_eq!(burst(&keyed, 5, at(1), 6), 6);
    assert_eq!(burst(&keyed, 6, at(1), 6), 4, "it shares with the fifth");
    assert_eq!((keyed.len(), keyed.overflowed_total()), (4, 12));
    assert_eq!(keyed.remaining(&7, at(1)), 0, "and so would a seventh");
    assert!(keyed.reserve(&6, at(1), 3, Duration::from_secs(60)).is_err(), "nothing ahead of time");
}

#[test]
fn a_key_that_gets_room_later_has_spent_what_it_spent_without() {
    let keyed = keyed(10, 1);
    assert_eq!(burst(&keyed, 0, at(0), 1), 1);
    assert_eq!(burst(&keyed, 1, at(0), 10), 10, "from the overflow");
    // At 2 s the first key is full and gives way; the second has two tokens, not ten.
    assert_eq!(burst(&keyed, 1, at(2), 10), 2);
    assert_eq!((keyed.len(), keyed.evicted_total()), (1, 1));
    assert_eq!(burst(&keyed, 1, at(12), 20), 10);
}

#[test]
fn a_small_bound_is_kept_to_the_key_and_every_place_can_be_used_again() {
    for max_keys in 1..40 {
        let keyed = keyed(1, max_keys);
        for round in 0..10_u64 {
            for key in 0..max_keys as u64 {
                assert!(keyed.try_take(&(round * 1_000 + key), at(2 * round), 1).is_ok());
            }
            // Whatever is fresh can be found within a few insertions.
            assert!(keyed.len() <= max_keys, "{keyed:?}");
        }
    }
}

#[test]
fn sweeps_come_round_to_every_key_and_give_the_memory_back() {
    let keyed = keyed(10, 40_000);
    for key in 0..20_000 {
        keyed.try_take(&key, at(0), 1 + key % 10).unwrap();
    }
    let room = |keyed: &super::Keyed| keyed.keys.room();
    let before = room(&keyed);
    // Tables are at most half empty, and visits cost something too.
    let sweeps = 2 * 20_000 * 2 / SWEEP_LOOKS + 1;
    let swept: usize = (0..sweeps).map(|_| keyed.sweep(at(9))).sum();
    assert_eq!(swept, 18_000, "all but those that took ten");
    for key in 0..20_000 {
        assert_eq!(keyed.remaining(&key, at(9)), 10 - u64::from(key % 10 == 9));
    }
    for _ in 0..sweeps {
        keyed.sweep(at(10));
    }
    assert!(keyed.is_empty());
    assert!(room(&keyed) < before / 10, "{} of {before}", room(&keyed));
    assert_eq!(keyed.evicted_total(), 20_000);
}

#[test]
fn a_sweep_is_bounded_however_many_keys_there_are() {
    let keyed = keyed(10, 20_000);
    for key in 0..20_000 {
        keyed.try_take(&key, at(0), 1).unwrap();
    }
    let swept = keyed.sweep(at(100));
    assert!(swept > 1_000 && swept <= SWEEP_LOOKS, "{swept}");
}

#[test]
fn churn_at_the_bound_does_not_grow_the_tables() {
    let keyed = keyed(1, 5_000);
    let mut random = fastrand::Rng::with_seed(3);
    let mut most = 0;
    for n in 0..300_000_u64 {
        // A key is fresh again after a second, in which 4,000 others come.
        let _ = keyed.try_take(&random.u64(..), Moment::from_nanos(n * 250_000), 1);
        if n % 1_000 == 0 {
            most = most.max(keyed.keys.room());
        }
    }
    assert!(keyed.overflowed_total() < 30, "hardly ever is nothing found: {keyed:?}");
    let slots_a_key = most as f64 / 5_000.0;
    assert!(slots_a_key < 2.5, "{slots_a_key}");
}

#[test]
fn after_a_flood_new_keys_are_served_as_before() {
    let keyed = keyed(10, 1_000);
    let mut random = fastrand::Rng::with_seed(4);
    // Ten seconds of twice as many keys as there is room for.
    for n in 0..20_000 {
        let _ = keyed.try_take(&random.u64(..), Moment::from_nanos(n * 500_000), 1);
    }
    assert!(keyed.overflowed_total() > 5_000, "{keyed:?}");
    let (before, mut refused) = (keyed.overflowed_total(), 0);
    // As soon as the flood's keys are full again; each newcomer is in use for two seconds of ten.
    for n in 0..10_000 {
        let now = at(21) + Duration::from_millis(4 * n);
        refused += u32::from(keyed.try_take(&random.u64(..), now, 2).is_err());
    }
    assert_eq!((refused, keyed.overflowed_total() - before), (0, 0), "{keyed:?}");
}
