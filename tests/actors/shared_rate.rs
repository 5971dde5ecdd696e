//! Calls of a dependency that take from a limit which others share.

use std::io;
use std::time::Duration;

use seawall::distributed::{Memory, Mode, Request, SharedLimit, SharedLimits};
use seawall::limit::Config;
use seawall::runtime::{Calls, LimitsError};
use seawall::{Fault, RejectedBy, Seawall, Time};

const HOUR: Duration = Duration::from_secs(3600);

fn limits(store: &Memory, mode: Mode) -> SharedLimits {
    let config = Config::fixed_window(10, HOUR).unwrap();
    let limit = SharedLimit::new("quota", config).mode(mode).lease(2);
    SharedLimits::builder(store.clone()).limit(limit).time(Time::tokio()).build().unwrap()
}

async fn start(policy: &str) -> (Seawall, Calls) {
    let seawall = Seawall::builder().policy_text("f", policy).time(Time::tokio()).start().unwrap();
    let calls = seawall.calls("api", &["find"]).await.unwrap();
    (seawall, calls)
}

fn by(fault: &Fault) -> RejectedBy {
    match fault {
        Fault::Rejected { by, .. } => *by,
        other => panic!("{other}"),
    }
}

/// How many calls are let in, until one is not; and what that is told.
async fn let_in(calls: &Calls) -> (u32, RejectedBy) {
    let mut count = 0;
    loop {
        let answer = calls.call("find", async || Ok::<_, io::Error>(())).await;
        // What refills a lease has its turn.
        tokio::task::yield_now().await;
        match answer {
            Ok(()) => count += 1,
            Err(error) => {
                let fault = error.fault().unwrap().clone();
                assert!(fault.retry_after().is_some());
                return (count, by(&fault));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn instances_keep_to_one_quota_together() {
    let store = Memory::new(Time::tokio());
    let mut admitted = 0;
    for _ in 0..3 {
        let (seawall, calls) = start("").await;
        seawall.share_rate_limit("api", &limits(&store, Mode::Leased)).await.unwrap();
        let (count, by) = let_in(&calls).await;
        assert_eq!(by, RejectedBy::RateLimit);
        admitted += count;
    }
    assert_eq!(admitted, 10);
}

#[tokio::test(start_paused = true)]
async fn its_own_limit_holds_beside_it_and_gives_back_what_it_refuses() {
    let store = Memory::new(Time::tokio());
    let policy = "api.rate_limit = { fixed_window = { limit = 4, window = \"1h\" } }";
    let (seawall, calls) = start(policy).await;
    let shared = limits(&store, Mode::Leased);
    seawall.share_rate_limit("api", &shared).await.unwrap();
    assert_eq!(let_in(&calls).await, (4, RejectedBy::RateLimit));
    // The fifth has taken nothing from the others: six are left.
    let (seawall, calls) = start("").await;
    shared.leave().await;
    seawall.share_rate_limit("api", &limits(&store, Mode::Leased)).await.unwrap();
    assert_eq!(let_in(&calls).await, (6, RejectedBy::RateLimit));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_finds_no_permit_gives_its_token_back() {
    let store = Memory::new(Time::tokio());
    let policy = "api.bulkhead = { max_concurrent = 1, max_wait = \"0ms\" }";
    let (seawall, calls) = start(policy).await;
    let shared = limits(&store, Mode::LocalShare);
    seawall.share_rate_limit("api", &shared).await.unwrap();
    let busy = calls.clone();
    let held = tokio::spawn(async move {
        busy.call("find", std::future::pending::<Result<(), io::Error>>).await
    });
    tokio::task::yield_now().await;
    for _ in 0..50 {
        let answer = calls.call("find", async || Ok::<_, io::Error>(())).await;
        assert_eq!(by(answer.unwrap_err().fault().unwrap()), RejectedBy::Bulkhead);
    }
    held.abort();
    let _ = held.await;
    assert_eq!(let_in(&calls).await, (9, RejectedBy::RateLimit));
}

#[tokio::test(start_paused = true)]
async fn the_policy_file_names_dependencies_that_share() {
    let policy = r#"
        [limits.out]
        dependencies = ["api"]
        layers.quota = { mode = "leased", lease = 2, fixed_window = { limit = 5, window = "30days" } }
    "#;
    let (seawall, calls) = start(policy).await;
    assert_eq!(let_in(&calls).await, (5, RejectedBy::RateLimit));
    // `Seawall::limits` returns the same set.
    let limits = seawall.limits("out").await.unwrap();
    assert!(!limits.check(&Request::of("api"), 1).await.decision.allowed);
    // Another one is not concerned.
    let free = seawall.calls("free", &["find"]).await.unwrap();
    for _ in 0..10 {
        assert!(free.call("find", async || Ok::<_, io::Error>(())).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_shared_is_said() {
    let store = Memory::new(Time::tokio());
    let (seawall, _calls) = start("").await;
    let exact = seawall.share_rate_limit("api", &limits(&store, Mode::Exact)).await.unwrap_err();
    assert!(matches!(exact, LimitsError::Exact { .. }), "{exact}");
    let shared = limits(&store, Mode::Leased);
    let missing = seawall.share_rate_limit("apo", &shared).await.unwrap_err();
    assert!(matches!(missing, LimitsError::Dependency { .. }), "{missing}");
    seawall.share_rate_limit("api", &shared).await.unwrap();
    assert!(seawall.share_rate_limit("api", &shared).await.is_err());
}
