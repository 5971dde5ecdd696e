//! Ten thousand producers and a queue, for two seconds, or longer: memory stays as it is, and no item is lost.
//! `SEAWALL_SOAK_SECONDS=60 cargo test --release -p seawall-tests --test edges soak -- --nocapture`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use seawall::Time;
use seawall::backpressure::Counts;
use seawall::queue::{BackpressureQueue, Strategy};

const PRODUCERS: u64 = 10_000;

/// 2 unless the environment says otherwise, and at most 600.
fn seconds() -> u64 {
    let asked = std::env::var("SEAWALL_SOAK_SECONDS").ok();
    asked.and_then(|seconds| seconds.parse().ok()).unwrap_or(2).clamp(1, 600)
}

/// What the process has in memory, in kB; 0 where that is not known.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn is_whole(counts: Counts) -> bool {
    let now = u64::from(counts.waiting) + u64::from(counts.blocked_now);
    counts.received == counts.processed + counts.dropped + counts.merged + now
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stdout, reason = "with --nocapture it says what it saw")]
async fn ten_thousand_producers_lose_nothing_and_need_no_more_memory() {
    let queue = BackpressureQueue::builder().capacity(1_000).strategy(Strategy::block()).build();
    let queue: BackpressureQueue<u64> = queue.unwrap();
    let (is_over, put, got) = (Arc::new(AtomicBool::new(false)), Arc::default(), Arc::default());
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|item| {
            let (queue, is_over, put) = (queue.clone(), Arc::clone(&is_over), Arc::clone(&put));
            tokio::spawn(async move {
                let put: &AtomicU64 = &put;
                while !is_over.load(Ordering::Relaxed) {
                    if queue.put(item).await.is_ok() {
                        put.fetch_add(item, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            let (queue, got) = (queue.clone(), Arc::clone(&got));
            tokio::spawn(async move {
                let got: &AtomicU64 = &got;
                while let Some(item) = queue.get().await {
                    got.fetch_add(item, Ordering::Relaxed);
                    tokio::task::consume_budget().await;
                }
            })
        })
        .collect();
    let time = Time::system();
    let mut seen = Vec::new();
    for _ in 0..seconds() * 4 {
        time.sleep(Duration::from_millis(250)).await;
        assert!(is_whole(queue.counts()), "{:?}", queue.counts());
        seen.push(resident());
    }
    is_over.store(true, Ordering::Relaxed);
    for producer in producers {
        producer.await.unwrap();
    }
    queue.close();
    for consumer in consumers {
        consumer.await.unwrap();
    }
    let counts = queue.counts();
    println!("{counts:?}; resident, kB: {} at first, {} at last", seen[0], seen[seen.len() - 1]);
    assert_eq!(put.load(Ordering::Relaxed), got.load(Ordering::Relaxed));
    assert!(counts.received > PRODUCERS && counts.received == counts.processed, "{counts:?}");
    // What is there after a quarter of a second is there at the end, but for other tests beside this one.
    let grown = seen[seen.len() - 1].saturating_sub(seen[0]);
    assert!(grown < 64 * 1024, "{grown} kB more: {seen:?}");
}
