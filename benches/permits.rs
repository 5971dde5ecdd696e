//! A permit that is free, and 64 tasks over four permits, beside other semaphores.
//!
//! Ours is a [`Bulkhead`], which is permits and a queue as the others are. In the second part a whole dependency stands beside it: a
//! call that waits in its mailbox, with breaker, counters and two time limits, beside a semaphore that is nothing but one.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use async_lock::Semaphore as AsyncLockSemaphore;
use seawall::permit::Bulkhead;
use seawall::runtime::Calls;
use seawall::{Policy, Seawall, Time, backpressure, bulkhead};
use seawall_benches::{Contender, Effort, compare, compare_on};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tower::limit::ConcurrencyLimit;
use tower::{Service, ServiceExt, service_fn};

const PERMITS: u32 = 4;
const TASKS: u32 = 64;

/// Whose requests wait for as long as it takes, as a semaphore's do.
fn bulkhead(permits: u32) -> Bulkhead {
    let config = bulkhead::Config::builder().max_concurrent(permits).max_wait(Duration::MAX);
    let mailbox =
        backpressure::Config::builder().capacity(1_000).on_full(backpressure::Strategy::Error);
    Bulkhead::new(&config.build().expect("valid"), &mailbox.build().expect("valid"), Time::system())
}

fn free(effort: Effort) {
    let (tokios, async_locks, ours) =
        (Semaphore::new(1_000), AsyncLockSemaphore::new(1_000), bulkhead(1_000));
    let contenders = [
        Contender::new("tokio Semaphore", |calls| {
            (0..calls).for_each(|_| drop(black_box(tokios.try_acquire())));
        }),
        Contender::new("seawall Bulkhead", |calls| {
            (0..calls).for_each(|_| drop(black_box(ours.try_acquire())));
        }),
        Contender::new("async-lock Semaphore", |calls| {
            (0..calls).for_each(|_| drop(black_box(async_locks.try_acquire())));
        }),
    ];
    compare("a permit that is free", effort, &contenders);
}

/// What each task does, so many times in all.
fn tasks<F: Future<Output = ()> + Send + 'static>(
    runtime: &Runtime,
    calls: u32,
    task: impl Fn(u32) -> F + Send,
) {
    runtime.block_on(async {
        let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(task(calls / TASKS))).collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
}

/// The work that a permit is for: it pends once.
async fn work() {
    tokio::task::yield_now().await;
}

fn dependency(runtime: &Runtime) -> (Seawall, Calls) {
    let policy = Policy::builder()
        .bulkhead(bulkhead::Config::builder().max_concurrent(PERMITS).build())
        .mailbox(backpressure::Config::builder().capacity(1_000).build())
        .build()
        .expect("valid");
    let seawall = Seawall::builder().policy("it", policy).start().expect("started");
    let calls = runtime.block_on(seawall.calls("it", &["work"])).expect("spawned");
    (seawall, calls)
}

/// A contender whose tasks take a permit and do their work with it.
macro_rules! semaphore {
    ($name:expr, $runtime:expr, $shared:expr, |$semaphore:ident| $acquire:expr) => {{
        let shared = $shared;
        Contender::new($name, move |all| {
            tasks($runtime, all, |each| {
                let $semaphore = Arc::clone(&shared);
                async move {
                    for _ in 0..each {
                        let _permit = $acquire;
                        work().await;
                    }
                }
            });
        })
    }};
}

fn tower(runtime: &Runtime) -> Contender<'_> {
    let tower = ConcurrencyLimit::new(
        service_fn(async |(): ()| {
            work().await;
            Ok::<_, Infallible>(())
        }),
        PERMITS as usize,
    );
    Contender::new("tower ConcurrencyLimit", move |all| {
        tasks(runtime, all, |each| {
            let mut tower = tower.clone();
            async move {
                for _ in 0..each {
                    let ready = tower.ready().await.expect("ready");
                    ready.call(()).await.expect("answered");
                }
            }
        });
    })
}

fn whole_calls(runtime: &Runtime, calls: Calls) -> Contender<'_> {
    Contender::new("seawall dependency", move |all| {
        tasks(runtime, all, |each| {
            let calls = calls.clone();
            async move {
                for _ in 0..each {
                    let answer = calls.call("work", async || {
                        work().await;
                        Ok::<_, Infallible>(())
                    });
                    assert!(answer.await.is_ok());
                }
            }
        });
    })
}

fn waiting(effort: Effort) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = &runtime.expect("a runtime");
    let permits = PERMITS as usize;
    let (tokios, async_locks) = (Semaphore::new(permits), AsyncLockSemaphore::new(permits));
    let (_seawall, calls) = dependency(runtime);
    let contenders = [
        semaphore!("tokio Semaphore", runtime, Arc::new(tokios), |semaphore| {
            semaphore.acquire().await.expect("open")
        }),
        semaphore!("seawall Bulkhead", runtime, Arc::new(bulkhead(PERMITS)), |bulkhead| {
            bulkhead.acquire().await.expect("the queue has room")
        }),
        whole_calls(runtime, calls),
        semaphore!("async-lock Semaphore", runtime, Arc::new(async_locks), |semaphore| {
            semaphore.acquire().await
        }),
        tower(runtime),
    ];
    compare_on("64 tasks over 4 permits", &[1], effort, &contenders);
}

fn main() {
    let effort = Effort::from_args();
    free(effort);
    waiting(effort);
}
