//! More calls than can be served: what is answered in time.
//!
//! One server does 100 requests a second, 10 ms each, from a queue without a bound; it works for clients that have given up, too.
//! Calls come by chance, at 0.5 to 3 times of that, and have a deadline of 100 ms.

use std::error::Error;
use std::time::Duration;

use seawall::simulation::{CallEnd, Clients, Distribution, Load, Scenario, Server};
use serde_json::{Map, Value, json};

use crate::chart::{self, Series};
use crate::progress::Progress;
use crate::scenarios::{Found, Result};
use crate::stacks::policy;

const CAPACITY: f64 = 100.0;
const WORK: Duration = Duration::from_millis(10);
const LASTS: Duration = Duration::from_secs(60);
const LOADS: [f64; 8] = [0.5, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0];

/// Each by its name, with what stands in its policy file about permits.
const STACKS: [(&str, &str); 6] = [
    ("nothing", "bulkhead = { max_concurrent = 100_000 }"),
    ("fixed_high", "bulkhead = { max_concurrent = 20, max_wait = '50ms' }"),
    ("fixed_right", "bulkhead = { max_concurrent = 9, max_wait = '50ms' }"),
    ("gradient2", "bulkhead = { max_concurrent = 200, max_wait = '50ms', limit = 'gradient2' }"),
    ("vegas", "bulkhead = { max_concurrent = 200, max_wait = '50ms', limit = 'vegas' }"),
    ("seawall", "bulkhead = { max_concurrent = 200, max_wait = '50ms', limit = 'adaptive' }"),
];

struct Run {
    goodput: f64,
    arrived: f64,
    p99_ms: f64,
    peak_queue: u32,
}

fn simulate(
    permits: &str,
    load: f64,
    attempts: u32,
    seed: u64,
) -> std::result::Result<Run, Box<dyn Error>> {
    let guards = if permits.contains("100_000") { "breaker = { mode = 'disabled' }\n" } else { "" };
    let budget = if guards.is_empty() { "0.2" } else { "'none'" };
    let text = format!(
        "timeout = '100ms'\ndeadline = '100ms'\n{permits}\n{guards}\
         retry = {{ max_attempts = {attempts}, base_delay = '10ms', budget = {budget} }}"
    );
    let clients = Clients::of("server", policy(&text)?, Load::poisson(load * CAPACITY));
    let server = Server::new(1, Distribution::constant(WORK));
    let scenario = Scenario::new().server("server", server).clients("clients", clients);
    let report = scenario.run(LASTS, seed)?;
    let (Some(clients), Some(server)) = (report.clients("clients"), report.server("server")) else {
        return Err("a scenario without its clients".into());
    };
    let per_second = |count: u64| count as f64 / LASTS.as_secs_f64() / CAPACITY;
    Ok(Run {
        goodput: per_second(clients.ended_by(CallEnd::Answered)),
        arrived: per_second(clients.calls),
        p99_ms: clients.latency(0.99).unwrap_or_default().as_secs_f64() * 1e3,
        peak_queue: server.queue.iter().max().copied().unwrap_or_default(),
    })
}

pub(crate) fn run(seed: u64) -> Result {
    let mut progress = Progress::new("overload", 2 * STACKS.len() * LOADS.len());
    let mut page = format!(
        "A server that does {CAPACITY}/s, a deadline of 100 ms. Answers in time by the capacity, for calls that come by the \
         capacity:\n"
    );
    let mut csv = "stack,retries,load,arrived,goodput,p99_ms,peak_queue\n".to_owned();
    let (mut results, mut arrived, mut lines) = (Vec::new(), Map::new(), Vec::new());
    for attempts in [1, 3] {
        let heads: String = LOADS.iter().map(|load| format!("  {load:>5}")).collect();
        page +=
            &format!("\n{:<12}{heads}\n", if attempts == 1 { "one attempt" } else { "3 attempts" });
        let mut goodput = Map::new();
        for (name, permits) in STACKS {
            let (mut row, mut line) = (Map::new(), Vec::new());
            page += &format!("{name:<12}");
            for load in LOADS {
                let run = simulate(permits, load, attempts, seed)?;
                page += &format!("  {:>5.2}", run.goodput);
                csv += &format!(
                    "{name},{},{load},{},{},{},{}\n",
                    attempts - 1,
                    run.arrived,
                    run.goodput,
                    run.p99_ms,
                    run.peak_queue
                );
                row.insert(load.to_string(), run.goodput.into());
                arrived.insert(load.to_string(), run.arrived.into());
                line.push((load, run.goodput));
                progress.step();
            }
            page += "\n";
            goodput.insert(name.to_owned(), Value::Object(row));
            if attempts == 1 {
                lines.push(Series::new(name, line));
            }
        }
        results.push(Value::Object(goodput));
    }
    let svg = chart::lines(&[(
        "answers in time by the capacity, by calls that come by the capacity",
        lines,
    )])?;
    let json = json!({ "goodput": results[0], "with_retries": results[1], "arrived": arrived });
    Ok(Found { page, json, csv, svg })
}
