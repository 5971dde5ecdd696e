//! The actor killed over and over under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use seawall::actor::{Control, RestartPolicy};
use seawall::backpressure::Strategy;
use seawall::prelude::*;
use seawall::{CallOutcome, Event};
use seawall_tests::{Tell, Trouble};

use crate::build::*;

const PERMITS: u32 = 4;
const CALLERS: u32 = 50;
const DEATHS: u64 = 100;

#[seawall::resilient]
trait Crowded {
    async fn enter(&self) -> Result<(), Trouble>;
}

/// Fails every so often, in a row long enough to open the breaker.
#[derive(Default)]
struct Moody {
    inside: AtomicU32,
    most: AtomicU32,
    calls: AtomicU64,
}

impl Crowded for Arc<Moody> {
    async fn enter(&self) -> Result<(), Trouble> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        for _ in 0..call % 4 {
            tokio::task::yield_now().await;
        }
        self.inside.fetch_sub(1, Ordering::SeqCst);
        if call % 1000 > 900 { Err(Trouble::Broken) } else { Ok(()) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_deaths_of_the_actor_admit_nobody_wrongly_and_leave_nobody_asleep() {
    let restart = RestartPolicy::builder()
        .backoff(Duration::ZERO, Duration::from_millis(1))
        .intensity(10_000, Duration::from_secs(1))
        .build()
        .unwrap();
    let policy = base()
        .bulkhead(permits(PERMITS).max_wait(secs(600)))
        .mailbox(line(20, Strategy::Block { timeout: secs(600) }))
        .deadline(secs(600))
        .timeout(secs(600))
        .breaker(trips_after(5).first_open_for(ms(2)).open_for(ms(2)));
    let (tell, events) = Tell::new();
    let seawall = Seawall::builder()
        .restart(restart)
        .observer(tell)
        .policy("crowd", policy.build().unwrap())
        .start()
        .unwrap();
    let moody = Arc::new(Moody::default());
    let client: CrowdedClient<_> = seawall.spawn("crowd", Arc::clone(&moody)).await.unwrap();
    let handle = seawall.dependency("crowd").unwrap();
    let enough = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (client, enough) = (client.clone(), Arc::clone(&enough));
            tokio::spawn(async move {
                let mut calls = 0_u64;
                while !enough.load(Ordering::Relaxed) {
                    let refused = matches!(client.enter().await, Err(Trouble::Fault(_)));
                    calls += 1;
                    if refused {
                        tokio::task::yield_now().await;
                    }
                }
                calls
            })
        })
        .collect();
    for death in 0..DEATHS {
        handle.tell(Control::Crash).await.unwrap_err();
        assert!(handle.tell(Control::Snapshot).await.is_ok(), "death {death}");
    }
    enough.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for caller in callers {
        // Ends: nobody is left asleep.
        calls += caller.await.unwrap();
    }
    // Forced, a breaker is moved by nobody. Otherwise the actor may move an open one between the two counts: `shutdown`
    // dismisses it, but does not wait for its thread.
    let now = handle.tell(Control::ForceClosed).await.unwrap();
    assert_eq!(now.restarts, DEATHS);
    assert!(moody.most.load(Ordering::SeqCst) <= PERMITS, "{:?} at once", moody.most);
    assert_eq!((now.active, now.pending, now.mailbox.waiting), (0, 0, 0), "{now:#?}");
    let ended: u64 = CallOutcome::ALL.iter().map(|&outcome| now.calls(outcome)).sum();
    assert_eq!(ended, calls);
    seawall.shutdown(secs(600)).await;
    // Ends when the last sender is gone, and so when there is nobody left who could tell of more.
    drop((seawall, client, handle));
    let moves = events.iter().filter(|event| matches!(event, Event::Transition { .. })).count();
    assert_eq!(moves as u64, now.breaker.transition_counts.iter().flatten().sum::<u64>());
}
