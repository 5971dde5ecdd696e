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

async fn sleep(length: Duration) {
    Time::tokio().sleep(length).await;
}

async fn looks(count: u32) {
    sleep(LOOK * count + Duration::from_millis(10)).await;
}

/// Each instance is called once a look, for so many looks. How many calls were let in.
async fn traffic(instances: &[Instance], count: u32, works: bool) -> usize {
    let mut let_in = 0;
    for _ in 0..count {
        sleep(LOOK).await;
        for instance in instances {
            let_in += usize::from(instance.call(works).await);
        }
    }
    let_in
}

async fn three(quorum: u32) -> Vec<Instance> {
    let store = store();
    let mut instances = Vec::new();
    for _ in 0..3 {
        instances.push(Instance::start(store.clone(), quorum).await);
    }
    instances
}

fn states(instances: &[Instance]) -> Vec<State> {
    instances.iter().map(Instance::state).collect()
}

#[tokio::test(start_paused = true)]
async fn others_open_early_one_probes_and_all_close() {
    let instances = three(1).await;
    instances[0].break_it().await;
    looks(2).await;
    assert_eq!(states(&instances), [State::Open; 3], "nobody else has to find out");
    assert_eq!(traffic(&instances, 17, true).await, 0);
    // Its time over: of those who try, one is let in, and closes all.
    let mut looked = 0;
    let mut let_in = 0;
    while states(&instances).contains(&State::Open) {
        let_in += traffic(&instances, 1, true).await;
        looked += 1;
        assert!(looked < 10, "{:?}", instances.iter().map(Instance::openings).collect::<Vec<_>>());
    }
    looks(1).await;
    assert_eq!(states(&instances), [State::Closed; 3]);
    let causes: Vec<_> = instances.iter().map(Instance::openings).collect();
    let how_many = |what: &str| causes.iter().filter(|it| it.iter().any(|it| it == what)).count();
    assert_eq!(how_many("open open_elsewhere"), 2, "{causes:?}");
    assert_eq!(how_many("half_open open_time_over"), 1, "{causes:?}");
    assert_eq!(how_many("closed closed_elsewhere"), 2, "{causes:?}");
    assert!(let_in >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_quorum_of_two_does_not_believe_one() {
    let instances = three(2).await;
    instances[0].break_it().await;
    looks(3).await;
    assert_eq!(instances[2].state(), State::Closed);
    instances[1].break_it().await;
    looks(2).await;
    assert_eq!(instances[2].state(), State::Open);
    assert!(instances[2].openings().contains(&"open open_elsewhere".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_others_have_opened_is_no_evidence_for_more() {
    // The third hears of two, and the first two each of one: were the third counted, all would hold each other.
    let instances = three(2).await;
    instances[0].break_it().await;
    instances[1].break_it().await;
    looks(2).await;
    sleep(Duration::from_secs(3)).await;
    assert!(instances[0].call(true).await && instances[1].call(true).await);
    looks(2).await;
    assert_eq!(states(&instances), [State::Closed; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_keeps_all_of_them_open() {
    let instances = three(1).await;
    instances[0].break_it().await;
    looks(2).await;
    // Twice their open time, and some looks to agree on who probes.
    let let_in = traffic(&instances, 45, false).await;
    assert!((1..=2).contains(&let_in), "{let_in} probes of 135 calls");
    assert!(!states(&instances).contains(&State::Closed));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_gone_does_not_keep_its_place_to_probe() {
    let mut instances = three(1).await;
    instances[0].break_it().await;
    looks(2).await;
    // It asks to probe, since it is called, and ends.
    assert_eq!(traffic(&instances[..1], 16, true).await, 0);
    drop(instances[0].sharing.take());
    let begin = Time::tokio().now();
    while traffic(&instances[1..], 1, true).await == 0 {
        let took = Time::tokio().now().since(begin);
        assert!(took < LOOK * 12, "{:?}", instances[1].openings());
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_nobody_calls_keeps_nobody_from_probing() {
    let instances = three(1).await;
    instances[0].break_it().await;
    looks(2).await;
    // The first, who has opened, is called no more.
    assert_eq!(traffic(&instances[1..2], 16, true).await, 0);
    let mut looked = 0;
    while traffic(&instances[1..2], 1, true).await == 0 {
        looked += 1;
        assert!(looked < 8, "{:?}", instances[1].openings());
    }
    looks(2).await;
    assert_eq!(states(&instances), [State::Closed; 3]);
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
    sleep(Duration::from_secs(2)).await;
    assert!(first.call(true).await);
    assert_eq!(first.state(), State::Closed);
}

#[test]
fn settings_out_of_range_are_told() {
    let wrong = SharedBreakers::builder().quorum(0).look_every(Duration::ZERO).build().unwrap_err();
    assert_eq!(wrong.as_slice().len(), 2, "{wrong}");
}
