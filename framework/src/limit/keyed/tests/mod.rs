//! A limiter for each key against a plain map of plain buckets; under floods of keys; on real threads.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod bound;
mod idle;
mod model;
mod threads;

use std::hash::{BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use crate::clock::Moment;
use crate::limit::{KeyedConfig, KeyedLimiter, MAX_KEYS, Rate, Refusal, TokenBucket};

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

/// Hashing alike each time, so that what fails once fails again.
type Keyed = KeyedLimiter<u64, TokenBucket, BuildHasherDefault<DefaultHasher>>;

/// `capacity` tokens a key, one more each second.
fn keyed(capacity: u64, max_keys: usize) -> Keyed {
    let bucket = Rate::new(capacity, 1.0).unwrap();
    let config = KeyedConfig::builder().max_keys(max_keys).build().unwrap();
    Keyed::with_hasher(TokenBucket::new(&bucket), config, BuildHasherDefault::default(), at(0))
}

/// How many of `tries` are allowed.
fn burst(keyed: &Keyed, key: u64, now: Moment, tries: u64) -> u64 {
    (0..tries).filter(|_| keyed.try_take(&key, now, 1).is_ok()).count() as u64
}

#[test]
fn settings_that_make_no_sense_are_told_at_once() {
    for keys in [0, MAX_KEYS + 1] {
        let mistakes = KeyedConfig::builder().max_keys(keys).build().unwrap_err();
        assert_eq!(mistakes.as_slice()[0].key, "max_keys");
        assert!(mistakes.to_string().contains("from 1 to 10000000"), "{mistakes}");
    }
    assert_eq!(KeyedConfig::builder().max_keys(MAX_KEYS).build().unwrap().max_keys(), MAX_KEYS);
    assert_eq!(KeyedConfig::default().max_keys(), 100_000);
}

#[test]
fn each_key_has_its_own_limit() {
    let keyed = keyed(10, 100);
    assert_eq!(burst(&keyed, 1, at(0), 20), 10);
    assert_eq!(burst(&keyed, 2, at(0), 20), 10);
    assert_eq!(burst(&keyed, 1, at(3), 20), 3);
    assert_eq!((keyed.remaining(&1, at(3)), keyed.remaining(&2, at(3))), (0, 3));
    assert_eq!(keyed.len(), 2);
}

#[test]
fn a_key_is_found_by_what_it_borrows_as() {
    let config = KeyedConfig::default();
    let keyed: KeyedLimiter<String, _> =
        KeyedLimiter::new(TokenBucket::new(&Rate::default()), config, at(0));
    assert!(keyed.check("anna", at(0), 4).allowed);
    assert_eq!(keyed.check(&"anna".to_owned(), at(0), 0).remaining, 6);
    assert_eq!(keyed.remaining("bert", at(0)), 10);
    assert_eq!(keyed.len(), 1, "asking about a key does not make it");
    assert!(format!("{keyed:?}").contains("keys: 1"));
}

#[test]
fn it_answers_as_the_limiter_of_one_does() {
    let keyed = keyed(10, 100);
    assert_eq!(keyed.try_take(&1, at(0), 11), Err(Refusal { retry_after: None }));
    let decision = keyed.check(&1, at(0), 8);
    assert_eq!((decision.allowed, decision.limit, decision.remaining), (true, 10, 2));
    let refused = keyed.check(&1, at(0), 5);
    assert_eq!((refused.allowed, refused.retry_after), (false, Some(Duration::from_secs(3))));
    assert_eq!(keyed.peek(&1, at(0), 5), refused);
    assert_eq!(keyed.reserve(&1, at(0), 5, Duration::from_secs(9)), Ok(Duration::from_secs(3)));
    keyed.refund(&1, at(0), 5, at(3));
    assert_eq!(keyed.remaining(&1, at(0)), 2);
    keyed.refund(&2, at(0), 5, at(0));
    assert_eq!((keyed.remaining(&2, at(0)), keyed.len()), (10, 1));
}
