//! The whole guarded call: limiter, breaker, bulkhead, timeout, retry; ours with metrics and latency, the glue without any.
//!
//! - answered at once, awaited in one task: what a handler does
//! - the same, where the future is moved before it is polled: what `join_all` or a box does
//! - a call that pends once: its timeout has to be watched
//! - one of 10,000 dependencies, called at random: nothing of it is in a cache
//!
//! `--part=awaited`, `moved`, `pending` or `cold`: only that.

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use layered::Service as _;
use seawall::bulkhead::Limit;
use seawall_benches::{Contender, Effort, Glue, at_random, compare, compare_on, on_runtime};
use tick::Clock;
use tower::Service as _;

#[path = "guarded_call/peers.rs"]
mod peers;
#[path = "guarded_call/service.rs"]
mod service;

use service::{Ready, Service, ServiceClient, clients};

const OURS: &str = "seawall, all guards, with metrics";
const FOUND: &str = "seawall, the same, and the number of permits finds itself";
const GLUE: &str = "glue: governor + Semaphore + timeout + recloser + backon";
const SEATBELT: &str = "seatbelt: retry, breaker, timeout";

fn awaited(effort: Effort, client: &ServiceClient<Ready>, glue: &Glue, clock: &Clock) {
    let seatbelt = peers::seatbelt(clock);
    let (_seawall, found) = clients(1, Limit::Adaptive);
    let contenders = [
        Contender::new(OURS, |calls| {
            on_runtime(async {
                for call in each(calls) {
                    black_box(client.add_one(&call).await.expect("answers"));
                }
            });
        }),
        Contender::new(GLUE, |calls| {
            on_runtime(async {
                for call in each(calls) {
                    black_box(
                        glue.call(|| async { Ready.add_one(&call).await.unwrap_or_default() })
                            .await
                            .expect("answers"),
                    );
                }
            });
        }),
        Contender::new(SEATBELT, |calls| {
            on_runtime(async {
                for call in each(calls) {
                    black_box(seatbelt.execute(call).await.expect("answers"));
                }
            });
        }),
        Contender::new(FOUND, |calls| {
            on_runtime(async {
                for call in each(calls) {
                    black_box(found[0].add_one(&call).await.expect("answers"));
                }
            });
        }),
        Contender::new("tower: retry, concurrency limit, timeout (one a thread)", |calls| {
            on_runtime(async {
                let mut tower = peers::tower();
                for call in each(calls) {
                    poll_fn(|cx| tower.poll_ready(cx)).await.expect("ready");
                    black_box(tower.call(call).await.expect("answers"));
                }
            });
        }),
        Contender::new("the bare call", |calls| {
            on_runtime(async {
                for call in each(calls) {
                    black_box(Ready.add_one(&call).await.expect("answers"));
                }
            });
        }),
    ];
    compare("A whole guarded call, answered at once, awaited in one task", effort, &contenders);
}

/// Polls it once, elsewhere than where it was made.
#[inline(never)]
fn at_once<F: Future>(call: F) -> F::Output {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("it is answered at once"),
    }
}

/// Polls it twice, by hand: what an executor does in between is not measured.
#[inline(never)]
fn later<F: Future>(call: F) -> F::Output {
    let mut call = pin!(call);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_pending());
    match call.as_mut().poll(&mut cx) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("it pends once"),
    }
}

fn moved(effort: Effort, client: &ServiceClient<Ready>, glue: &Glue, clock: &Clock) {
    let seatbelt = peers::seatbelt(clock);
    let contenders = [
        Contender::new(OURS, |calls| {
            in_runtime(|| {
                for call in each(calls) {
                    black_box(at_once(client.add_one(&call)).expect("answers"));
                }
            });
        }),
        Contender::new(GLUE, |calls| {
            in_runtime(|| {
                for call in each(calls) {
                    black_box(
                        at_once(
                            glue.call(|| async { Ready.add_one(&call).await.unwrap_or_default() }),
                        )
                        .expect("answers"),
                    );
                }
            });
        }),
        Contender::new(SEATBELT, |calls| {
            in_runtime(|| {
                for call in each(calls) {
                    black_box(at_once(seatbelt.execute(call)).expect("answers"));
                }
            });
        }),
    ];
    compare("The same, where the future is moved before it is polled", effort, &contenders);
}

fn pending(effort: Effort, client: &ServiceClient<Ready>, glue: &Glue, clock: &Clock) {
    let seatbelt = peers::seatbelt_later(clock);
    let contenders =
        [
            Contender::new(OURS, |calls| {
                in_runtime(|| {
                    for call in each(calls) {
                        black_box(later(client.add_later(&call)).expect("answers"));
                    }
                });
            }),
            Contender::new(GLUE, |calls| {
                in_runtime(|| {
                    for call in each(calls) {
                        black_box(
                            later(glue.call(|| async {
                                Ready.add_later(&call).await.unwrap_or_default()
                            }))
                            .expect("answers"),
                        );
                    }
                });
            }),
            Contender::new(SEATBELT, |calls| {
                in_runtime(|| {
                    for call in each(calls) {
                        black_box(later(seatbelt.execute(call)).expect("answers"));
                    }
                });
            }),
        ];
    compare("A call that pends once", effort, &contenders);
}

/// Each call is one of another dependency: what it touches has to come from memory.
fn cold(effort: Effort, dependencies: usize, clock: &Clock) {
    let (_seawall, clients) = clients(dependencies, Limit::Fixed);
    let glue: Vec<_> = (0..dependencies).map(|_| Glue::new()).collect();
    let seatbelt: Vec<_> = (0..dependencies).map(|_| peers::seatbelt(clock)).collect();
    let contenders = [
        Contender::new(OURS, |calls| {
            on_runtime(async {
                for call in each(calls) {
                    let client = &clients[at_random(call, dependencies)];
                    black_box(client.add_one(&call).await.expect("answers"));
                }
            });
        }),
        Contender::new(GLUE, |calls| {
            on_runtime(async {
                for call in each(calls) {
                    let glue = &glue[at_random(call, dependencies)];
                    black_box(
                        glue.call(|| async { Ready.add_one(&call).await.unwrap_or_default() })
                            .await
                            .expect("answers"),
                    );
                }
            });
        }),
        Contender::new(SEATBELT, |calls| {
            on_runtime(async {
                for call in each(calls) {
                    let seatbelt = &seatbelt[at_random(call, dependencies)];
                    black_box(seatbelt.execute(call).await.expect("answers"));
                }
            });
        }),
    ];
    let title = format!("One of {dependencies} dependencies, called at random: caches cold");
    compare_on(&title, &[1], effort, &contenders);
}

fn each(calls: u32) -> std::ops::Range<u64> {
    0..u64::from(calls)
}

/// Where tokio's timers find their driver, and nothing has to yield after 128 calls.
fn in_runtime(work: impl FnOnce()) {
    on_runtime(tokio::task::unconstrained(async { work() }));
}

fn main() {
    let effort = Effort::from_args();
    let part = std::env::args().find_map(|a| a.strip_prefix("--part=").map(str::to_owned));
    let is_wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    let (_seawall, clients) = clients(1, Limit::Fixed);
    let glue = Glue::new();
    let clock = on_runtime(async { Clock::new_tokio() });
    if is_wanted("awaited") {
        awaited(effort, &clients[0], &glue, &clock);
    }
    if is_wanted("moved") {
        moved(effort, &clients[0], &glue, &clock);
    }
    if is_wanted("pending") {
        pending(effort, &clients[0], &glue, &clock);
    }
    if is_wanted("cold") {
        cold(effort, if effort.rounds > 3 { 10_000 } else { 100 }, &clock);
    }
}
