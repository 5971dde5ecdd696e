//! Methods that nobody waits for: their calls wait in a queue, and pass every guard when they are made.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seawall::backpressure::{OneWayBuilder, OneWayConfig, OneWayStrategy};
use seawall::prelude::*;
use seawall::{CallOutcome, DependencyHandle, ManualTime, Time, policy, resilient};
use seawall_tests::{Task, Trouble, block_on, eventually, ready};
use tokio::sync::Semaphore;

use super::build::*;

type Sent = Result<(), Trouble>;

#[resilient]
trait Audit: Send + Sync {
    #[call(oneway)]
    async fn write(&self, line: &str) -> Sent;
    #[call(oneway)]
    async fn note(&self, line: String, level: u8);
    #[call(oneway)]
    fn count(&self, by: u64) -> Sent;
    #[call(oneway(merge = add))]
    async fn sum(&self, by: u64) -> Sent;
    #[call(oneway, blocking, idempotent)]
    fn disk(&self, pages: &[u8]) -> Sent;
    #[call(oneway)]
    fn tick(&self);
    async fn two_way(&self) -> Sent;
}

fn add(sum: &mut u64, newcomer: u64) -> Result<(), u64> {
    if newcomer == 13 {
        return Err(newcomer);
    }
    *sum += newcomer;
    Ok(())
}

/// Tells what it was asked. What is called `hang` waits to be let go; what is called `panic` panics.
struct Log {
    asked: Mutex<Sender<String>>,
    go: Arc<Semaphore>,
}

impl Log {
    fn tell(&self, what: &str) -> Sent {
        // The test may be over.
        let _ = self.asked.lock().unwrap().send(what.to_owned());
        if what == "fail" { Err(Trouble::Broken) } else { Ok(()) }
    }
}

impl Audit for Log {
    async fn write(&self, line: &str) -> Sent {
        let told = self.tell(line);
        match line {
            "hang" => self.go.acquire().await.unwrap().forget(),
            "panic" => std::panic::resume_unwind(Box::new("meant")),
            _ => {}
        }
        told
    }
    async fn note(&self, line: String, level: u8) {
        self.tell(&format!("{line} at {level}")).unwrap();
    }
    fn count(&self, by: u64) -> Sent {
        self.tell(&format!("count {by}"))
    }
    async fn sum(&self, by: u64) -> Sent {
        self.tell(&format!("sum {by}"))?;
        self.go.acquire().await.unwrap().forget();
        Ok(())
    }
    fn disk(&self, pages: &[u8]) -> Sent {
        self.tell(&format!("disk {pages:?}"))
    }
    fn tick(&self) {
        self.tell("tick").unwrap();
    }
    async fn two_way(&self) -> Sent {
        self.tell("two_way")
    }
}

struct World {
    time: ManualTime,
    seawall: Seawall,
    client: AuditClient<Log>,
    handle: DependencyHandle,
    asked: Receiver<String>,
    go: Arc<Semaphore>,
}

impl World {
    fn new(policy: policy::Builder) -> Self {
        let (time, (ask, asked)) = (Time::manual(), channel());
        let seawall = Seawall::builder().time(&time).policy("audit", policy.build().unwrap());
        let seawall = seawall.start().unwrap();
        let go = Arc::new(Semaphore::new(0));
        let log = Log { asked: Mutex::new(ask), go: Arc::clone(&go) };
        let client = ready(seawall.spawn("audit", log)).unwrap();
        let handle = seawall.dependency("audit").unwrap();
        Self { time, seawall, client, handle, asked, go }
    }

    /// The next thing that the service was asked.
    fn asked(&self) -> String {
        self.asked.recv_timeout(Duration::from_secs(60)).unwrap()
    }

    /// A call that hangs, with nothing behind it in the queue.
    fn hang(&self) {
        ready(self.client.write("hang")).unwrap();
        assert_eq!(self.asked(), "hang");
    }

    fn counts(&self, method: &str) -> seawall::backpressure::Counts {
        let now = self.handle.snapshot();
        now.queues.iter().find(|queue| queue.method == method).unwrap().counts
    }

    fn ended(&self, outcome: CallOutcome) -> u64 {
        self.handle.snapshot().calls(outcome)
    }
}

fn queue() -> OneWayBuilder {
    OneWayConfig::builder().concurrency(1)
}

fn refused(sent: Sent) -> RejectedBy {
    match sent {
        Err(Trouble::Fault(Fault::Rejected { by, .. })) => by,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_call_that_nobody_waits_for_is_made_all_the_same() {
    let world = World::new(base());
    ready(world.client.write("one")).unwrap();
    assert_eq!(world.asked(), "one");
    ready(world.client.note("two".to_owned(), 2));
    assert_eq!(world.asked(), "two at 2");
    world.client.count(3).unwrap();
    assert_eq!(world.asked(), "count 3");
    world.client.disk(&[4]).unwrap();
    assert_eq!(world.asked(), "disk [4]");
    world.client.tick();
    assert_eq!(world.asked(), "tick");
    eventually("all have ended", || world.ended(CallOutcome::Success) == 5);
    eventually("nothing is left", || world.handle.snapshot().pending == 0);
}

#[tokio::test]
async fn they_are_made_by_tasks_of_the_callers_runtime() {
    let world = World::new(base());
    for line in ["a", "b", "c"] {
        world.client.write(line).await.unwrap();
    }
    assert_eq!(world.asked.try_recv().ok(), None, "the one thread has not left this task");
    tokio::task::yield_now().await;
    let mut asked: Vec<_> = world.asked.try_iter().collect();
    while asked.len() < 3 {
        tokio::task::yield_now().await;
        asked.extend(world.asked.try_iter());
    }
    assert_eq!(asked, ["a", "b", "c"]);
}

#[test]
fn a_full_queue_refuses_by_default_and_tells() {
    let world = World::new(base().oneway(queue().capacity(2)));
    world.hang();
    ready(world.client.write("1")).unwrap();
    ready(world.client.write("2")).unwrap();
    assert_eq!(refused(ready(world.client.write("3"))), RejectedBy::QueueFull);
    ready(world.client.note("another queue".to_owned(), 1));
    assert_eq!(world.asked(), "another queue at 1");
    world.go.add_permits(1);
    assert_eq!([world.asked(), world.asked()], ["1", "2"]);
    assert_eq!(world.ended(CallOutcome::Rejected), 1);
}

#[test]
fn each_strategy_does_as_in_a_queue_of_ones_own() {
    let queue = || queue().capacity(1).max_wait(ms(500));
    let world = |on_full| World::new(base().oneway(queue().on_full(on_full)));
    let oldest = world(OneWayStrategy::DropOldest);
    oldest.hang();
    ready(oldest.client.write("1")).unwrap();
    ready(oldest.client.write("2")).unwrap();
    assert_eq!(oldest.counts("write").dropped, 1);
    oldest.go.add_permits(1);
    assert_eq!(oldest.asked(), "2");
    assert_eq!(oldest.ended(CallOutcome::Rejected), 1, "the one that was dropped is counted");

    let newest = world(OneWayStrategy::DropNewest);
    newest.hang();
    ready(newest.client.write("1")).unwrap();
    assert_eq!(refused(ready(newest.client.write("2"))), RejectedBy::Dropped);

    let block = world(OneWayStrategy::Block);
    block.hang();
    ready(block.client.write("1")).unwrap();
    let mut waits = Task::pending(block.client.write("2"));
    block.go.add_permits(1);
    assert_eq!([block.asked(), block.asked()], ["1", "2"]);
    assert_eq!(waits.poll(), std::task::Poll::Ready(Ok(())));
    block.hang();
    ready(block.client.write("3")).unwrap();
    let waits = Task::pending(block.client.write("4"));
    // Before the call that hangs is out of time.
    block.time.advance(ms(500));
    assert_eq!(refused(waits.ready()), RejectedBy::QueueFull);

    let sample = queue().capacity(10).on_full(OneWayStrategy::Sample).sample_every(3);
    let sample = World::new(base().oneway(sample.sample_above(0.0)));
    let sent = (0..9).filter(|_| ready(sample.client.write("x")).is_ok()).count();
    assert_eq!(sent, 3);
}

#[test]
fn calls_are_merged_by_the_methods_own_function() {
    let world = World::new(base().oneway(queue().capacity(1)));
    ready(world.client.sum(1)).unwrap();
    assert_eq!(world.asked(), "sum 1");
    for by in [2, 3, 4] {
        ready(world.client.sum(by)).unwrap();
    }
    assert_eq!(refused(ready(world.client.sum(13))), RejectedBy::QueueFull, "does not fit");
    assert_eq!(world.counts("sum").merged, 2);
    world.go.add_permits(9);
    assert_eq!(world.asked(), "sum 9");
    eventually("nothing is left", || world.handle.snapshot().pending == 0);
}

/// Lets the tasks of this test's one thread run until none can go on.
async fn let_others_run() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn while_the_breaker_is_open_calls_wait_where_they_are() {
    let world = World::new(base().oneway(queue()));
    for _ in 0..3 {
        world.client.write("fail").await.unwrap();
    }
    let_others_run().await;
    assert_eq!(world.handle.state(), seawall::State::Open);
    for line in ["1", "2"] {
        world.client.write(line).await.unwrap();
    }
    let_others_run().await;
    assert_eq!((world.counts("write").waiting, world.ended(CallOutcome::Rejected)), (2, 0));
    world.time.advance(secs(6));
    let_others_run().await;
    assert_eq!(world.asked.try_iter().collect::<Vec<_>>(), ["fail", "fail", "fail", "1", "2"]);
}

#[test]
fn a_panic_costs_only_its_call() {
    let world = World::new(base().oneway(queue()));
    ready(world.client.write("panic")).unwrap();
    ready(world.client.write("next")).unwrap();
    assert_eq!([world.asked(), world.asked()], ["panic", "next"]);
    eventually("it is counted", || world.ended(CallOutcome::Panicked) == 1);
    eventually("nothing is left", || world.handle.snapshot().pending == 0);
}

#[test]
fn what_is_too_old_is_dropped_and_counted() {
    let patient = base().timeout(secs(9)).deadline(secs(9));
    let world = World::new(patient.oneway(queue().max_age(secs(2))));
    world.hang();
    ready(world.client.write("old")).unwrap();
    world.time.advance(secs(2));
    world.go.add_permits(1);
    assert_eq!(world.asked(), "old");
    world.hang();
    ready(world.client.write("old")).unwrap();
    world.time.advance(ms(2_001));
    ready(world.client.write("new")).unwrap();
    world.go.add_permits(1);
    assert_eq!(world.asked(), "new");
    assert_eq!((world.counts("write").dropped, world.ended(CallOutcome::Rejected)), (1, 1));
}

#[test]
fn so_many_calls_are_made_at_once_and_no_more() {
    let world = World::new(base().bulkhead(permits(9)).oneway(queue().concurrency(3)));
    for _ in 0..5 {
        ready(world.client.write("hang")).unwrap();
    }
    (0..3).for_each(|_| assert_eq!(world.asked(), "hang"));
    eventually("two wait", || world.counts("write").waiting == 2);
    assert_eq!(world.handle.snapshot().active, 3);
    world.go.add_permits(5);
    eventually("all have ended", || world.ended(CallOutcome::Success) == 5);
}

#[test]
fn a_shutdown_drains_the_queue_and_lets_nothing_more_in() {
    let world = World::new(base().oneway(queue()));
    world.hang();
    ready(world.client.write("waits")).unwrap();
    let mut ends = Task::pending(world.seawall.shutdown(secs(9)));
    let late = ready(world.client.write("late"));
    assert!(matches!(late, Err(Trouble::Fault(Fault::Unavailable { .. }))), "{late:?}");
    world.go.add_permits(1);
    assert_eq!(world.asked(), "waits");
    eventually("it has ended", || ends.poll().is_ready());
    assert_eq!(world.ended(CallOutcome::Success), 2);
    assert_eq!(world.ended(CallOutcome::Unavailable), 1);
}

#[test]
fn what_is_queued_is_done_though_the_last_client_is_gone() {
    let World { client, asked, go, seawall, .. } = World::new(base().oneway(queue()));
    for line in ["hang", "later"] {
        ready(client.write(line)).unwrap();
    }
    drop(client);
    go.add_permits(1);
    assert_eq!([asked.recv().unwrap(), asked.recv().unwrap()], ["hang", "later"]);
    eventually("the dependency is let go", || seawall.dependency("audit").is_none());
}

#[test]
fn its_queue_is_in_the_metrics_while_there_is_a_client() {
    let world = World::new(base().oneway(queue()));
    world.hang();
    ready(world.client.write("waits")).unwrap();
    let page = world.seawall.render_metrics();
    for line in [
        r#"seawall_queue_depth{queue="audit.write"} 1"#,
        r#"seawall_queue_items_total{queue="audit.write",end="received"} 2"#,
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    assert!(!page.contains("audit.note"), "not called yet");
    world.go.add_permits(1);
    assert_eq!(world.asked(), "waits");
    block_on(world.client.two_way()).unwrap();
}
