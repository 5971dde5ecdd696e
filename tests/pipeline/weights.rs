//! Methods whose attempts need several permits: they take part in the same bulkhead, in their turn.

use std::future::pending;
use std::time::Duration;

use seawall::prelude::*;
use seawall::{CallOutcome, DependencyHandle, Leased, ManualTime, Time, policy, resilient};
use seawall_tests::{Task, Trouble, ready};

use super::build::*;

type Answer = Result<u8, Trouble>;

#[resilient]
trait Reports {
    async fn page(&self) -> Answer;
    async fn hang(&self) -> Answer;
    #[call(weight = 3)]
    async fn export(&self) -> Answer;
    #[call(weight = 3)]
    async fn stuck(&self) -> Answer;
    #[call(weight = 2)]
    async fn open(&self) -> Result<Leased<u8>, Trouble>;
}

struct Server;

impl Reports for Server {
    async fn page(&self) -> Answer {
        Ok(1)
    }
    async fn hang(&self) -> Answer {
        pending().await
    }
    async fn export(&self) -> Answer {
        Ok(3)
    }
    async fn stuck(&self) -> Answer {
        pending().await
    }
    async fn open(&self) -> Result<Leased<u8>, Trouble> {
        Ok(Leased::new(2))
    }
}

struct World {
    time: ManualTime,
    _seawall: Seawall,
    client: ReportsClient<Server>,
    handle: DependencyHandle,
}

impl World {
    fn new(policy: policy::Builder) -> Self {
        let time = Time::manual();
        let seawall = Seawall::builder().time(&time).policy("it", policy.build().unwrap());
        let seawall = seawall.start().unwrap();
        let client = ready(seawall.spawn("it", Server)).unwrap();
        let handle = seawall.dependency("it").unwrap();
        Self { time, _seawall: seawall, client, handle }
    }

    fn active(&self) -> u32 {
        self.handle.snapshot().active
    }
}

#[test]
fn an_attempt_takes_as_many_permits_as_its_method_says_and_gives_them_all_back() {
    let world = World::new(base().bulkhead(permits(4).max_wait(Duration::ZERO)));
    let stuck = Task::pending(world.client.stuck());
    assert_eq!(world.active(), 3);
    assert_eq!(ready(world.client.page()), Ok(1));
    let refused = ready(world.client.export());
    assert!(matches!(
        refused,
        Err(Trouble::Fault(Fault::Rejected { by: RejectedBy::Bulkhead, .. }))
    ));
    drop(stuck);
    assert_eq!(world.active(), 0);
    assert_eq!(ready(world.client.export()), Ok(3));
    let held = ready(world.client.open()).unwrap();
    assert_eq!(world.active(), 2);
    drop(held);
    assert_eq!(world.active(), 0);
}

#[test]
fn one_that_needs_more_than_there_are_runs_alone() {
    let world = World::new(base().bulkhead(permits(2).max_wait(Duration::ZERO)));
    assert_eq!(ready(world.client.export()), Ok(3));
    let _page = Task::pending(world.client.hang());
    assert!(ready(world.client.export()).is_err());
}

#[test]
fn a_heavy_call_waits_in_its_turn_and_none_passes_it() {
    let world = World::new(base().bulkhead(permits(3)));
    let (first, second) = (Task::pending(world.client.hang()), Task::pending(world.client.hang()));
    let heavy = Task::pending(world.client.export());
    let mut light = Task::pending(world.client.page());
    drop(first);
    assert!(light.poll().is_pending(), "one is free, and it is the other's turn");
    drop(second);
    assert_eq!(heavy.ready(), Ok(3));
    assert_eq!(light.ready(), Ok(1));
    assert_eq!((world.active(), world.handle.snapshot().mailbox.waiting), (0, 0));
}

#[test]
fn a_heavy_call_that_gives_up_lets_the_light_ones_go_on() {
    let world = World::new(base().bulkhead(permits(3)));
    let _hangs = Task::pending(world.client.hang());
    let heavy = Task::pending(world.client.export());
    let light = Task::pending(world.client.page());
    drop(heavy);
    assert_eq!(light.ready(), Ok(1));
}

#[test]
fn all_of_its_permits_are_kept_for_the_grace() {
    let world = World::new(base().bulkhead(permits(4).grace(secs(2))));
    let stuck = Task::pending(world.client.stuck());
    world.time.advance(secs(1));
    assert!(stuck.ready().is_err());
    let now = world.handle.snapshot();
    assert_eq!((now.active, now.kept_permits), (3, Some(3)));
    world.time.advance(secs(2));
    assert_eq!(ready(world.client.export()), Ok(3));
    assert_eq!((world.active(), world.handle.snapshot().calls(CallOutcome::TimedOut)), (0, 1));
}
