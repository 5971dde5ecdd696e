//! Layers against plain numbers, and on real threads.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod model;
mod threads;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::limit::{
    KeyedConfig, KeyedLimiter, Layered, MAX_LAYERS, Rate, RateLimiter, TokenBucket,
};

struct Request {
    user: u8,
    endpoint: u8,
}

type Keyed = KeyedLimiter<u8, TokenBucket>;

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

/// One token a second.
fn bucket(capacity: u64) -> TokenBucket {
    let config = Rate::new(capacity, 1.0);
    TokenBucket::new(&config.unwrap())
}

fn whole(capacity: u64) -> Arc<RateLimiter<TokenBucket>> {
    Arc::new(RateLimiter::new(bucket(capacity), at(0)))
}

fn keyed(capacity: u64, max_keys: usize) -> Arc<Keyed> {
    let config = KeyedConfig::builder().max_keys(max_keys).build().unwrap();
    Arc::new(KeyedLimiter::new(bucket(capacity), config, at(0)))
}

fn layers(
    global: &Arc<RateLimiter<TokenBucket>>,
    users: &Arc<Keyed>,
    endpoints: &Arc<Keyed>,
) -> Layered<Request> {
    Layered::builder()
        .layer("global", Arc::clone(global))
        .keyed("user", Arc::clone(users), |request: &Request| &request.user)
        .keyed("endpoint", Arc::clone(endpoints), |request: &Request| &request.endpoint)
        .build()
        .unwrap()
}

fn request(user: u8, endpoint: u8) -> Request {
    Request { user, endpoint }
}

#[test]
fn layers_that_make_no_sense_are_told_at_once() {
    let none = Layered::<()>::builder().build().unwrap_err();
    assert_eq!(none.to_string(), "layers = 0: must be from 1 to 16 layers");
    let mut builder = Layered::<()>::builder().layer("", whole(1));
    for _ in 0..MAX_LAYERS {
        builder = builder.layer("same", whole(1));
    }
    let mistakes = builder.build().unwrap_err();
    assert_eq!(mistakes.as_slice().len(), 2 + MAX_LAYERS - 1, "{mistakes}");
}

#[test]
fn the_answer_names_the_widest_layer_that_refuses_and_the_longest_wait() {
    let (global, users, endpoints) = (whole(4), keyed(3, 9), keyed(2, 9));
    let limits = layers(&global, &users, &endpoints);
    assert_eq!(limits.names().collect::<Vec<_>>(), ["global", "user", "endpoint"]);
    assert!(limits.try_take(&request(1, 1), at(0), 2).is_ok());
    let refused = limits.try_take(&request(1, 1), at(0), 1).unwrap_err();
    assert_eq!((&*refused.layer, refused.retry_after), ("endpoint", Some(Duration::from_secs(1))));
    let refused = limits.try_take(&request(1, 2), at(0), 2).unwrap_err();
    assert_eq!((&*refused.layer, refused.retry_after), ("user", Some(Duration::from_secs(1))));
    assert!(limits.try_take(&request(2, 2), at(0), 2).is_ok());
    let refused = limits.try_take(&request(1, 1), at(0), 1).unwrap_err();
    assert_eq!(refused.to_string(), "layer `global`: rate limit reached, retry after 1s");
    // The global layer has two after 2 s; the user's has three; the endpoint's two.
    let refused = limits.try_take(&request(1, 1), at(0), 2).unwrap_err();
    assert_eq!((&*refused.layer, refused.retry_after), ("global", Some(Duration::from_secs(2))));
    assert!(limits.try_take(&request(1, 1), at(2), 2).is_ok());
    assert_eq!(limits.try_take(&request(1, 1), at(2), 3).unwrap_err().retry_after, None);
}

#[test]
fn an_allowed_request_is_told_how_the_tightest_layer_is() {
    let (global, users, endpoints) = (whole(9), keyed(5, 9), keyed(7, 9));
    let limits = layers(&global, &users, &endpoints);
    let answer = limits.check(&request(1, 1), at(0), 2);
    assert_eq!((&*answer.layer, answer.decision.remaining), ("user", 3));
    assert_eq!(limits.peek(&request(2, 1), at(0), 1).decision.remaining, 5);
    assert_eq!(limits.check(&request(2, 1), at(0), 2).decision.remaining, 3);
    assert_eq!(&*limits.check(&request(3, 1), at(0), 1).layer, "endpoint");
    limits.refund(&request(3, 1), at(0), 1, at(0));
    assert_eq!((global.remaining(at(0)), users.remaining(&3, at(0))), (5, 5));
    assert_eq!(limits.sweep(at(60)), 4, "three users and an endpoint");
}

#[test]
fn a_layer_counts_only_requests_that_have_its_key() {
    let (users, endpoints) = (keyed(2, 9), keyed(3, 9));
    let limits = Layered::builder()
        .keyed_if("user", Arc::clone(&users), |request: &Request| {
            (request.user != 0).then_some(&request.user)
        })
        .keyed_if("endpoint", Arc::clone(&endpoints), |request: &Request| {
            (request.endpoint != 0).then_some(&request.endpoint)
        })
        .build()
        .unwrap();
    for left in [2, 1, 0] {
        let answer = limits.check(&request(0, 1), at(0), 1);
        assert_eq!((&*answer.layer, answer.decision.remaining), ("endpoint", left));
    }
    let refused = limits.try_take(&request(0, 1), at(0), 1).unwrap_err();
    assert_eq!((&*refused.layer, refused.retry_after), ("endpoint", Some(Duration::from_secs(1))));
    assert!(limits.try_take(&request(7, 1), at(0), 1).is_err());
    assert_eq!(users.remaining(&7, at(0)), 2);
    limits.refund(&request(0, 1), at(0), 1, at(0));
    assert_eq!(endpoints.remaining(&1, at(0)), 1);
    let nowhere = limits.check(&request(0, 0), at(0), 1_000);
    assert!(nowhere.decision.allowed && nowhere.decision.remaining == u64::MAX, "{nowhere:?}");
    assert_eq!((&*nowhere.layer, users.len(), endpoints.len()), ("user", 0, 1));
}

#[test]
fn a_refusal_says_which_layers_refuse() {
    let (global, users, endpoints) = (whole(9), keyed(2, 9), keyed(1, 9));
    let limits = layers(&global, &users, &endpoints);
    limits.try_take(&request(1, 1), at(0), 1).unwrap();
    let refusing = |user, endpoint, cost| {
        let verdict = limits.check_at(&request(user, endpoint), at(0), cost);
        (verdict.at, verdict.refusing)
    };
    assert_eq!(refusing(1, 1, 1), (2, 0b100));
    assert_eq!(refusing(1, 1, 2), (1, 0b110));
    assert_eq!(refusing(1, 2, 2), (1, 0b110));
    assert_eq!(refusing(1, 2, 9), (0, 0b111));
    assert_eq!(refusing(2, 2, 1), (2, 0), "nobody refuses");
}

#[test]
fn what_was_taken_from_an_overflow_goes_back_there() {
    // One user has room; the endpoint's layer is what refuses, after the user's has been taken.
    let (global, users, endpoints) = (whole(50), keyed(9, 1), keyed(50, 9));
    users.try_take(&0, at(0), 1).unwrap();
    let limits = Layered::builder()
        .keyed("endpoint", Arc::clone(&endpoints), |request: &Request| &request.endpoint)
        .keyed("user", Arc::clone(&users), |request: &Request| &request.user)
        .build()
        .unwrap();
    assert!(limits.try_take(&request(1, 1), at(0), 4).is_ok());
    assert_eq!(users.remaining(&1, at(0)), 5, "shared with all who find no room");
    // As if the endpoint's tokens had gone between asking and taking.
    let taken = super::Taken {
        layered: &limits,
        request: &request(1, 1),
        now: at(0),
        cost: 4,
        from: 1,
        overflow: 0b10,
    };
    drop(taken);
    assert_eq!((users.remaining(&1, at(0)), global.remaining(at(0))), (9, 50));
}

#[test]
fn a_request_whose_key_panics_on_the_way_has_taken_nothing() {
    let narrow = whole(5);
    let panics = std::sync::atomic::AtomicU64::new(0);
    let limits = Layered::<u8>::builder()
        .keyed("user", keyed(5, 9), move |user: &u8| {
            // Asked once, then taken from.
            assert_eq!(panics.fetch_add(1, std::sync::atomic::Ordering::Relaxed), 0, "told to");
            user
        })
        .layer("narrow", Arc::clone(&narrow))
        .build()
        .unwrap();
    let take = || limits.try_take(&1, at(0), 2);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(take)).is_err());
    assert_eq!(narrow.remaining(at(0)), 5);
}
