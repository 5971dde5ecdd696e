//! More calls than can be served: what is answered in time.
//!
//! One server does 100 requests a second, 10 ms each, from a queue without a bound; it works for clients that have given up, too.
//! Calls come by chance, at 0.5 to 3 times of that, and have a deadline of 100 ms.

use std::error::Error;
use std::time::Duration;

use seawall::simulation::{CallEnd, ClientReport, Clients, Distribution, Load, Scenario, Server};
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
const STACKS: [(&str, &str); 8] = [
    ("nothing", "bulkhead = { max_concurrent = 100_000 }"),
    ("fixed_high", "bulkhead = { max_concurrent = 20, max_wait = '50ms' }"),
    ("fixed_right", "bulkhead = { max_concurrent = 9, max_wait = '50ms' }"),
    ("high_grace", "bulkhead = { max_concurrent = 20, max_wait = '50ms', grace = '100ms' }"),
    ("no_grace", "bulkhead = { limit = 'adaptive', grace = '0s' }"),
    ("gradient2", "bulkhead = { max_concurrent = 200, max_wait = '50ms', limit = 'gradient2' }"),
    ("vegas", "bulkhead = { max_concurrent = 200, max_wait = '50ms', limit = 'vegas' }"),
    ("seawall", "bulkhead = { limit = 'adaptive' }"),
];

/// When a stack has settled, and over what its refusals are compared.
const SETTLED: Duration = Duration::from_secs(10);
const SPAN: Duration = Duration::from_millis(500);
/// Half a second is steady if the share that it refuses is within so many points of the mean.
const STEADY: f64 = 0.05;

struct Run {
    goodput: f64,
    arrived: f64,
    p99_ms: f64,
    /// Requests in the server's queue, and calls under way in the client, at most.
    peak_queue: u32,
    peak_calls: u64,
    /// What the whole run held on the heap at most.
    peak_bytes: u64,
    /// The share of half seconds that refuse as much as the others.
    steady: f64,
    /// The same for a server that answers in each just what it can.
    steady_at_best: f64,
}

/// What the server is.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    says: &'static str,
    varies: bool,
    skips: bool,
}

const USUAL: Kind = Kind { name: "usual", says: "", varies: false, skips: false };
const OTHERS: [Kind; 2] = [
    Kind {
        name: "exponential",
        says: "service times that vary (exponential)",
        varies: true,
        skips: false,
    },
    Kind {
        name: "skips",
        says: "a server that skips requests whose client has given up",
        varies: false,
        skips: true,
    },
];

/// The share of half seconds whose share of answers is within [`STEADY`] of that of all of them; and what it would be if
/// just as many calls were answered in each half second as the server can do, which is as steady as anything can be where calls
/// come by chance.
fn steadiness(clients: &ClientReport, bin: Duration) -> (f64, f64) {
    let bins = |during: Duration| (during.as_nanos() / bin.as_nanos()) as usize;
    let begun = clients.begun.get(bins(SETTLED)..bins(LASTS)).unwrap_or_default();
    let answered = clients.answered.get(bins(SETTLED)..bins(LASTS)).unwrap_or_default();
    let sums = |counts: &[u32]| -> Vec<f64> {
        counts.chunks(bins(SPAN)).map(|span| f64::from(span.iter().sum::<u32>())).collect()
    };
    let (begun, answered) = (sums(begun), sums(answered));
    let able = CAPACITY * SPAN.as_secs_f64();
    let possible: Vec<f64> = begun.iter().map(|begun| begun.min(able)).collect();
    let steady = |answered: &[f64]| {
        let mean = answered.iter().sum::<f64>() / begun.iter().sum::<f64>().max(1.0);
        let shares = begun.iter().zip(answered).map(|(begun, answered)| answered / begun.max(1.0));
        let count = shares.filter(|share| (share - mean).abs() <= STEADY).count();
        count as f64 / begun.len().max(1) as f64
    };
    (steady(&answered), steady(&possible))
}

fn simulate(
    permits: &str,
    kind: Kind,
    (load, attempts): (f64, u32),
    seed: u64,
) -> std::result::Result<Run, Box<dyn Error>> {
    let guards = if permits.contains("100_000") { "breaker = { mode = 'disabled' }\n" } else { "" };
    let budget = if guards.is_empty() { "0.2" } else { "'none'" };
    let text = format!(
        "timeout = '100ms'\ndeadline = '100ms'\n{permits}\n{guards}\
         retry = {{ max_attempts = {attempts}, base_delay = '10ms', budget = {budget} }}"
    );
    let clients = Clients::of("server", policy(&text)?, Load::poisson(load * CAPACITY));
    let work =
        if kind.varies { Distribution::exponential(WORK) } else { Distribution::constant(WORK) };
    let server = Server::new(1, work);
    let server = if kind.skips { server.skips_abandoned() } else { server };
    let scenario = Scenario::new().server("server", server).clients("clients", clients);
    let mut report = None;
    let allocated = allocation_counter::measure(|| report = Some(scenario.run(LASTS, seed)));
    let report = report.ok_or("the scenario was not run")??;
    let (Some(clients), Some(server)) = (report.clients("clients"), report.server("server")) else {
        return Err("a scenario without its clients".into());
    };
    let (steady, steady_at_best) = steadiness(clients, report.bin);
    let per_second = |count: u64| count as f64 / LASTS.as_secs_f64() / CAPACITY;
    Ok(Run {
        goodput: per_second(clients.ended_by(CallEnd::Answered)),
        arrived: per_second(clients.calls),
        p99_ms: clients.latency(0.99).unwrap_or_default().as_secs_f64() * 1e3,
        peak_queue: server.queue.iter().max().copied().unwrap_or_default(),
        peak_calls: clients.most_at_once,
        peak_bytes: allocated.bytes_max,
        steady,
        steady_at_best,
    })
}

/// A table of stacks by loads.
struct Table {
    page: String,
    csv: String,
    goodput: Map<String, Value>,
    details: Map<String, Value>,
    arrived: Map<String, Value>,
    lines: Vec<Series>,
}

fn table(
    kind: Kind,
    attempts: u32,
    seed: u64,
    progress: &mut Progress,
) -> std::result::Result<Table, Box<dyn Error>> {
    let (mut page, mut csv) = (String::new(), String::new());
    let (mut goodput, mut details, mut arrived) = (Map::new(), Map::new(), Map::new());
    let mut lines = Vec::new();
    for (name, permits) in STACKS {
        let (mut row, mut more, mut line) = (Map::new(), Map::new(), Vec::new());
        page += &format!("{name:<12}");
        for load in LOADS {
            let run = simulate(permits, kind, (load, attempts), seed)?;
            page += &format!("  {:>5.2}", run.goodput);
            csv += &format!(
                "{},{name},{},{load},{},{},{},{},{},{},{},{}\n",
                kind.name,
                attempts - 1,
                run.arrived,
                run.goodput,
                run.p99_ms,
                run.peak_queue,
                run.peak_calls,
                run.peak_bytes,
                run.steady,
                run.steady_at_best
            );
            row.insert(load.to_string(), run.goodput.into());
            arrived.insert(load.to_string(), run.arrived.into());
            more.insert(
                load.to_string(),
                json!({ "p99_ms": run.p99_ms, "peak_queue": run.peak_queue, "peak_calls": run.peak_calls,
                    "peak_bytes": run.peak_bytes, "steady": run.steady,
                    "steady_at_best": run.steady_at_best }),
            );
            line.push((load, run.goodput));
            progress.step();
        }
        page += "\n";
        goodput.insert(name.to_owned(), Value::Object(row));
        details.insert(name.to_owned(), Value::Object(more));
        lines.push(Series::new(name, line));
    }
    Ok(Table { page, csv, goodput, details, arrived, lines })
}

fn heads(title: &str) -> String {
    let heads: String = LOADS.iter().map(|load| format!("  {load:>5}")).collect();
    format!("\n{title:<12}{heads}\n")
}

/// What a stack costs at a low load and at the highest.
fn costs(details: &Map<String, Value>) -> String {
    let mut page = format!("\n{:<12}", "at the load");
    for head in
        ["p99 0.8", "p99 3, ms", "calls 0.8", "calls 3", "kB 0.8", "kB 3", "steady 3", "at best"]
    {
        page += &format!("{head:>11}");
    }
    page += "\n";
    for (name, _) in STACKS {
        let number = |load: &str, key: &str| details[name][load][key].as_f64().unwrap_or_default();
        page += &format!("{name:<12}");
        for (key, by) in [("p99_ms", 1.0), ("peak_calls", 1.0), ("peak_bytes", 1024.0)] {
            for load in ["0.8", "3"] {
                page += &format!("{:>11.0}", number(load, key) / by);
            }
        }
        for key in ["steady", "steady_at_best"] {
            page += &format!("{:>11.2}", number("3", key));
        }
        page += "\n";
    }
    page += "\nsteady: of the half seconds, those that answer within 5 points of the mean share; at best: if in each as many calls \
             were answered as the server can do\n";
    page
}

pub(crate) fn run(seed: u64) -> Result {
    let tables = 2 + OTHERS.len();
    let mut progress = Progress::new("overload", tables * STACKS.len() * LOADS.len());
    let mut page = format!(
        "A server that does {CAPACITY}/s, a deadline of 100 ms. Answers in time by the capacity, for calls that come by the \
         capacity:\n"
    );
    let mut csv =
        "server,stack,retries,load,arrived,goodput,p99_ms,peak_queue,peak_calls,peak_bytes,steady,steady_at_best\n".to_owned();
    let once = table(USUAL, 1, seed, &mut progress)?;
    let retried = table(USUAL, 3, seed, &mut progress)?;
    page +=
        &format!("{}{}{}{}", heads("one attempt"), once.page, heads("3 attempts"), retried.page);
    page += &costs(&once.details);
    csv += &format!("{}{}", once.csv, retried.csv);
    let mut others = Map::new();
    for kind in OTHERS {
        let table = table(kind, 1, seed, &mut progress)?;
        page += &format!("\n{}:{}{}", kind.says, heads("one attempt"), table.page);
        csv += &table.csv;
        others.insert(kind.name.to_owned(), Value::Object(table.goodput));
    }
    let svg = chart::lines(&[(
        "answers in time by the capacity, by calls that come by the capacity",
        once.lines,
    )])?;
    let json = json!({ "goodput": once.goodput, "with_retries": retried.goodput, "arrived": retried.arrived,
        "details": once.details, "others": others });
    Ok(Found { page, json, csv, svg })
}
