//! Everything that can befall a server, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::cmd;
use seawall::Seawall;
use seawall::clock::Clock;
use seawall::distributed::{
    DecidedBy, Mode, OnFailure, Per, Redis, Request, SharedLimit, SharedLimits,
};
use seawall::limit::Config;

use super::server::Server;

/// What the load has seen since it was last asked.
#[derive(Default)]
struct Seen {
    by_store: AtomicU64,
    by_failure: AtomicU64,
    /// The longest that a check has taken, in nanoseconds.
    longest: AtomicU64,
}

/// Checks without a pause until it is told to end.
async fn load(limits: SharedLimits, subject: String, seen: Arc<Seen>, ends: Arc<AtomicBool>) {
    let clock = Clock::system();
    while !ends.load(Ordering::Relaxed) {
        let begin = clock.now();
        let decision = limits.check(&Request::of(&subject), 1).await;
        let took = clock.now().since(begin).as_nanos() as u64;
        seen.longest.fetch_max(took, Ordering::Relaxed);
        let count = match decision.by {
            DecidedBy::Failure(OnFailure::Local) => &seen.by_failure,
            _ => &seen.by_store,
        };
        count.fetch_add(1, Ordering::Relaxed);
        // A lease may decide many without a pause of its own.
        tokio::task::yield_now().await;
    }
}

/// Until checks are decided by the store again, 2 s at most.
async fn recovers(seen: &Seen, after: &str) {
    let before = seen.by_store.load(Ordering::Relaxed);
    let recovered = async {
        while seen.by_store.load(Ordering::Relaxed) < before + 20 {
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(2);
    assert!(tokio::time::timeout(patience, recovered).await.is_ok(), "not back after {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_the_server_each_check_is_decided_and_it_recovers() {
    let mut server = Server::start();
    let seawall = Seawall::builder().start().unwrap();
    let store = seawall.guard_store("limits", Redis::open(server.url()).unwrap()).await.unwrap();
    let config = Config::token_bucket(1_000_000, 1_000_000.0).unwrap();
    let limits = SharedLimits::builder(store)
        .limit(SharedLimit::new("all", config).mode(Mode::Leased).lease(1_000))
        .limit(SharedLimit::new("user", config).per(Per::Subject))
        .build()
        .unwrap();
    let (seen, ends) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let (seen, ends) = (Arc::clone(&seen), Arc::clone(&ends));
            tokio::spawn(load(limits.clone(), format!("user:{number}"), seen, ends))
        })
        .collect();
    recovers(&seen, "the start").await;
    for what in ["SCRIPT FLUSH", "FLUSHALL", "CLIENT KILL TYPE NORMAL"] {
        let mut words = what.split(' ');
        let mut command = cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        // The one that kills all clients kills ours, too.
        let _ = command.query::<redis::Value>(&mut server.connection());
        recovers(&seen, what).await;
    }
    server.pause();
    let failures = seen.by_failure.load(Ordering::Relaxed);
    while seen.by_failure.load(Ordering::Relaxed) < failures + 100 {
        tokio::task::yield_now().await;
    }
    server.wake();
    recovers(&seen, "standing still").await;
    server.kill();
    let failures = seen.by_failure.load(Ordering::Relaxed);
    while seen.by_failure.load(Ordering::Relaxed) < failures + 100 {
        tokio::task::yield_now().await;
    }
    server.run();
    recovers(&seen, "a restart").await;
    ends.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("no panic");
    }
    // 50 ms, on a machine that has other things to do.
    let longest = Duration::from_nanos(seen.longest.load(Ordering::Relaxed));
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}
