//! Items through a queue: by one task, from one to one, and from two to one, beside other queues. Those only block when they are full.
//!
//! In the last two, producers and the consumer are tasks on a runtime with two threads, or threads where a queue has no `async` ends.

use std::hint::black_box;

use seawall::backpressure::Order;
use seawall::queue::{BackpressureQueue, Pace, Strategy};
use seawall_benches::{Contender, Effort, compare_on, on_runtime};
use tokio::runtime::Runtime;

const CAPACITY: u32 = 1_024;

fn queue(strategy: Strategy<u64>) -> BackpressureQueue<u64> {
    queue_in(strategy, Order::Fifo)
}

fn queue_in(strategy: Strategy<u64>, order: Order) -> BackpressureQueue<u64> {
    let builder = BackpressureQueue::builder().capacity(CAPACITY).strategy(strategy);
    builder.order(order).build().expect("valid")
}

fn strategies() -> Vec<(&'static str, Strategy<u64>)> {
    let sum = |waiting: &mut u64, newcomer: u64| {
        *waiting = waiting.wrapping_add(newcomer);
        Ok(())
    };
    vec![
        ("block", Strategy::block()),
        ("drop_oldest", Strategy::DropOldest),
        ("drop_newest", Strategy::DropNewest),
        ("error", Strategy::Error),
        ("sample", Strategy::Sample { every: 10, above: 0.8 }),
        ("aggregate", Strategy::aggregate(sum)),
        ("throttle", Strategy::throttle(Pace::PerSecond(1e9))),
    ]
}

/// One task puts an item in and takes it out again: no peer waits for anybody.
fn one_task(effort: Effort) {
    let mut contenders = vec![Contender::new("tokio mpsc", |calls| {
        on_runtime(async {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(CAPACITY as usize);
            for item in 0..u64::from(calls) {
                sender.send(item).await.expect("open");
                black_box(receiver.recv().await);
            }
        });
    })];
    for (name, strategy) in strategies() {
        let queue = queue(strategy);
        contenders.push(Contender::new(format!("seawall {name}"), move |calls| {
            on_runtime(async {
                for item in 0..u64::from(calls) {
                    black_box(queue.put(item).await.is_ok());
                    black_box(queue.get().await);
                }
            });
        }));
    }
    contenders.push(Contender::new("crossbeam-channel", |calls| {
        let (sender, receiver) = crossbeam_channel::bounded(CAPACITY as usize);
        for item in 0..u64::from(calls) {
            sender.send(item).expect("open");
            black_box(receiver.recv().expect("open"));
        }
    }));
    contenders.push(Contender::new("async-channel", |calls| {
        on_runtime(async {
            let (sender, receiver) = async_channel::bounded(CAPACITY as usize);
            for item in 0..u64::from(calls) {
                sender.send(item).await.expect("open");
                black_box(receiver.recv().await.expect("open"));
            }
        });
    }));
    contenders.push(Contender::new("flume", |calls| {
        on_runtime(async {
            let (sender, receiver) = flume::bounded(CAPACITY as usize);
            for item in 0..u64::from(calls) {
                sender.send_async(item).await.expect("open");
                black_box(receiver.recv_async().await.expect("open"));
            }
        });
    }));
    contenders.push(Contender::new("kanal", |calls| {
        on_runtime(async {
            let (sender, receiver) = kanal::bounded_async(CAPACITY as usize);
            for item in 0..u64::from(calls) {
                sender.send(item).await.expect("open");
                black_box(receiver.recv().await.expect("open"));
            }
        });
    }));
    compare_on("one task: put, then get", &[1], effort, &contenders);
}

/// What a contender's producers and its consumer do, as tasks of a runtime.
macro_rules! tasks {
    ($runtime:expr, $producers:expr, $calls:expr, $ends:expr, |$sender:ident, $item:ident| $send:expr, |$receiver:ident| $receive:expr) => {{
        let (sender, mut receiver) = $ends;
        $runtime.block_on(async {
            let each = u64::from($calls) / $producers;
            for _ in 0..$producers {
                let $sender = sender.clone();
                tokio::spawn(async move {
                    for $item in 0..each {
                        $send;
                    }
                });
            }
            drop(sender);
            let consumer = tokio::spawn(async move {
                let $receiver = &mut receiver;
                let mut sum = 0u64;
                while let Some(item) = $receive {
                    sum = sum.wrapping_add(item);
                }
                black_box(sum)
            });
            consumer.await.expect("no panic");
        });
    }};
}

/// Closes the queue with its last producer, as the peers do.
#[derive(Clone)]
struct Producer(std::sync::Arc<Closes>);

struct Closes(BackpressureQueue<u64>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Ours: each strategy, and an order that reads the clock.
fn ours(runtime: &Runtime, producers: u64) -> Vec<Contender<'_>> {
    let fifo =
        strategies().into_iter().map(|(name, strategy)| (name.to_owned(), strategy, Order::Fifo));
    let codel = Order::codel(std::time::Duration::from_millis(10));
    let all = fifo.chain([("block, CoDel".to_owned(), Strategy::block(), codel)]);
    all.map(|(name, strategy, order)| {
        Contender::new(format!("seawall {name}"), move |calls| {
            let queue = queue_in(strategy.clone(), order);
            let sender = Producer(std::sync::Arc::new(Closes(queue.clone())));
            tasks!(
                runtime,
                producers,
                calls,
                (sender, queue),
                |sender, item| black_box(sender.0.0.put(item).await.is_ok()),
                |queue| queue.get().await
            );
        })
    })
    .collect()
}

fn async_peers(runtime: &Runtime, producers: u64) -> Vec<Contender<'_>> {
    let places = CAPACITY as usize;
    vec![
        Contender::new("async-channel", move |calls| {
            tasks!(
                runtime,
                producers,
                calls,
                async_channel::bounded(places),
                |sender, item| sender.send(item).await.expect("open"),
                |receiver| receiver.recv().await.ok()
            );
        }),
        Contender::new("flume", move |calls| {
            tasks!(
                runtime,
                producers,
                calls,
                flume::bounded(places),
                |sender, item| sender.send_async(item).await.expect("open"),
                |receiver| receiver.recv_async().await.ok()
            );
        }),
        Contender::new("kanal", move |calls| {
            tasks!(
                runtime,
                producers,
                calls,
                kanal::bounded_async(places),
                |sender, item| sender.send(item).await.expect("open"),
                |receiver| receiver.recv().await.ok()
            );
        }),
    ]
}

fn on_threads<'a>(producers: u64) -> Vec<Contender<'a>> {
    vec![
        Contender::new("crossbeam-channel, threads", move |calls| {
            let (sender, receiver) = crossbeam_channel::bounded(CAPACITY as usize);
            threads(
                producers,
                calls,
                sender,
                |sender, item| sender.send(item).is_ok(),
                || receiver.recv().ok(),
            );
        }),
        Contender::new("seawall block, threads", move |calls| {
            let queue = queue(Strategy::block());
            let sender = Producer(std::sync::Arc::new(Closes(queue.clone())));
            threads(
                producers,
                calls,
                sender,
                |sender, item| sender.0.0.put_blocking(item).is_ok(),
                || queue.get_blocking(),
            );
        }),
    ]
}

fn between_tasks(producers: u64, effort: Effort) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    let runtime: &Runtime = &runtime.expect("a runtime");
    let mut contenders = vec![Contender::new("tokio mpsc", move |calls| {
        tasks!(
            runtime,
            producers,
            calls,
            tokio::sync::mpsc::channel(CAPACITY as usize),
            |sender, item| sender.send(item).await.expect("open"),
            |receiver| receiver.recv().await
        );
    })];
    contenders.extend(ours(runtime, producers));
    contenders.extend(async_peers(runtime, producers));
    contenders.extend(on_threads(producers));
    compare_on(&format!("{producers} to 1"), &[1], effort, &contenders);
}

fn threads<S: Clone + Send>(
    producers: u64,
    calls: u32,
    sender: S,
    send: impl Fn(&S, u64) -> bool + Sync,
    receive: impl Fn() -> Option<u64>,
) {
    std::thread::scope(|scope| {
        for _ in 0..producers {
            let (sender, send) = (sender.clone(), &send);
            scope.spawn(move || {
                (0..u64::from(calls) / producers).for_each(|item| assert!(send(&sender, item)));
            });
        }
        drop(sender);
        while let Some(item) = receive() {
            black_box(item);
        }
    });
}

fn main() {
    let effort = Effort::from_args();
    one_task(effort);
    between_tasks(1, effort);
    between_tasks(2, effort);
}
