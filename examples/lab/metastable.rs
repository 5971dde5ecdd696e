//! Overload that outlives its cause.
//!
//! A server does 300 requests a second, and 280 come. Clients wait for 1 s and try once more. The server stands still for a
//! while, and goes on. What it finds then are requests whose clients have given up, and more of them with each retry. It does
//! their work all the same, and while it does, the next ones give up. (N. Bronson, A. Aghayev, A. Charapko, T. Zhu, "Metastable
//! Failures in Distributed Systems", HotOS 2021.)

use std::error::Error;
use std::time::Duration;

use seawall::simulation::{Clients, Load, Report, Scenario, Server, Trouble};
use serde_json::{Map, Value, json};

use crate::chart::{self, Series};
use crate::progress::Progress;
use crate::scenarios::{Found, Result};
use crate::stacks::{policy, seawall, unguarded};
use crate::study;

const CAPACITY: f64 = 300.0;
const OFFERED: f64 = 280.0;
const BEGINS: Duration = Duration::from_secs(30);
const FREEZES: [u64; 2] = [2, 10];
const LASTS: Duration = Duration::from_secs(300);
const SECOND: Duration = Duration::from_secs(1);
/// Freezes of other lengths, from 2 s on in steps of half a second.
const SWEEP: usize = 27;
/// What is called well: this share of the calls has a good answer.
const WELL: f64 = 0.9;

/// What is between clients and server, and how the server queues.
struct Stack {
    name: &'static str,
    policy: String,
    server: fn(Server) -> Server,
}

fn stacks() -> Vec<Stack> {
    let plain: fn(Server) -> Server = |server| server;
    let stack = |name, policy, server| Stack { name, policy, server };
    vec![
        stack("naive", unguarded("1s", 2, "'none'"), plain),
        // Good answers pay for retries, so there are none while nothing is answered.
        stack("budget", unguarded("1s", 2, "{ mode = 'tokens' }"), plain),
        // At 0.93 of the capacity, 20 % more is more than there is.
        stack("budget_share", unguarded("1s", 2, "0.2"), plain),
        stack(
            "budget_and_skip",
            unguarded("1s", 2, "{ mode = 'tokens' }"),
            Server::skips_abandoned,
        ),
        stack("throttle", unguarded("1s", 2, "{ mode = 'accept_ratio' }"), plain),
        // Requests wait longer in it than their clients do.
        stack("queue_of_600", unguarded("1s", 2, "'none'"), |server| server.queue(600)),
        stack("queue_of_150", unguarded("1s", 2, "'none'"), |server| server.queue(150)),
        stack("resilience4j", resilience4j(), plain),
        stack("polly", polly(), plain),
        stack("seawall", seawall("1s", 2), plain),
    ]
}

/// The defaults of Resilience4j 2: half of 100 calls, open for 60 s, ten probes; 25 calls at once.
fn resilience4j() -> String {
    "timeout = '1s'\ndeadline = '60s'\nbulkhead = { max_concurrent = 25, max_wait = '1ms' }\n\
     breaker = { failures = false, unanswered = false, failure_rate = 0.5, min_calls = 100, window = 100, first_open_for = '60s', \
     open_for = '60s', half_open_calls = 10, success_threshold = 5 }\n\
     retry = { max_attempts = 2, base_delay = '500ms', backoff = 'constant', jitter = 'none', budget = 'none' }"
        .to_owned()
}

/// The defaults of Polly 8: a tenth of at least 100 calls in 30 s, open for 5 s, one probe; 1,000 calls at once.
fn polly() -> String {
    "timeout = '1s'\ndeadline = '60s'\nbulkhead = { max_concurrent = 1000, max_wait = '1ms' }\n\
     breaker = { failures = false, unanswered = false, failure_rate = 0.1, min_calls = 100, window = '30s', first_open_for = '5s', \
     open_for = '5s', half_open_calls = 1, success_threshold = 1 }\n\
     retry = { max_attempts = 2, base_delay = '2s', backoff = 'constant', jitter = 'none', budget = 'none' }"
        .to_owned()
}

/// What befalls the server, or the load.
enum Cause {
    Freeze(Duration),
    /// At 0.8 of the capacity, three times as much for 2 s.
    Spike,
}

impl Cause {
    fn ends(&self) -> Duration {
        match self {
            Self::Freeze(length) => BEGINS + *length,
            Self::Spike => BEGINS + 2 * SECOND,
        }
    }
}

fn simulate(
    stack: &Stack,
    cause: &Cause,
    seed: u64,
) -> std::result::Result<Report, Box<dyn Error>> {
    let server = (stack.server)(Server::with_capacity(CAPACITY));
    let during = BEGINS..cause.ends();
    let (server, load) = match cause {
        Cause::Freeze(_) => (server.trouble(Trouble::Freezes, during), Load::poisson(OFFERED)),
        Cause::Spike => (server, Load::poisson(0.8 * CAPACITY).times(3.0, during)),
    };
    let clients = Clients::of("server", policy(&stack.policy)?, load);
    Ok(Scenario::new().server("server", server).clients("clients", clients).run(LASTS, seed)?)
}

fn recovery(report: &Report, cause: &Cause) -> Option<f64> {
    let clients = report.clients("clients")?;
    clients.recovery(cause.ends(), SECOND, WELL).map(|it| it.as_secs_f64())
}

fn shown(recovery: Option<f64>) -> String {
    recovery.map_or("never".to_owned(), |seconds| format!("{seconds:.1}"))
}

pub(crate) fn run(seed: u64) -> Result {
    let stacks = stacks();
    let mut progress = Progress::new("metastable", stacks.len() * 3 + SWEEP + study::STEPS);
    let mut page = format!(
        "A server that does {CAPACITY}/s, {OFFERED} calls/s, a timeout of 1 s, one retry. Seconds until {:.0} % of the calls are \
         answered again,\nafter freezes of 2 and 10 s; and at 240 calls/s after 2 s of three times as many:\n\n\
         {:<16}  {:>6}  {:>6}  {:>6}\n",
        WELL * 100.0,
        "stack",
        "2 s",
        "10 s",
        "spike"
    );
    let (mut freezes, mut spikes) = (Map::new(), Map::new());
    let mut csv = "stack,cause,recovery_s\n".to_owned();
    let mut frozen = Vec::new();
    for stack in &stacks {
        let mut found = Map::new();
        let mut cells = Vec::new();
        for length in FREEZES {
            let cause = Cause::Freeze(Duration::from_secs(length));
            let report = simulate(stack, &cause, seed)?;
            let recovery = recovery(&report, &cause);
            csv += &format!(
                "{},freeze_{length}s,{}\n",
                stack.name,
                recovery.map_or(String::new(), |it| it.to_string())
            );
            found.insert(length.to_string(), recovery.into());
            cells.push(shown(recovery));
            if let Some(clients) = report.clients("clients").filter(|_| length == 10) {
                frozen.push(Series::answered(stack.name, clients, LASTS));
            }
            progress.step();
        }
        let report = simulate(stack, &Cause::Spike, seed)?;
        let recovery = recovery(&report, &Cause::Spike);
        csv += &format!(
            "{},spike,{}\n",
            stack.name,
            recovery.map_or(String::new(), |it| it.to_string())
        );
        cells.push(shown(recovery));
        progress.step();
        freezes.insert(stack.name.to_owned(), Value::Object(found));
        spikes.insert(stack.name.to_owned(), recovery.into());
        page += &format!("{:<16}  {:>6}  {:>6}  {:>6}\n", stack.name, cells[0], cells[1], cells[2]);
    }
    let (median, worst) = sweep(&mut progress, seed)?;
    page += &format!(
        "\nseawall, freezes of 2 s to 15 s in steps of half a second: median {median:.1} s, worst {worst:.1} s. A breaker that has \
         opened\nlooks again after 1, 2, 4 … s, so a long freeze is noticed to be over by as much later.\n"
    );
    page += &warned()?;
    let (study_page, study) = study::run(seed, &mut progress)?;
    page += &study_page;
    let title = "the server stands still from 30 s to 40 s: the share of calls that are answered, by when they began";
    let svg = chart::strips(title, (20.0, 170.0), &frozen)?;
    let json = json!({
        "recovery_s": freezes, "spike_recovery_s": spikes, "study": study,
        "seawall_sweep_s": { "median": median, "worst": worst },
    });
    Ok(Found { page, json, csv, svg })
}

/// The median and the worst recovery of Seawall, in seconds, over freezes of many lengths.
fn sweep(progress: &mut Progress, seed: u64) -> std::result::Result<(f64, f64), Box<dyn Error>> {
    let stack = Stack { name: "seawall", policy: seawall("1s", 2), server: |server| server };
    let mut recoveries = Vec::new();
    for half in 4..4 + SWEEP {
        let cause = Cause::Freeze(Duration::from_millis(500 * half as u64));
        let recovery = recovery(&simulate(&stack, &cause, seed)?, &cause);
        recoveries.push(recovery.unwrap_or(f64::INFINITY));
        progress.step();
    }
    recoveries.sort_by(f64::total_cmp);
    Ok((recoveries[recoveries.len() / 2], recoveries[recoveries.len() - 1]))
}

/// What Seawall says of a policy whose calls wait in a line that cannot be served in time.
fn warned() -> std::result::Result<String, Box<dyn Error>> {
    let long = policy(
        "timeout = '1s'\ndeadline = '2s'\nbulkhead = { max_concurrent = 2 }\nmailbox = { capacity = 5000 }",
    )?;
    let warnings: Vec<String> = long.warnings().iter().map(|it| format!("  {it}\n")).collect();
    Ok(format!(
        "\nOf a policy with a longer line than can be served, `start` says:\n{}",
        warnings.concat()
    ))
}
