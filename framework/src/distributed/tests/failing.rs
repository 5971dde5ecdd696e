//! Stores that are slow or gone.

use std::time::Duration;

use super::slow::{Next, Slow};
use crate::distributed::{
    DecidedBy, Memory, Mode, OnFailure, Per, Request, SharedDecision, SharedLimit, SharedLimits,
};
use crate::limit::Config;
use crate::time::Time;

const HOUR: Duration = Duration::from_secs(3600);

fn store() -> Slow {
    Slow::new(Memory::new(Time::tokio()))
}

fn ten() -> SharedLimit {
    SharedLimit::new("api", Config::fixed_window(10, HOUR).unwrap()).per(Per::Subject)
}

fn limits(store: &Slow, limit: SharedLimit) -> SharedLimits {
    SharedLimits::builder(store.clone()).limit(limit).time(Time::tokio()).build().unwrap()
}

async fn check(limits: &SharedLimits, subject: &str) -> SharedDecision {
    limits.check(&Request::of(subject), 1).await
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_silent_is_waited_for_50_ms() {
    let (store, time) = (store(), Time::tokio());
    for (on_failure, allowed) in
        [(OnFailure::Open, true), (OnFailure::Closed, false), (OnFailure::Local, true)]
    {
        let limits = limits(&store, ten().on_failure(on_failure));
        store.then(Next::Silence);
        let begin = time.now();
        let decision = check(&limits, "a").await;
        assert_eq!(time.now().since(begin), Duration::from_millis(50));
        assert_eq!(decision.by, DecidedBy::Failure(on_failure));
        assert_eq!(decision.decision.allowed, allowed);
        assert_eq!((limits.counts().failures, limits.counts().degraded_nanos), (1, 0));
        // The next is decided, and ends the time without decisions.
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(check(&limits, "a").await.by, DecidedBy::Store);
        assert_eq!(limits.counts().degraded_nanos, 1_000_000_000);
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_store_the_share_is_what_the_store_has_left_it() {
    let store = store();
    let limits = limits(&store, ten());
    for _ in 0..7 {
        assert_eq!(check(&limits, "a").await.by, DecidedBy::Store);
    }
    store.usual(Next::Fail);
    let mut admitted = 0;
    while check(&limits, "a").await.decision.allowed {
        admitted += 1;
    }
    assert_eq!(admitted, 3, "kept warm");
    let mut admitted = 0;
    while check(&limits, "b").await.decision.allowed {
        admitted += 1;
    }
    assert_eq!(admitted, 10);
}

#[tokio::test(start_paused = true)]
async fn those_who_have_given_up_are_not_asked_for() {
    let store = store();
    let limits = limits(&store, ten().on_failure(OnFailure::Closed));
    store.then(Next::Wait);
    let checks: Vec<_> = (0..5)
        .map(|_| {
            let limits = limits.clone();
            tokio::spawn(async move { check(&limits, "a").await })
        })
        .collect();
    for check in checks {
        assert_eq!(check.await.unwrap().by, DecidedBy::Failure(OnFailure::Closed));
    }
    store.let_go();
    // The four that waited behind the first have never been sent.
    assert_eq!(check(&limits, "a").await.by, DecidedBy::Store);
    let costs: Vec<_> = store.asked().iter().map(|request| request.costs.len()).collect();
    assert_eq!(costs, [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn one_request_of_a_key_is_under_way_and_the_others_go_together() {
    let store = store();
    let limits = limits(&store, ten());
    // As a round trip does: everybody else has the time to come.
    store.then(Next::Wait);
    let checks: Vec<_> = (0..1_000)
        .map(|_| {
            let limits = limits.clone();
            tokio::spawn(async move { check(&limits, "a").await.decision })
        })
        .collect();
    tokio::task::yield_now().await;
    store.let_go();
    let mut left = Vec::new();
    for check in checks {
        let decision = check.await.unwrap();
        if decision.allowed {
            left.push(decision.remaining);
        }
    }
    // In the order in which they came, as one by one.
    assert_eq!(left, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    let costs: Vec<_> = store.asked().iter().map(|request| request.costs.len()).collect();
    assert_eq!(costs, [1, 256, 256, 256, 231]);
    assert_eq!(store.most_at_once(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cost_that_no_limit_holds_is_refused_for_ever_without_asking() {
    let store = store();
    let limits = limits(&store, ten());
    let decision = limits.check(&Request::of("a"), 11).await.decision;
    assert_eq!((decision.allowed, decision.retry_after, decision.limit), (false, None, 10));
    assert!(store.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_smaller_cost_than_the_refused_one_is_asked_about() {
    let store = store();
    let limits = limits(&store, ten());
    let of = |cost| {
        let limits = &limits;
        async move { limits.check(&Request::of("a"), cost).await.decision.allowed }
    };
    assert!(of(8).await);
    assert!(!of(5).await && !of(6).await);
    assert_eq!(store.asked().len(), 2);
    assert!(of(2).await);
    tokio::time::advance(HOUR).await;
    assert!(of(5).await);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_had_is_decided_without_the_store() {
    let store = store();
    let limits = limits(&store, ten().mode(Mode::Leased).lease(4));
    assert_eq!(check(&limits, "a").await.by, DecidedBy::Lease);
    store.usual(Next::Fail);
    // What is held is used, and the rest is this instance's share of what is left of the limit.
    let mut by = Vec::new();
    loop {
        let decision = check(&limits, "a").await;
        if !decision.decision.allowed {
            break;
        }
        by.push(decision.by);
    }
    assert_eq!(by[..3], [DecidedBy::Lease; 3]);
    assert_eq!(by[3..], [DecidedBy::Failure(OnFailure::Local); 6]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_nobody_uses_is_given_back() {
    let store = store();
    let config = Config::fixed_window(100, HOUR).unwrap();
    let limit = SharedLimit::new("api", config).mode(Mode::Leased).lease(10);
    let limits = limits(&store, limit);
    assert_eq!(limits.check(&Request::default(), 1).await.by, DecidedBy::Lease);
    assert_eq!(limits.counts().leased, 9);
    Time::tokio().sleep(Duration::from_secs(3)).await;
    assert_eq!(limits.counts().leased, 0);
    let back: Vec<_> = store.leased().iter().map(|it| it.returned).filter(|it| *it > 0).collect();
    assert_eq!(back, [9]);
    assert_eq!(limits.check(&Request::default(), 1).await.by, DecidedBy::Lease);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_dropped_gives_its_lease_back() {
    let store = store();
    let leased = Config::fixed_window(100, HOUR).unwrap();
    let limits = SharedLimits::builder(store.clone())
        .limit(SharedLimit::new("all", leased).mode(Mode::Leased).lease(10))
        .limit(ten())
        .time(Time::tokio())
        .build()
        .unwrap();
    assert!(check(&limits, "a").await.decision.allowed);
    assert_eq!(limits.counts().leased, 9);
    store.then(Next::Silence);
    let dropped = tokio::time::timeout(Duration::from_millis(10), check(&limits, "a")).await;
    assert!(dropped.is_err());
    assert_eq!(limits.counts().leased, 9);
    // So does one that is refused.
    while check(&limits, "a").await.decision.allowed {}
    let held = limits.counts().leased;
    assert!(!check(&limits, "a").await.decision.allowed);
    assert_eq!(limits.counts().leased, held);
}

#[test]
fn a_runtime_that_ends_leaves_nothing_undone_behind() {
    let time = Time::manual();
    let store = Slow::new(Memory::new(Time::from(&time)));
    let of = |mode| {
        let limit = ten().mode(mode).lease(2).on_failure(OnFailure::Closed);
        let builder = SharedLimits::builder(store.clone()).limit(limit);
        builder.time(Time::from(&time)).build().unwrap()
    };
    let (exact, leased) = (of(Mode::Exact), of(Mode::Leased));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    store.usual(Next::Silence);
    first.block_on(async {
        for _ in 0..3 {
            let (exact, leased) = (exact.clone(), leased.clone());
            tokio::spawn(async move { check(&exact, "a").await });
            tokio::spawn(async move { check(&leased, "a").await });
        }
        tokio::task::yield_now().await;
    });
    drop(first);
    store.usual(Next::Answer);
    runtime().block_on(async {
        assert_eq!(check(&exact, "a").await.by, DecidedBy::Store);
        // For a moment the store counts as failing.
        time.advance(Duration::from_millis(150));
        assert_eq!(check(&leased, "a").await.by, DecidedBy::Lease);
    });
}
