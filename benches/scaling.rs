//! What grows with what: the same operation, at sizes that are a power of ten apart. `--svg=FOLDER` draws a picture of each.
//!
//! - a guarded call, on 1 to 8 threads
//! - a guarded call of one of 1 to 10,000 dependencies, called at random
//! - a call counted by a breaker, with windows of 10 to 100,000 calls
//! - a token of one of 1 to 10 million keys, asked for at random
//! - a call that joins a waiting room of 1 to 100,000 calls, and leaves it

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use recloser::Recloser;
use seawall::bulkhead::Limit;
use seawall::clock::{Clock, Moment};
use seawall::limit::{KeyedConfig, KeyedLimiter, Rate, TokenBucket};
use seawall::outcome::Outcome;
use seawall::prelude::*;
use seawall::{backpressure, breaker, bulkhead};
use seawall_benches::{Contender, Effort, Glue, at_random, median, on_runtime, time};
use tokio::sync::Semaphore;

#[path = "scaling/picture.rs"]
mod picture;
#[path = "guarded_call/service.rs"]
#[allow(dead_code, reason = "one of its methods is called here")]
mod service;

use picture::Line;
use service::{Ready, Service, ServiceClient, clients};

/// One size of a series, with all contenders at that size.
struct Size<'a> {
    size: usize,
    threads: usize,
    operations: u32,
    contenders: Vec<Contender<'a>>,
}

/// Where pictures go, if they are wanted, and how much is done.
struct Series {
    pictures: Option<PathBuf>,
    rounds: usize,
    /// Sizes are at most this, and operations are divided by as much: a smoke test.
    most: usize,
}

impl Series {
    fn from_args() -> Self {
        let pictures = std::env::args().find_map(|a| a.strip_prefix("--svg=").map(PathBuf::from));
        let is_short = Effort::from_args().rounds <= 3;
        let (rounds, most) = if is_short { (1, 100) } else { (9, usize::MAX) };
        Self { pictures, rounds, most }
    }

    /// Measures every size, one after the other, and prints a table: a row for each size.
    fn run<'a>(
        &self,
        (file, title, what): (&str, &str, &str),
        sizes: &[usize],
        mut at: impl FnMut(usize) -> Size<'a>,
    ) {
        let mut lines: Vec<Line> = Vec::new();
        println!("\n{title}, ns (median of {} rounds)", self.rounds);
        for &size in sizes.iter().filter(|size| **size <= self.most) {
            let Size { size, threads, operations, contenders } = at(size);
            let operations = if self.most == usize::MAX { operations } else { 1_000 };
            if lines.is_empty() {
                let names: Vec<_> = contenders.iter().map(|one| one.name.clone()).collect();
                println!("| {what} | {} |", names.join(" | "));
                println!("| ---: |{}", " ---: |".repeat(names.len()));
                lines.extend(names.into_iter().map(|name| Line { name, points: Vec::new() }));
            }
            let mut rounds = vec![Vec::new(); contenders.len()];
            for round in 0..=self.rounds {
                for (contender, rounds) in contenders.iter().zip(&mut rounds) {
                    // By all threads together.
                    let took = time(contender, threads, operations) / threads as f64;
                    // The first makes what the first call makes.
                    if round > 0 {
                        rounds.push(took);
                    }
                }
            }
            let medians: Vec<_> = rounds.into_iter().map(median).collect();
            let cells: Vec<_> = medians.iter().map(|nanos| format!("{nanos:.1}")).collect();
            println!("| {size} | {} |", cells.join(" | "));
            for (line, nanos) in lines.iter_mut().zip(medians) {
                line.points.push((size as f64, nanos));
            }
        }
        if let Some(folder) = &self.pictures {
            let to = folder.join(file);
            match picture::draw(&to, title, what, &lines) {
                Ok(()) => println!("drawn: {}", to.display()),
                Err(error) => println!("not drawn: {}: {error}", to.display()),
            }
        }
    }
}

fn guarded<'a>(name: &str, clients: &'a [ServiceClient<Ready>]) -> Contender<'a> {
    Contender::new(name, |calls| {
        on_runtime(async {
            for call in 0..u64::from(calls) {
                let client = &clients[at_random(call, clients.len())];
                black_box(client.add_one(&call).await.expect("answers"));
            }
        });
    })
}

fn glued<'a>(name: &str, glue: &'a [Glue]) -> Contender<'a> {
    Contender::new(name, |calls| {
        on_runtime(async {
            for call in 0..u64::from(calls) {
                let glue = &glue[at_random(call, glue.len())];
                let answer = glue.call(|| async { Ready.add_one(&call).await.unwrap_or_default() });
                black_box(answer.await.expect("answers"));
            }
        });
    })
}

fn threads(series: &Series) {
    let (_seawall, clients) = clients(1, Limit::Fixed);
    let glue = [Glue::new()];
    let called =
        ("threads.svg", "A guarded call on several threads: time divided by all calls", "threads");
    series.run(called, &[1, 2, 3, 4, 6, 8], |threads| Size {
        size: threads,
        threads,
        operations: 50_000,
        contenders: vec![guarded("seawall", &clients), glued("glue", &glue)],
    });
}

fn dependencies(series: &Series) {
    let called = (
        "dependencies.svg",
        "A guarded call of one of so many dependencies, at random",
        "dependencies",
    );
    let most = series.most.min(10_000);
    let (_seawall, clients) = clients(most, Limit::Fixed);
    let glue: Vec<_> = (0..most).map(|_| Glue::new()).collect();
    series.run(called, &[1, 10, 100, 1_000, 10_000], |size| Size {
        size,
        threads: 1,
        operations: 100_000,
        contenders: vec![guarded("seawall", &clients[..size]), glued("glue", &glue[..size])],
    });
}

/// Every tenth call fails, of a breaker that opens at half.
fn windows(series: &Series) {
    let called =
        ("windows.svg", "Admitted and counted, one of ten a failure, in a window of", "calls");
    let clock = Clock::system();
    series.run(called, &[10, 100, 1_000, 10_000, 100_000], |size| {
        let window = breaker::Window::Calls(size as u32);
        let config = breaker::Config::builder().failure_rate(0.5).min_calls(10).window(window);
        let ours = breaker::CircuitBreaker::new(config.build().expect("valid"), clock.now());
        let recloser = Recloser::custom().error_rate(0.5).closed_len(size).build();
        let clock = &clock;
        let by_ours = move |calls| {
            for call in 0..calls {
                let (admission, _) = ours.admit(clock.now());
                let outcome = if call % 10 == 9 { Outcome::Failure } else { Outcome::Success };
                ours.record(admission.expect("closed"), outcome, clock.now());
            }
        };
        let by_recloser = move |calls| {
            for call in 0..calls {
                let answer = if call % 10 == 9 { Err(()) } else { Ok(()) };
                let _ = black_box(recloser.call(|| answer));
            }
        };
        Size {
            size,
            threads: 1,
            operations: 200_000,
            contenders: vec![
                Contender::new("seawall, two clock reads", by_ours),
                Contender::new("recloser, none while closed", by_recloser),
            ],
        }
    });
}

/// Each has spent something: a key that is as good as new is forgotten, and made again.
fn keys(series: &Series) {
    let called = ("keys.svg", "A token of one of so many keys, at random", "keys");
    let clock = Clock::system();
    series.run(called, &[1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000], |size| {
        let rate = Rate::new(100_000_000, 1.0).expect("valid");
        let config = KeyedConfig::builder().max_keys(size.max(64)).build().expect("valid");
        let ours: KeyedLimiter<u64, _> =
            KeyedLimiter::new(TokenBucket::new(&rate), config, Moment::ZERO);
        let per_second = NonZeroU32::MIN;
        let burst = NonZeroU32::new(100_000_000).expect("not zero");
        let governor: DefaultKeyedRateLimiter<u64> =
            RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst));
        for key in 0..size as u64 {
            ours.try_take(&key, clock.now(), 1).expect("enough");
            governor.check_key(&key).expect("enough");
        }
        let clock = &clock;
        let by_ours = move |calls| {
            for call in 0..u64::from(calls) {
                let key = at_random(call, size) as u64;
                let _ = black_box(ours.try_take(&key, clock.now(), 1));
            }
        };
        let by_governor = move |calls| {
            for call in 0..u64::from(calls) {
                let _ = black_box(governor.check_key(&(at_random(call, size) as u64)));
            }
        };
        Size {
            size,
            threads: 1,
            operations: 200_000,
            contenders: vec![
                Contender::new("seawall, keyed", by_ours),
                Contender::new("governor, keyed", by_governor),
            ],
        }
    });
}

/// A call that joins those that wait for a permit, and is dropped.
fn waiting(series: &Series) {
    let called = ("waiting.svg", "A call joins so many that wait, and leaves", "calls that wait");
    series.run(called, &[1, 10, 100, 1_000, 10_000, 100_000], |size| {
        let hour = Duration::from_secs(3_600);
        let policy = Policy::builder()
            .deadline(hour)
            .timeout(hour)
            .bulkhead(bulkhead::Config::builder().max_concurrent(1).max_wait(hour))
            .mailbox(backpressure::Config::builder().capacity(size as u32 + 1))
            .build()
            .expect("valid");
        let seawall = Seawall::builder().policy("it", policy).start().expect("started");
        let calls = on_runtime(seawall.calls("it", &["work"])).expect("spawned");
        let hang = || {
            let calls = calls.clone();
            async move { calls.call("work", std::future::pending::<Result<(), Fault>>).await }
        };
        let semaphore = Arc::new(Semaphore::new(1));
        let acquire = || Arc::clone(&semaphore).acquire_owned();
        // One has the permit.
        let held: Vec<_> = (0..=size).map(|_| pended(hang())).collect();
        let acquired = Arc::clone(&semaphore).try_acquire_owned().expect("free");
        let waiting: Vec<_> = (0..size).map(|_| pended(acquire())).collect();
        let by_ours = move |all| {
            let _all_wait = (&seawall, &held);
            for _ in 0..all {
                drop(pended(calls.call("work", std::future::pending::<Result<(), Fault>>)));
            }
        };
        let by_tokio = move |all| {
            let _all_wait = (&acquired, &waiting);
            for _ in 0..all {
                drop(pended(Arc::clone(&semaphore).acquire_owned()));
            }
        };
        Size {
            size,
            threads: 1,
            operations: 20_000,
            contenders: vec![
                Contender::new("seawall dependency, with a timer", by_ours),
                Contender::new("tokio Semaphore", by_tokio),
            ],
        }
    });
}

/// A future that was polled once, and waits.
fn pended<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    future
}

fn main() {
    let series = Series::from_args();
    threads(&series);
    dependencies(&series);
    windows(&series);
    keys(&series);
    waiting(&series);
}
