//! Many callers on many threads against few permits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use seawall::backpressure::Strategy;
use seawall::entropy::Entropy;
use seawall::prelude::*;
use seawall::{CallOutcome, Snapshot, Time};
use seawall_tests::Trouble;

use super::build::*;

const PERMITS: u32 = 20;
const CALLERS: u64 = 1_000;

#[seawall::resilient]
trait Crowded {
    async fn enter(&self, yields: u64) -> Result<(), Trouble>;
}

/// Counts how many are inside, and the most there ever were.
#[derive(Default)]
struct Gauge {
    inside: AtomicU32,
    most: AtomicU32,
}

struct Inside<'a>(&'a Gauge);

impl<'a> Inside<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        let inside = gauge.inside.fetch_add(1, Ordering::SeqCst) + 1;
        gauge.most.fetch_max(inside, Ordering::SeqCst);
        Self(gauge)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Crowded for Arc<Gauge> {
    async fn enter(&self, yields: u64) -> Result<(), Trouble> {
        let _inside = Inside::new(self);
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

async fn crowd(
    time: impl Into<Time>,
    policy: seawall::policy::Builder,
) -> (Seawall, CrowdedClient<Arc<Gauge>>, Arc<Gauge>) {
    let seawall =
        Seawall::builder().time(time).policy("crowd", policy.build().unwrap()).start().unwrap();
    let gauge = Arc::new(Gauge::default());
    let client = seawall.spawn("crowd", Arc::clone(&gauge)).await.unwrap();
    (seawall, client, gauge)
}

fn policy(capacity: u32) -> seawall::policy::Builder {
    Policy::builder()
        .deadline(secs(600))
        .timeout(secs(600))
        .bulkhead(permits(PERMITS).max_wait(secs(600)))
        .mailbox(line(capacity, Strategy::Block { timeout: secs(600) }))
}

fn assert_deserted(snapshot: &Snapshot, gauge: &Gauge, calls: u64) {
    assert!(gauge.most.load(Ordering::SeqCst) <= PERMITS, "{:?} at once", gauge.most);
    assert_eq!(gauge.inside.load(Ordering::SeqCst), 0);
    assert_eq!((snapshot.active, snapshot.pending), (0, 0), "{snapshot:#?}");
    let line = snapshot.mailbox;
    assert_eq!((line.waiting, line.blocked_now), (0, 0));
    assert_eq!(line.received, line.processed + line.dropped);
    let ended: u64 = CallOutcome::ALL.iter().map(|&outcome| snapshot.calls(outcome)).sum();
    assert_eq!(ended, calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_callers_never_see_twenty_one_at_once() {
    let (seawall, client, gauge) = crowd(Time::system(), policy(100)).await;
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let client = client.clone();
            tokio::spawn(async move {
                for call in 0..10 {
                    client.enter((caller + call) % 5).await.unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let snapshot = seawall.dependency("crowd").unwrap().snapshot();
    assert_eq!(gauge.most.load(Ordering::SeqCst), PERMITS, "they did crowd");
    assert_deserted(&snapshot, &gauge, CALLERS * 10);
    assert_eq!(snapshot.calls(CallOutcome::Success), CALLERS * 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nor_when_callers_leave_at_random_and_nobody_is_left_asleep() {
    let (seawall, client, gauge) = crowd(Time::system(), policy(50)).await;
    let chance = Arc::new(Entropy::seeded(7));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (client, chance) = (client.clone(), Arc::clone(&chance));
            tokio::spawn(async move {
                let mut begun = 0;
                for _ in 0..10 {
                    begun += 1;
                    let call = client.enter(chance.next_u64() % 5);
                    let leave = chance.next_u64() % 8;
                    let patience = async {
                        for _ in 0..leave * 2 {
                            tokio::task::yield_now().await;
                        }
                        if leave > 5 {
                            // This one stays.
                            std::future::pending().await
                        }
                    };
                    tokio::select! {
                        biased;
                        answer = call => answer.unwrap(),
                        () = patience => {}
                    }
                }
                begun
            })
        })
        .collect();
    let mut begun = 0;
    for caller in callers {
        // Ends: the one that stays is served, because the one that leaves passes its permit on.
        begun += caller.await.unwrap();
    }
    let snapshot = seawall.dependency("crowd").unwrap().snapshot();
    assert!(snapshot.calls(CallOutcome::Cancelled) > 0);
    assert!(snapshot.calls(CallOutcome::Success) > 0);
    assert_deserted(&snapshot, &gauge, begun);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_callers_ends_with_everyone_answered() {
    // More callers than the system holds: the rest are refused at once, and all is accounted for.
    let policy = policy(100).mailbox(line(100, Strategy::Error)).bulkhead(permits(PERMITS));
    let (seawall, client, gauge) = crowd(Time::system(), policy).await;
    let start = Arc::new(tokio::sync::Barrier::new(CALLERS as usize));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (client, start) = (client.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                client.enter(20).await.is_ok()
            })
        })
        .collect();
    let mut served = 0;
    for caller in callers {
        served += u64::from(caller.await.unwrap());
    }
    let snapshot = seawall.dependency("crowd").unwrap().snapshot();
    assert_deserted(&snapshot, &gauge, CALLERS);
    assert_eq!(snapshot.calls(CallOutcome::Success), served);
    assert_eq!(snapshot.rejected_calls(RejectedBy::QueueFull), CALLERS - served);
    assert!(served >= u64::from(PERMITS) + 100, "those who had room were served: {served}");
    assert!(snapshot.quantile(0.5).is_some_and(|p50| p50 > Duration::ZERO));
}
