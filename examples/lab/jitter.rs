//! The experiment of M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: clients contend for one row.
//!
//! The row has a version. A client reads it, and writes if nobody has written since; if somebody has, it backs off and begins
//! anew. Each way to the server or back is a hop of |Normal(10 ms, 2 ms)|; the server takes no time. So this tells about
//! contention only. It says nothing about overload: the server is as fast as can be.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use seawall::retry::{Config, Jitter};
use seawall::simulation::{Distribution, TaskContext, World};
use serde_json::json;

use crate::chart::{self, Series};
use crate::progress::Progress;
use crate::scenarios::{Found, Result};

const TRIALS: u64 = 100;
const CLIENTS: [u32; 8] = [1, 2, 5, 10, 20, 50, 100, 190];
/// The window of attempt n is min(cap, base · 2^n), and the first retry is n = 1.
const BASE: Duration = Duration::from_millis(5);
const CAP: Duration = Duration::from_millis(2000);

/// Each by its name: how delays are drawn, if there are any.
const ALGORITHMS: [(&str, Option<Jitter>); 5] = [
    ("none", None),
    ("exponential", Some(Jitter::None)),
    ("full", Some(Jitter::Full)),
    ("equal", Some(Jitter::Equal)),
    ("decorrelated", Some(Jitter::Decorrelated)),
];

/// The row, and what has been done to it.
#[derive(Default)]
struct Row {
    version: Cell<u64>,
    calls: Cell<u32>,
}

/// Mean and standard deviation.
#[derive(Clone, Copy)]
struct Figure {
    mean: f64,
    deviation: f64,
}

impl Figure {
    fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { mean, deviation: (squares / count).sqrt() }
    }
}

fn config(jitter: Option<Jitter>) -> std::result::Result<Config, Box<dyn std::error::Error>> {
    let usual = Config::builder().max_attempts(1000).max_delay(CAP);
    let config = match jitter {
        None => usual.base_delay(Duration::ZERO).jitter(Jitter::None),
        // It has no window: it grows from the base by what was drawn before.
        Some(Jitter::Decorrelated) => usual.base_delay(BASE).jitter(Jitter::Decorrelated),
        // The first retry's window is twice the base.
        Some(jitter) => usual.base_delay(BASE * 2).jitter(jitter),
    };
    Ok(config.build()?)
}

/// One client, until its write is in.
async fn client(context: TaskContext, row: Rc<Row>, config: Config) {
    let entropy = context.next_entropy();
    let hops = Distribution::normal(Duration::from_millis(10), Duration::from_millis(2));
    let hop = || context.sleep(hops.draw(&entropy));
    let mut delays = config.delays(&entropy);
    loop {
        hop().await;
        let read = row.version.get();
        hop().await;
        hop().await;
        row.calls.set(row.calls.get() + 1);
        let is_written = row.version.get() == read;
        if is_written {
            row.version.set(read + 1);
        }
        hop().await;
        if is_written {
            return;
        }
        // A thousand attempts are more than there are clients, and each failure is another client's success.
        let Some(delay) = delays.next() else { return };
        context.sleep(delay).await;
    }
}

/// Calls made, and milliseconds until the last answer.
fn trial(clients: u32, config: &Config, seed: u64) -> (f64, f64) {
    let world = World::new(seed);
    let row = Rc::new(Row::default());
    let end = Rc::new(RefCell::new(Duration::ZERO));
    for _ in 0..clients {
        let (context, end) = (world.context(), Rc::clone(&end));
        let work = client(context.clone(), Rc::clone(&row), config.clone());
        world.spawn(async move {
            work.await;
            *end.borrow_mut() = context.elapsed();
        });
    }
    world.run();
    let time = end.borrow().as_secs_f64() * 1e3;
    (f64::from(row.calls.get()), time)
}

pub(crate) fn run(seed: u64, quick: bool) -> Result {
    let trials_each = if quick { TRIALS / 10 } else { TRIALS };
    let mut progress = Progress::new("jitter", ALGORITHMS.len() * CLIENTS.len());
    let mut csv = "algorithm,clients,calls_mean,calls_sd,time_mean,time_sd\n".to_owned();
    let mut page = format!(
        "Contention for one row: {trials_each} trials each, mean and standard deviation. The server takes no time: this is about\n\
         contention, not about overload.\n\n{:<13} {:>7}  {:>18}  {:>20}\n",
        "backoff", "clients", "calls", "time, ms"
    );
    let mut result = serde_json::Map::new();
    let (mut calls_lines, mut time_lines) = (Vec::new(), Vec::new());
    for (name, jitter) in ALGORITHMS {
        let config = config(jitter)?;
        let (mut rows, mut calls_line, mut time_line) = (Vec::new(), Vec::new(), Vec::new());
        for clients in CLIENTS {
            let trials: Vec<(f64, f64)> = (0..trials_each)
                .map(|trial_no| {
                    trial(clients, &config, seed.wrapping_mul(1_000_003).wrapping_add(trial_no))
                })
                .collect();
            let calls = Figure::of(&trials.iter().map(|(calls, _)| *calls).collect::<Vec<_>>());
            let time = Figure::of(&trials.iter().map(|(_, time)| *time).collect::<Vec<_>>());
            csv += &format!(
                "{name},{clients},{},{},{},{}\n",
                calls.mean, calls.deviation, time.mean, time.deviation
            );
            page += &format!(
                "{name:<13} {clients:>7}  {:>9.1} ± {:>6.1}  {:>11.1} ± {:>6.1}\n",
                calls.mean, calls.deviation, time.mean, time.deviation
            );
            rows.push(json!({
                "clients": clients,
                "calls": calls.mean, "calls_sd": calls.deviation,
                "time_ms": time.mean, "time_sd": time.deviation,
            }));
            calls_line.push((f64::from(clients), calls.mean));
            time_line.push((f64::from(clients), time.mean));
            progress.step();
        }
        result.insert(name.to_owned(), rows.into());
        calls_lines.push(Series::new(name, calls_line));
        time_lines.push(Series::new(name, time_line));
    }
    let svg = chart::lines(&[
        ("writes attempted, by clients", calls_lines),
        ("time until the last write, in ms, by clients", time_lines),
    ])?;
    Ok(Found { page, json: json!({ "jitter": result }), csv, svg })
}
