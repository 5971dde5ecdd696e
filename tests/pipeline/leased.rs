//! An answer that goes on after its call: the permit, and the attempt, are with it until it ends.

use std::future::pending;
use std::time::Duration;

use futures::stream::{self, BoxStream, Stream, StreamExt};
use seawall::breaker::Keys;
use seawall::prelude::*;
use seawall::{
    CallOutcome, Class, DependencyHandle, Leased, ManualTime, Outcome, State, Time, resilient,
};
use seawall::{policy, retry};
use seawall_tests::{Task, Trouble, ready};

use super::build::*;

type Chunk = Result<u8, Trouble>;
type Chunks = BoxStream<'static, Chunk>;

#[resilient]
trait Files {
    async fn open(&self, what: &str) -> Result<Leased<Chunks>, Trouble>;
    #[call(classify = class_of)]
    async fn judged(&self, what: &str) -> Result<Leased<u8>, Trouble>;
    #[call(key = what)]
    async fn keyed(&self, what: &str) -> Result<Leased<u8>, Trouble>;
    #[call(idempotent)]
    async fn hedged(&self, what: &str) -> Result<Leased<u8>, Trouble>;
    async fn never(&self) -> Result<Leased<u8>, Trouble>;
}

fn class_of(answer: &Result<Leased<u8>, Trouble>) -> Class {
    match answer {
        Ok(opened) if **opened == 0 => Class::Failure,
        Ok(opened) if **opened == 1 => Class::Ignored,
        Ok(_) => Class::Success,
        Err(_) => Class::Failure,
    }
}

struct Disk;

impl Files for Disk {
    async fn open(&self, what: &str) -> Result<Leased<Chunks>, Trouble> {
        match what {
            "missing" => Err(Trouble::Broken),
            "endless" => Ok(Leased::new(stream::repeat(Ok(1)).boxed())),
            "torn" => Ok(Leased::new(stream::iter([Ok(1), Err(Trouble::Broken)]).boxed())),
            _ => Ok(Leased::new(stream::iter([Ok(1), Ok(2)]).boxed())),
        }
    }
    async fn judged(&self, what: &str) -> Result<Leased<u8>, Trouble> {
        Ok(Leased::new(what.len() as u8))
    }
    async fn keyed(&self, what: &str) -> Result<Leased<u8>, Trouble> {
        self.judged(what).await
    }
    async fn hedged(&self, what: &str) -> Result<Leased<u8>, Trouble> {
        self.judged(what).await
    }
    async fn never(&self) -> Result<Leased<u8>, Trouble> {
        pending().await
    }
}

struct World {
    time: ManualTime,
    _seawall: Seawall,
    client: FilesClient<Disk>,
    handle: DependencyHandle,
}

impl World {
    fn new(policy: policy::Builder) -> Self {
        let time = Time::manual();
        let seawall =
            Seawall::builder().time(&time).seed(1).policy("disk", policy.build().unwrap());
        let seawall = seawall.start().unwrap();
        let client = ready(seawall.spawn("disk", Disk)).unwrap();
        let handle = seawall.dependency("disk").unwrap();
        Self { time, _seawall: seawall, client, handle }
    }

    fn open(&self, what: &str) -> Leased<Chunks> {
        ready(self.client.open(what)).unwrap()
    }

    fn active(&self) -> u32 {
        self.handle.snapshot().active
    }

    /// Calls that have ended as a success, as a failure, and as anything else.
    fn ended(&self) -> [u64; 3] {
        let now = self.handle.snapshot();
        let all: u64 = CallOutcome::ALL.iter().map(|outcome| now.calls(*outcome)).sum();
        let (good, bad) = (now.calls(CallOutcome::Success), now.calls(CallOutcome::Failure));
        [good, bad, all - good - bad]
    }
}

fn next<St: Stream + Unpin>(stream: &mut St) -> Option<St::Item> {
    ready(stream.next())
}

#[test]
fn a_download_is_in_the_bulkhead_until_its_end() {
    let world = World::new(base().bulkhead(permits(1).max_wait(Duration::ZERO)));
    let mut file = world.open("file");
    assert!(file.is_held());
    assert_eq!((world.active(), world.ended()), (1, [0, 0, 0]), "it has not ended");
    let refused = ready(world.client.open("file")).unwrap_err();
    assert!(matches!(refused, Trouble::Fault(Fault::Rejected { by: RejectedBy::Bulkhead, .. })));
    assert_eq!((next(&mut file), next(&mut file)), (Some(Ok(1)), Some(Ok(2))));
    assert_eq!(world.active(), 1);
    assert_eq!(next(&mut file), None);
    assert_eq!((file.is_held(), world.active(), world.ended()), (false, 0, [1, 0, 1]));
    drop(file);
    assert_eq!((world.active(), world.ended()), (0, [1, 0, 1]), "once");
}

#[test]
fn a_download_that_is_dropped_or_ended_was_a_success() {
    let world = World::new(base());
    drop(world.open("file"));
    let mut file = world.open("file");
    file.end();
    file.fail();
    assert_eq!((world.active(), world.ended()), (0, [2, 0, 0]));
    assert_eq!(next(&mut file), Some(Ok(1)), "the value stays");
}

#[test]
fn downloads_that_are_torn_open_the_breaker() {
    let world = World::new(base());
    for _ in 0..2 {
        let mut file = world.open("torn");
        assert_eq!(next(&mut file), Some(Ok(1)));
        assert_eq!(next(&mut file), Some(Err(Trouble::Broken)));
        assert_eq!(world.active(), 0);
    }
    assert_eq!(world.handle.state(), State::Closed);
    world.open("file").fail();
    assert_eq!((world.handle.state(), world.ended()), (State::Open, [0, 3, 0]));
}

#[test]
fn a_probe_is_under_way_until_its_download_has_ended() {
    let world = World::new(base());
    (0..3).for_each(|_| world.open("file").fail());
    world.time.advance(secs(5));
    let probe = world.open("file");
    assert_eq!(world.handle.state(), State::HalfOpen);
    assert!(ready(world.client.open("file")).is_err(), "one probe at a time");
    drop(probe);
    assert_eq!(world.handle.state(), State::Closed);
}

#[test]
fn what_is_read_for_longer_than_the_timeout_is_a_success_and_keeps_its_permit() {
    let world = World::new(base());
    (0..3).for_each(|_| world.open("file").fail());
    world.time.advance(secs(5));
    let mut endless = world.open("endless");
    world.time.advance(ms(999));
    next(&mut endless);
    assert_eq!((world.handle.state(), world.active()), (State::HalfOpen, 1));
    world.time.advance(ms(1));
    next(&mut endless);
    assert_eq!((world.handle.state(), world.active()), (State::Closed, 1));
    endless.fail();
    assert_eq!((world.active(), world.ended()), (0, [1, 3, 0]), "it has ended");
}

#[test]
fn what_is_made_of_it_holds_what_it_held() {
    let world = World::new(base());
    let counted = world.open("file").map(|chunks| chunks.map(|chunk| chunk.map(u16::from)));
    assert!(counted.is_held());
    assert_eq!(world.active(), 1);
    drop(counted);
    assert_eq!((world.active(), world.ended()), (0, [1, 0, 0]));
    assert!(!Leased::new(1).is_held());
}

#[test]
fn an_answer_that_is_no_success_is_not_carried_along() {
    let world = World::new(base());
    let bad = ready(world.client.judged("")).unwrap();
    let ignored = ready(world.client.judged("1")).unwrap();
    let good = ready(world.client.judged("12")).unwrap();
    assert_eq!([&bad, &ignored, &good].map(|it| it.is_held()), [false, false, true]);
    assert_eq!((world.active(), world.ended()), (1, [0, 1, 1]));
    drop((bad, ignored, good));
    assert_eq!((world.active(), world.ended()), (0, [1, 1, 1]));
    assert!(ready(world.client.open("missing")).is_err());
    assert_eq!(world.ended(), [1, 2, 1]);
}

#[test]
fn an_attempt_by_key_ends_at_once_and_leaves_its_permit() {
    let world = World::new(base().keyed(Keys::builder()));
    let held = ready(world.client.keyed("a")).unwrap();
    assert!(held.is_held());
    assert_eq!((world.active(), world.ended()), (1, [1, 0, 0]));
    let attempts = |outcome| world.handle.snapshot().attempts(outcome);
    assert_eq!((attempts(Outcome::Success), attempts(Outcome::Cancelled)), (1, 0));
    drop(held);
    assert_eq!((world.active(), world.ended()), (0, [1, 0, 0]));
}

#[test]
fn a_shutdown_waits_for_the_end_of_an_answer_by_key_too() {
    let world = World::new(base().keyed(Keys::builder()));
    let held = ready(world.client.keyed("a")).unwrap();
    let shutdown = Task::pending(world._seawall.shutdown(secs(5)));
    let woken = shutdown.wakes();
    drop(held);
    assert!(shutdown.wakes() > woken, "it sleeps on");
    assert!(shutdown.ready().is_clean());
}

#[test]
fn a_hedged_call_is_counted_once_when_its_answer_has_ended() {
    let hedge = retry::HedgeConfig::builder().after(ms(100)).build().unwrap();
    let world = World::new(base().retry(retries(3).hedge(hedge)));
    let held = ready(world.client.hedged("file")).unwrap();
    assert_eq!((world.active(), world.ended()), (1, [0, 0, 0]));
    drop(held);
    assert_eq!((world.active(), world.ended()), (0, [1, 0, 0]));
}

#[test]
fn the_timeout_is_the_methods() {
    let world = World::new(base());
    let call = Task::pending(world.client.never());
    world.time.advance(secs(1));
    assert!(matches!(call.ready(), Err(Trouble::Fault(Fault::TimedOut { .. }))));
    assert_eq!(world.ended(), [0, 0, 1]);
}
