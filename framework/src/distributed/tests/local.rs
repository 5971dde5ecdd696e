//! The store in this process, and reloads.

use std::time::Duration;

use crate::distributed::{
    DecidedBy, Memory, Mode, Per, Request, SharedConfig, SharedLimit, SharedLimits,
};
use crate::limit::{Config, Metered};
use crate::time::{ManualTime, Time};

fn bucket(capacity: u64) -> Config {
    Config::token_bucket(capacity, 1.0).unwrap()
}

fn per_user(capacity: u64) -> SharedLimit {
    SharedLimit::new("user", bucket(capacity)).per(Per::Subject)
}

fn limits(time: &ManualTime, all: &[SharedLimit]) -> SharedLimits {
    let time = Time::from(time);
    let store = Memory::new(time.clone());
    let builder = SharedLimits::builder(store).time(time);
    all.iter().cloned().fold(builder, |builder, limit| builder.limit(limit)).build().unwrap()
}

fn left(limits: &SharedLimits, request: &Request<'_>) -> Option<u64> {
    let decision = crate::time::block_on(limits.check(request, 1)).decision;
    decision.allowed.then_some(decision.remaining)
}

#[test]
fn in_this_process_no_runtime_is_needed() {
    let time = Time::manual();
    let limits = limits(&time, &[SharedLimit::new("all", bucket(5)), per_user(3)]);
    let (a, b) = (Request::of("a"), Request::of("b"));
    assert_eq!([0; 4].map(|_| left(&limits, &a)), [Some(2), Some(1), Some(0), None]);
    // Of all, two are left: the refused one has taken nothing.
    assert_eq!([0; 3].map(|_| left(&limits, &b)), [Some(1), Some(0), None]);
    time.advance(Duration::from_secs(1));
    assert_eq!(left(&limits, &a), Some(0));
    let shown = crate::time::block_on(limits.show(&b)).unwrap();
    let shown: Vec<_> = shown.iter().map(|(key, it)| (&*key.limit, it.remaining)).collect();
    assert_eq!(shown, [("all", 0), ("user", 2)]);
    let top = crate::time::block_on(limits.top("user", 1)).unwrap().unwrap();
    assert_eq!(top[0].0.subject.as_deref(), Some("a"));
    assert_eq!(crate::time::block_on(limits.reset(&a)).unwrap(), 2);
    assert_eq!(crate::time::block_on(limits.reset(&a)).unwrap(), 0);
    assert_eq!(left(&limits, &a), Some(2));
}

#[test]
fn every_mode_decides_in_this_process() {
    for mode in [Mode::Exact, Mode::Leased, Mode::LocalShare] {
        let time = Time::manual();
        let limits = limits(&time, &[per_user(3).mode(mode).lease(3)]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut admitted = 0;
            while limits.check(&Request::of("a"), 1).await.decision.allowed {
                admitted += 1;
            }
            assert_eq!(admitted, 3, "{mode:?}");
        });
    }
}

#[test]
fn a_tier_has_its_own() {
    let time = Time::manual();
    let limits = limits(&time, &[per_user(1).tier("premium", bucket(3))]);
    let premium = Request::of("a").tier("premium");
    assert_eq!([0; 4].map(|_| left(&limits, &premium)), [Some(2), Some(1), Some(0), None]);
    let unknown = Request::of("b").tier("gold");
    assert_eq!([0; 2].map(|_| left(&limits, &unknown)), [Some(0), None]);
}

#[test]
fn a_reload_leaves_alone_what_has_not_changed() {
    let time = Time::manual();
    let share = SharedLimit::new("all", bucket(5)).mode(Mode::LocalShare);
    let limits = limits(&time, &[share.clone(), per_user(3)]);
    let clone = limits.clone();
    let a = Request::of("a");
    assert_eq!([0; 2].map(|_| left(&limits, &a)), [Some(2), Some(1)]);
    let config = |user| SharedConfig::builder().limit(share.clone()).limit(user).build().unwrap();
    assert!(!limits.reconfigure(&config(per_user(3))).unwrap());
    assert!(limits.reconfigure(&config(per_user(10))).unwrap());
    // Three of five are left to all of them; the clone is the same.
    assert_eq!([0; 4].map(|_| left(&clone, &a)), [Some(2), Some(1), Some(0), None]);
    let counts = Metered::counts(&limits);
    let of = |name| counts.iter().find(|it| &*it.policy == name).map(|it| (it.allowed, it.refused));
    assert_eq!((of("user"), of("all")), (Some((2, 0)), Some((3, 1))));
}

#[test]
fn settings_out_of_range_are_all_told() {
    let hour = Duration::from_secs(3600);
    let wrong = SharedLimits::builder(Memory::default())
        .limit(SharedLimit::new("", Config::fixed_window(1 << 40, hour).unwrap()).lease(0))
        .limit(SharedLimit::new("a b", Config::token_bucket(1_000, 1e-7).unwrap()))
        .limit(per_user(3).tier("x", Config::fixed_window(1, hour).unwrap()))
        .limit(per_user(3))
        .decide_within(Duration::ZERO)
        .lease_term(hour)
        .expected_instances(0)
        .build()
        .unwrap_err();
    let keys: Vec<_> = wrong.as_slice().iter().map(|it| it.key).collect();
    assert_eq!(
        keys,
        [
            "decide_within",
            "lease_term",
            "expected_instances",
            "name",
            "limit",
            "lease",
            "name",
            "per_second",
            "tiers",
            "name"
        ]
    );
    assert!(SharedLimits::builder(Memory::default()).build().is_err());
}

#[tokio::test]
async fn who_decides_is_told() {
    let time = Time::manual();
    let of = async |mode| {
        let limits = limits(&time, &[per_user(3).mode(mode)]);
        limits.check(&Request::of("a"), 1).await.by
    };
    assert_eq!(of(Mode::Exact).await, DecidedBy::Store);
    assert_eq!(of(Mode::Leased).await, DecidedBy::Lease);
    assert_eq!(of(Mode::LocalShare).await, DecidedBy::Share);
}
