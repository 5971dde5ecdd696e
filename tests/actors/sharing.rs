//! Breakers that open, probe and close with those of other instances.

use std::io;
use std::time::Duration;

use seawall::distributed::{
    BeatRequest, BoardReport, BoardStanding, Lease, LeaseRequest, LimitKey, Membership, Memory,
    SharedBreakers, Store, StoreError, StoreFuture, StoredLimit, TakeRequest, Verdict,
};
use seawall::runtime::{Calls, Sharing};
use seawall::{Seawall, State, Time};

const LOOK: Duration = Duration::from_millis(100);
const POLICY: &str = r#"
    payments.breaker = { failures = 3, first_open_for = "2s", open_for = "2s", half_open_calls = 1, success_threshold = 1 }
"#;

/// One instance of the program.
struct Instance {
    seawall: Seawall,
    calls: Calls,
    sharing: Option<Sharing>,
}

impl Instance {
    async fn start(store: impl Store, quorum: u32) -> Self {
        let time = Time::tokio();
        let seawall = Seawall::builder().policy_text("f", POLICY).time(time).start().unwrap();
        let calls = seawall.calls("payments", &["charge"]).await.unwrap();
        let settings = SharedBreakers::builder().quorum(quorum).look_every(LOOK).build().unwrap();
        let sharing = Some(seawall.share_breakers(store, &["payments"], settings));
        Self { seawall, calls, sharing }
    }

    /// Whether the call was let in.
    async fn call(&self, works: bool) -> bool {
        let answer = self.calls.call("charge", async || {
            if works { Ok(()) } else { Err(io::Error::from(io::ErrorKind::ConnectionRefused)) }
        });
        answer
            .await
            .map_err(|error| error.fault().is_none())
            .map_or_else(|let_in| let_in, |()| true)
    }

    async fn break_it(&self) {
        for _ in 0..3 {
            assert!(self.call(false).await);
        }
        assert_eq!(self.state(), State::Open);
    }

    fn state(&self) -> State {
        self.seawall.dependency("payments").unwrap().state()
    }

    fn openings(&self) -> Vec<String> {
        let snapshot = self.seawall.dependency("payments").unwrap().snapshot();
        snapshot
            .breaker
            .transitions
            .iter()
            .map(|it| format!("{} {}", it.to, it.cause.as_str()))
            .collect()
    }
}

fn store() -> Memory {
    Memory::new(Time::tokio())
}

async fn looks(count: u32) {
    tokio::time::sleep(LOOK * count + Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn others_open_early_one_probes_and_all_close() {
    let store = store();
    let mut instances = Vec::new();
    for _ in 0..3 {
        instances.push(Instance::start(store.clone(), 1).await);
    }
    instances[0].break_it().await;
    looks(2).await;
    for instance in &instances {
        assert_eq!(instance.state(), State::Open);
        assert!(!instance.call(true).await, "nobody else has to find out");
    }
    // Its time over: of those who try, one is let in.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut let_in = 0;
    for instance in &instances {
        let_in += u32::from(instance.call(true).await);
    }
    assert_eq!(let_in, 1, "{:?}", instances.iter().map(Instance::openings).collect::<Vec<_>>());
    looks(2).await;
    for instance in &instances {
        assert_eq!(instance.state(), State::Closed);
        assert!(instance.call(true).await);
    }
    let causes: Vec<_> = instances.iter().map(Instance::openings).collect();
    let elsewhere = causes.iter().filter(|it| it.contains(&"open open_elsewhere".to_owned()));
    assert_eq!(elsewhere.count(), 2, "{causes:?}");
    let closed = causes.iter().filter(|it| it.contains(&"closed closed_elsewhere".to_owned()));
    assert_eq!(closed.count(), 2, "{causes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_quorum_of_two_does_not_believe_one() {
    let store = store();
    let mut instances = Vec::new();
    for _ in 0..3 {
        instances.push(Instance::start(store.clone(), 2).await);
    }
    instances[0].break_it().await;
    looks(3).await;
    assert_eq!(instances[2].state(), State::Closed);
    instances[1].break_it().await;
    looks(2).await;
    assert_eq!(instances[2].state(), State::Open);
    // What was opened by others is no evidence of its own: the first is not held open by the third.
    assert!(instances[2].openings().contains(&"open open_elsewhere".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_keeps_all_of_them_open() {
    let store = store();
    let first = Instance::start(store.clone(), 1).await;
    let second = Instance::start(store, 1).await;
    first.break_it().await;
    looks(2).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let tried = [first.call(false).await, second.call(false).await];
    assert_eq!(tried.iter().filter(|let_in| **let_in).count(), 1);
    looks(4).await;
    assert_eq!([first.state(), second.state()], [State::Open; 2]);
    assert!(!first.call(true).await && !second.call(true).await);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_gone_does_not_keep_its_place_to_probe() {
    let store = store();
    let mut first = Instance::start(store.clone(), 1).await;
    let second = Instance::start(store, 1).await;
    first.break_it().await;
    looks(2).await;
    // It has asked to probe, and ends.
    tokio::time::sleep(Duration::from_millis(1_900)).await;
    drop(first.sharing.take());
    tokio::time::sleep(LOOK * 12).await;
    assert!(second.call(true).await, "{:?}", second.openings());
    assert_eq!(second.state(), State::Closed);
}

/// A store that cannot be reached.
#[derive(Debug)]
struct Gone;

fn gone<T: Send + 'static>() -> StoreFuture<'static, T> {
    Box::pin(async { Err(StoreError::TimedOut) })
}

impl Store for Gone {
    fn take(&self, _: TakeRequest) -> StoreFuture<'_, Vec<Verdict>> {
        gone()
    }
    fn lease(&self, _: LeaseRequest) -> StoreFuture<'_, Lease> {
        gone()
    }
    fn beat(&self, _: BeatRequest) -> StoreFuture<'_, Membership> {
        gone()
    }
    fn board(&self, _: BoardReport) -> StoreFuture<'_, BoardStanding> {
        gone()
    }
    fn reset(&self, _: Vec<StoredLimit>) -> StoreFuture<'_, u64> {
        gone()
    }
    fn keys(&self, _: StoredLimit, _: usize) -> StoreFuture<'_, Vec<LimitKey>> {
        gone()
    }
    fn joins_subjects(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_store_each_breaker_is_on_its_own() {
    let (first, second) = (Instance::start(Gone, 1).await, Instance::start(Gone, 1).await);
    first.break_it().await;
    looks(5).await;
    assert_eq!([first.state(), second.state()], [State::Open, State::Closed]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(first.call(true).await);
    assert_eq!(first.state(), State::Closed);
}

#[test]
fn settings_out_of_range_are_told() {
    let wrong = SharedBreakers::builder().quorum(0).look_every(Duration::ZERO).build().unwrap_err();
    assert_eq!(wrong.as_slice().len(), 2, "{wrong}");
}
