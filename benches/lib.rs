//! What the benches share: contenders timed in turn, round after round, so that a ratio holds even
//! when the machine's speed drifts.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod glue;

use std::future::Future;
use std::sync::Barrier;
use std::time::Duration;

pub use glue::{Glue, GlueError};
use seawall::clock::Clock;
use seawall::{Policy, breaker, bulkhead, retry};

/// One way of doing the thing that is measured.
pub struct Contender<'a> {
    /// What it is called in the table.
    pub name: String,
    /// Does it this many times, on one thread.
    pub run: Box<dyn Fn(u32) + Sync + 'a>,
}

impl std::fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contender").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a> Contender<'a> {
    /// A contender of this name.
    pub fn new(name: impl Into<String>, run: impl Fn(u32) + Sync + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// How often each is run, and how much at a time.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds; each contender runs once in each.
    pub rounds: usize,
    /// Operations a thread does in a round.
    pub operations: u32,
}

impl Effort {
    /// A second or two each; `--quick` on the command line is a smoke test.
    #[must_use]
    pub fn from_args() -> Self {
        if std::env::args().any(|argument| argument == "--quick") {
            Self { rounds: 3, operations: 2_000 }
        } else {
            Self { rounds: 15, operations: 200_000 }
        }
    }
}

/// What a contender took, round by round.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The contender's name.
    pub name: String,
    /// How many threads there were.
    pub threads: usize,
    /// A figure for each round: nanoseconds an operation, or what it was divided by.
    pub rounds: Vec<f64>,
}

impl Figures {
    /// The figure of the middle round.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(self.rounds.iter().copied())
    }

    /// The figure of the quickest round.
    #[must_use]
    pub fn least(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// This divided by `other`, round by round.
    #[must_use]
    pub fn ratio_to(&self, other: &Self) -> Self {
        let rounds = self.rounds.iter().zip(&other.rounds).map(|(this, other)| this / other);
        Self { rounds: rounds.collect(), ..self.clone() }
    }
}

/// Every guard, and enough of everything: limiter, breaker over the last 100 calls, bulkhead, timeout, retry.
///
/// # Panics
/// Never: the settings are valid.
#[must_use]
pub fn all_guards() -> Policy {
    all_guards_with(bulkhead::Limit::Fixed)
}

/// The same, with a number of permits that is found so.
///
/// # Panics
/// Never: the settings are valid.
#[must_use]
pub fn all_guards_with(limit: bulkhead::Limit) -> Policy {
    Policy::builder()
        .breaker(breaker::Config::builder().failure_rate(0.5).window(breaker::Window::Calls(100)))
        .bulkhead(bulkhead::Config::builder().limit(limit).max_concurrent(1_000))
        .retry(retry::Config::builder().max_attempts(3))
        .rate_limit(seawall::limit::Config::token_bucket(1_000_000_000, 1e9))
        .build()
        .expect("valid")
}

/// A runtime for the calling thread, kept for all rounds.
pub fn on_runtime<F: Future>(future: F) -> F::Output {
    thread_local! {
        static RUNTIME: std::io::Result<tokio::runtime::Runtime> =
            tokio::runtime::Builder::new_current_thread().enable_all().build();
    }
    RUNTIME.with(|runtime| match runtime {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => unreachable!("a bench without a runtime: {error}"),
    })
}

/// Runs every contender with 1 and 2 threads and prints ns an operation (median of the rounds, least),
/// the ratio to the first contender round by round (median), and allocations an operation. Returns what was measured.
///
/// `--only=PREFIX` on the command line leaves only those whose name begins so: for a profiler.
pub fn compare(title: &str, effort: Effort, contenders: &[Contender<'_>]) -> Vec<Figures> {
    compare_on(title, &[1, 2], effort, contenders)
}

/// As [`compare`], on so many threads in turn: `&[1]` for contenders that have threads of their own.
pub fn compare_on(
    title: &str,
    threads: &[usize],
    effort: Effort,
    contenders: &[Contender<'_>],
) -> Vec<Figures> {
    let only = std::env::args().find_map(|a| a.strip_prefix("--only=").map(str::to_owned));
    let only = only.unwrap_or_default();
    let contenders: Vec<_> = contenders.iter().filter(|c| c.name.starts_with(&only)).collect();
    println!("\n{title}");
    println!("| threads | contender | ns/op median | ns/op min | first ÷ this | allocations/op |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut all = Vec::new();
    for &threads in threads {
        let blank = |c: &&Contender<'_>| Figures { name: c.name.clone(), threads, rounds: vec![] };
        let mut figures: Vec<_> = contenders.iter().map(blank).collect();
        for contender in &contenders {
            (contender.run)(effort.operations / 10);
        }
        for _ in 0..effort.rounds {
            for (contender, figures) in contenders.iter().zip(&mut figures) {
                figures.rounds.push(time(contender, threads, effort.operations));
            }
        }
        for (contender, own) in contenders.iter().zip(&figures) {
            let allocated = allocation_counter::measure(|| (contender.run)(1_000)).count_total;
            println!(
                "| {threads} | {} | {:.1} | {:.1} | {:.2}× | {:.3} |",
                own.name,
                own.median(),
                own.least(),
                figures[0].ratio_to(own).median(),
                allocated as f64 / 1_000.0,
            );
        }
        all.extend(figures);
    }
    all
}

/// Wall-clock nanoseconds an operation, with each thread doing `operations` of them at once.
///
/// # Panics
/// If the contender does: one that fails must not go by as one that took no time.
#[must_use]
pub fn time(contender: &Contender<'_>, threads: usize, operations: u32) -> f64 {
    let clock = Clock::system();
    let start = Barrier::new(threads);
    let longest = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let began = clock.now();
                    (contender.run)(operations);
                    clock.now().since(began)
                })
            })
            .collect();
        let took =
            workers.into_iter().map(|worker| worker.join().expect("the contender runs through"));
        took.max().unwrap_or(Duration::ZERO)
    });
    longest.as_nanos() as f64 / f64::from(operations)
}

/// A number below `most`, the same for the same call (SplitMix64).
#[must_use]
pub fn at_random(call: u64, most: usize) -> usize {
    let mut mixed = call.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) % most as u64) as usize
}

/// The one in the middle; not a number, if there is none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
