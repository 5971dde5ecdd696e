//! Ten thousand dependencies of five methods that nobody calls: what each takes to be made, and what it then has resident.
//!
//! Each round runs in a process of its own, because what a process has once had it seldom gives back. Beside it, a pipeline of
//! `seatbelt` (retry, breaker and timeout, without an actor) and the hand-made glue.
//!
//! ```text
//! cargo bench -p seawall-benches --bench idle
//! ```

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "guarded_call/peers.rs"]
#[allow(dead_code, reason = "another bench calls them")]
mod peers;
#[path = "guarded_call/service.rs"]
#[allow(dead_code, reason = "another bench calls it")]
mod service;

use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::Duration;

use seawall::actor::Control;
use seawall::clock::Clock;
use seawall::prelude::*;
use seawall_benches::{Effort, Glue, on_runtime};

const MANY: usize = 10_000;

/// Never made.
#[derive(Debug)]
struct Error;

impl From<Fault> for Error {
    fn from(_: Fault) -> Self {
        Self
    }
}

/// A service of five methods.
#[resilient]
#[allow(dead_code, reason = "that it has them is what matters")]
trait Five {
    async fn list(&self) -> Result<(), Error>;
    async fn get(&self) -> Result<(), Error>;
    async fn put(&self) -> Result<(), Error>;
    async fn delete(&self) -> Result<(), Error>;
    async fn search(&self) -> Result<(), Error>;
}

#[derive(Debug)]
struct Plain;

impl Five for Plain {
    async fn list(&self) -> Result<(), Error> {
        Ok(())
    }
    async fn get(&self) -> Result<(), Error> {
        Ok(())
    }
    async fn put(&self) -> Result<(), Error> {
        Ok(())
    }
    async fn delete(&self) -> Result<(), Error> {
        Ok(())
    }
    async fn search(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// What is made, and what the last look at it took.
type Make = fn() -> (Duration, Duration);

const MADE: [(&str, Make); 3] = [
    ("seawall, actor included", seawall),
    ("seatbelt: retry, breaker, timeout", seatbelt),
    ("glue: governor + Semaphore + recloser", glue),
];

/// Until the last client is there, and until the last actor answers.
fn seawall() -> (Duration, Duration) {
    let clock = Clock::system();
    on_runtime(async {
        let seawall = Seawall::builder().start().expect("it starts");
        // Its thread is up, and the clock has been calibrated.
        let first: FiveClient<Plain> = seawall.spawn("first", Plain).await.expect("a new name");
        let names: Vec<String> = (0..MANY).map(|number| format!("dependency-{number}")).collect();
        let mut clients: Vec<FiveClient<Plain>> = Vec::with_capacity(MANY);
        measured(async || {
            let began = clock.now();
            for name in &names {
                clients.push(seawall.spawn(name, Plain).await.expect("a new name"));
            }
            let made = clock.now().since(began);
            let last = seawall.dependency(&names[MANY - 1]).expect("it is there");
            last.tell(Control::Snapshot).await.expect("it answers");
            black_box((&first, &clients));
            (made, clock.now().since(began))
        })
        .await
    })
}

fn seatbelt() -> (Duration, Duration) {
    on_runtime(async {
        let clock = tick::Clock::new_tokio();
        let make = || peers::seatbelt(&clock);
        black_box(make());
        alone(make).await
    })
}

fn glue() -> (Duration, Duration) {
    on_runtime(alone(Glue::new))
}

async fn alone<T>(make: impl Fn() -> T) -> (Duration, Duration) {
    let clock = Clock::system();
    let mut all = Vec::with_capacity(MANY);
    measured(async || {
        let began = clock.now();
        (0..MANY).for_each(|_| all.push(make()));
        black_box(&all);
        let made = clock.now().since(began);
        (made, made)
    })
    .await
}

/// Prints how much more is resident afterwards, too.
async fn measured(make: impl AsyncFnOnce() -> (Duration, Duration)) -> (Duration, Duration) {
    let before = resident();
    let took = make().await;
    let grown = resident().saturating_sub(before);
    let each = |length: Duration| length.as_secs_f64() * 1e6 / MANY as f64;
    println!("{} {} {}", each(took.0), each(took.1), grown as f64 * 1_024.0 / MANY as f64);
    took
}

/// In kB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--make") {
        let which = arguments.get(at + 1).and_then(|number| number.parse::<usize>().ok());
        let Some((_, make)) = which.and_then(|which| MADE.get(which)) else {
            return ExitCode::FAILURE;
        };
        make();
        return ExitCode::SUCCESS;
    }
    let rounds = if Effort::from_args().rounds > 3 { 9 } else { 1 };
    println!("\n{MANY} of them, never called: medians of {rounds}, each");
    println!("| what | µs until it is there | until its actor answers | bytes resident |");
    println!("| --- | --- | --- | --- |");
    for (at, (name, _)) in MADE.iter().enumerate() {
        let all: Vec<Vec<f64>> = (0..rounds).filter_map(|_| run(at)).collect();
        let median = |column: usize| {
            let mut column: Vec<f64> =
                all.iter().filter_map(|row| row.get(column).copied()).collect();
            column.sort_by(f64::total_cmp);
            column.get(column.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let (made, answers, bytes) = (median(0), median(1), median(2));
        println!("| {name} | {made:.2} | {answers:.2} | {bytes:.0} |");
    }
    ExitCode::SUCCESS
}

/// One round, in a process of its own.
fn run(which: usize) -> Option<Vec<f64>> {
    let this = std::env::current_exe().ok()?;
    let output = Command::new(this).args(["--make", &which.to_string()]).output().ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    Some(printed.split_whitespace().filter_map(|figure| figure.parse().ok()).collect())
}
