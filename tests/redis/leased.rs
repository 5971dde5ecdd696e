//! Limits that instances decide by leases and shares.

use std::time::Duration;

use redis::cmd;
use seawall::clock::Clock;
use seawall::distributed::{
    DecidedBy, Mode, OnFailure, Per, Redis, Request, SharedLimit, SharedLimits,
};
use seawall::limit::Config;

use super::load::at_three_times;
use super::server::Server;

const LEASE: u64 = 10;
/// So long that no test is there when one window ends and the next begins.
const WINDOW: Duration = Duration::from_secs(30 * 24 * 3600);

fn limits(server: &Server, limit: SharedLimit) -> SharedLimits {
    let redis = Redis::open(server.url()).unwrap();
    let builder = SharedLimits::builder(redis).limit(limit);
    builder.decide_within(Duration::from_millis(500)).build().unwrap()
}

fn bucket(mode: Mode) -> SharedLimit {
    let config = Config::token_bucket(100, 200.0).unwrap();
    SharedLimit::new("api", config).mode(mode).lease(LEASE).on_failure(OnFailure::Closed)
}

async fn allowed(limits: &SharedLimits) -> bool {
    limits.check(&Request::default(), 1).await.decision.allowed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_admit_the_limit_and_no_more_than_the_bound_above_it() {
    let server = Server::start();
    let instances: Vec<_> = (0..4).map(|_| limits(&server, bucket(Mode::Leased))).collect();
    let load = at_three_times(&instances, 200.0, Duration::from_secs(3), async |_| {}).await;
    let limit = load.limit(100.0, 200.0);
    let bound = limit + 4.0 * LEASE as f64;
    assert!(load.admitted as f64 <= bound, "{load:?} of {limit} with {bound}");
    assert!(load.admitted as f64 >= limit * 0.9, "{load:?} of {limit}");
    let round_trips: u64 = instances.iter().map(|it| it.counts().store.round_trips).sum();
    assert!(round_trips < load.admitted, "{round_trips} round trips for {load:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_that_is_lost_five_times_admits_no_more_than_the_bound() {
    let server = Server::start();
    for (name, config) in [
        ("bucket", Config::token_bucket(100, 200.0).unwrap()),
        ("sliding", Config::sliding_window(200, Duration::from_secs(1)).unwrap()),
    ] {
        let limit = SharedLimit::new(name, config).mode(Mode::Leased).lease(LEASE);
        let limit = limit.on_failure(OnFailure::Closed);
        let instances: Vec<_> = (0..4).map(|_| limits(&server, limit.clone())).collect();
        let load = at_three_times(&instances, 200.0, Duration::from_secs(8), async |second| {
            if (1..=5).contains(&second) {
                let _: () = cmd("FLUSHALL").query(&mut server.connection()).unwrap();
            }
        })
        .await;
        // Of a sliding window at most one more than those of the time itself.
        let bound = load.limit(200.0, 200.0) + 4.0 * LEASE as f64;
        assert!(load.admitted as f64 <= bound, "{name}: {load:?} with {bound}");
        assert!(load.admitted > 200, "{name}: {load:?}");
    }
}

#[tokio::test]
async fn what_is_not_used_is_given_back() {
    let server = Server::start();
    let config = Config::fixed_window(20, WINDOW).unwrap();
    let limit = SharedLimit::new("api", config).mode(Mode::Leased).lease(20);
    let (first, second) = (limits(&server, limit.clone()), limits(&server, limit));
    assert!(allowed(&first).await);
    assert_eq!(first.counts().leased, 19);
    // It has all of it, and nobody else gets any.
    assert!(!allowed(&second).await);
    first.leave().await;
    assert_eq!(first.counts().leased, 0);
    let fresh = limits(&server, SharedLimit::new("api", config).mode(Mode::Leased).lease(20));
    let mut admitted = 0;
    while allowed(&fresh).await {
        admitted += 1;
    }
    assert_eq!(admitted, 19);
}

#[tokio::test]
async fn a_leased_check_costs_no_round_trip() {
    let server = Server::start();
    let config = Config::token_bucket(1_000_000, 1_000_000.0).unwrap();
    let limit = SharedLimit::new("api", config).mode(Mode::Leased).lease(100_000);
    let limits = limits(&server, limit.per(Per::Subject));
    for _ in 0..1_000 {
        let decision = limits.check(&Request::of("a"), 1).await;
        assert!(decision.decision.allowed && decision.by == DecidedBy::Lease);
    }
    assert!(limits.counts().store.round_trips <= 6, "{:?}", limits.counts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_of_several_instances_are_the_limit_together() {
    let server = Server::start();
    let instances: Vec<_> = (0..4).map(|_| limits(&server, bucket(Mode::LocalShare))).collect();
    let load = at_three_times(&instances, 200.0, Duration::from_secs(4), async |_| {}).await;
    // The first to come is alone until its next sign of life; the others wait for one, and bring no burst.
    let limit = load.limit(100.0, 200.0);
    let bound = limit + 200.0 / 3.0;
    assert!(load.admitted as f64 <= bound, "{load:?} of {limit} with {bound}");
    assert!(load.admitted as f64 >= limit * 0.75, "{load:?} of {limit}");
    assert!(instances.iter().all(|it| it.counts().instances == 4));
}

#[tokio::test]
async fn an_instance_that_goes_leaves_its_share_to_the_others() {
    let server = Server::start();
    let config = Config::fixed_window(100, WINDOW).unwrap();
    let limit = SharedLimit::new("api", config).mode(Mode::LocalShare);
    let (first, second) = (limits(&server, limit.clone()), limits(&server, limit));
    assert!(allowed(&first).await);
    let begin = Clock::system().now();
    while second.counts().instances != 2 {
        allowed(&second).await;
        assert!(Clock::system().now().since(begin) < Duration::from_secs(10));
        tokio::task::yield_now().await;
    }
    first.leave().await;
    while second.counts().instances != 1 {
        allowed(&second).await;
        assert!(Clock::system().now().since(begin) < Duration::from_secs(10));
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_store_each_limit_does_as_it_says() {
    let mut server = Server::start();
    let config = Config::fixed_window(10, WINDOW).unwrap();
    let of = |on_failure| {
        let limit = SharedLimit::new("api", config).per(Per::Subject).on_failure(on_failure);
        limits(&server, limit)
    };
    let (open, closed, local) = (of(OnFailure::Open), of(OnFailure::Closed), of(OnFailure::Local));
    let ask = async |limits: &SharedLimits, subject| {
        let decision = limits.check(&Request::of(subject), 1).await;
        (decision.decision.allowed, decision.by)
    };
    for limits in [&open, &closed, &local] {
        // Four of ten, in all twelve: each is another subject.
        for _ in 0..4 {
            assert_eq!(ask(limits, "a").await.1, DecidedBy::Store);
        }
        let _ = limits.reset(&Request::of("a")).await;
    }
    server.kill();
    let begin = Clock::system().now();
    for _ in 0..20 {
        assert_eq!(ask(&open, "a").await, (true, DecidedBy::Failure(OnFailure::Open)));
        assert_eq!(ask(&closed, "a").await, (false, DecidedBy::Failure(OnFailure::Closed)));
    }
    // The share knows of the four that the store has admitted: of ten, divided by the three that were alive.
    let mut admitted = 0;
    while ask(&local, "a").await.0 {
        admitted += 1;
    }
    assert!(admitted <= 6, "{admitted}");
    let mut admitted = 0;
    while ask(&local, "b").await.0 {
        admitted += 1;
    }
    let share = 10 / local.counts().instances;
    assert_eq!(admitted, share);
    assert!(
        Clock::system().now().since(begin) < Duration::from_secs(5),
        "{:?}",
        Clock::system().now().since(begin)
    );
}
