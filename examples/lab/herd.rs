//! A thousand clients of a database that was away for 10 s.
//!
//! While it is away it refuses at once. It comes back cold: at a tenth of its speed, and at all of it after 10 s more.

use std::error::Error;
use std::time::Duration;

use seawall::simulation::{Clients, Distribution, Load, Report, Scenario, Server, Trouble};
use serde_json::json;

use crate::chart::{self, Series};
use crate::progress::Progress;
use crate::scenarios::{Found, Result};
use crate::stacks::policy;

const CLIENTS: u32 = 1000;
/// Of one client.
const CALLS_PER_SECOND: f64 = 1.0;
const WORKERS: u32 = 20;
const WORK: Duration = Duration::from_millis(10);
const FALL: Duration = Duration::from_secs(20);
const BACK: Duration = Duration::from_secs(30);
const WARM: Duration = Duration::from_secs(40);
const LASTS: Duration = Duration::from_secs(120);
const SECOND: Duration = Duration::from_secs(1);

const BARE: &str = "timeout = '2s'\ndeadline = '30s'\nbreaker = { mode = 'disabled' }\n\
    bulkhead = { max_concurrent = 1000 }\n";

/// Each by its name, with what stands in its policy file.
const STACKS: [(&str, &str); 3] = [
    (
        "naive",
        "retry = { max_attempts = 10, base_delay = '1s', backoff = 'constant', jitter = 'none', budget = 'none' }",
    ),
    (
        "jitter",
        "retry = { max_attempts = 10, base_delay = '1s', max_delay = '10s', jitter = 'full', budget = 'none' }",
    ),
    (
        "seawall",
        "timeout = '2s'\ndeadline = '30s'\n\
         retry = { max_attempts = 10, base_delay = '1s', max_delay = '10s', budget = { ratio = 0.2, min_per_second = 0.1 } }\n\
         breaker = { half_open = 'one_probe', open_jitter = 0.3, ramp_for = '10s' }",
    ),
];

fn server() -> Server {
    let speeds = [(30, 32, 0.1), (32, 34, 0.25), (34, 37, 0.5), (37, 40, 0.75)];
    let server =
        Server::new(WORKERS, Distribution::exponential(WORK)).trouble(Trouble::Down, FALL..BACK);
    speeds.into_iter().fold(server, |server, (from, until, speed)| {
        server.trouble(Trouble::Speed(speed), Duration::from_secs(from)..Duration::from_secs(until))
    })
}

fn simulate(text: &str, seed: u64) -> std::result::Result<Report, Box<dyn Error>> {
    let load = Load::poisson(CALLS_PER_SECOND);
    let clients = Clients::of("database", policy(text)?, load).instances(CLIENTS);
    Ok(Scenario::new().server("database", server()).clients("apps", clients).run(LASTS, seed)?)
}

pub(crate) fn run(seed: u64) -> Result {
    let mut progress = Progress::new("herd", STACKS.len());
    let mut page = format!(
        "{CLIENTS} clients of {CALLS_PER_SECOND} call/s each; the database does {:.0}/s, is away from 20 s to 30 s and cold until 40 s.\n\n\
         {:<8}  {:>14}  {:>17}  {:>14}  {:>14}  {:>13}  {:>9}\n",
        f64::from(WORKERS) / WORK.as_secs_f64(),
        "stack",
        "requests, away",
        "peak/s, back",
        "queue, longest",
        "answered, cold",
        "well again, s",
        "retries"
    );
    let mut csv = String::new();
    let mut result = serde_json::Map::new();
    let (mut load_lines, mut good_lines) = (Vec::new(), Vec::new());
    for (name, text) in STACKS {
        let text = if name == "seawall" { text.to_owned() } else { format!("{BARE}{text}") };
        let report = simulate(&text, seed)?;
        let (Some(apps), Some(database)) = (report.clients("apps"), report.server("database"))
        else {
            return Err("a scenario without its clients".into());
        };
        let away = database.requests_within(FALL..BACK);
        let peak = database.peak_per_second(BACK..WARM);
        let queue = database.queue.iter().max().copied().unwrap_or_default();
        let cold = apps.answered_share(BACK..WARM);
        let recovery = apps.recovery(BACK, SECOND, 0.9).map(|it| it.as_secs_f64());
        let shown = recovery.map_or("never".to_owned(), |it| format!("{it:.1}"));
        page += &format!(
            "{name:<8}  {away:>14}  {peak:>17.0}  {queue:>14}  {:>12.1} %  {shown:>13}  {:>9}\n",
            cold * 100.0,
            apps.retries
        );
        result.insert(name.to_owned(), json!({
            "requests_while_away": away, "peak_per_second": peak, "longest_queue": queue, "answered_while_cold": cold,
            "recovery_s": recovery, "retries": apps.retries,
        }));
        if csv.is_empty() {
            csv = "stack,".to_owned() + report.to_csv().lines().next().unwrap_or_default() + "\n";
        }
        csv.extend(report.to_csv().lines().skip(1).map(|line| format!("{name},{line}\n")));
        load_lines.push(Series::per_second(name, &database.arrivals, report.bin));
        good_lines.push(Series::per_second(name, &apps.answered, report.bin));
        progress.step();
    }
    let svg = chart::lines(&[
        ("requests a second at the database", load_lines),
        ("calls a second that were answered, by when they began", good_lines),
    ])?;
    Ok(Found { page, json: json!({ "herd": result }), csv, svg })
}
