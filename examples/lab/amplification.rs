//! What retries add to the load of a service that fails.
//!
//! Where each attempt fails with probability p, N retries make (1 − p^(N+1)) / (1 − p) attempts of a call, and 1 − p^(N+1) of
//! the calls succeed. Layers multiply: three of three attempts make 27. A budget bounds what is added, whatever p is.

use std::error::Error;
use std::time::Duration;

use seawall::simulation::{Clients, Distribution, Load, Scenario, Server, Trouble};
use serde_json::{Value, json};

use crate::chart::{self, Series};
use crate::progress::Progress;
use crate::scenarios::{Found, Result};
use crate::stacks::policy;

const FAILING: [f64; 6] = [0.1, 0.3, 0.5, 0.7, 0.9, 1.0];
const RETRIES: [u32; 4] = [0, 1, 2, 3];
/// Calls that each figure is taken from.
const CALLS_PER_SECOND: f64 = 1000.0;
const LASTS: Duration = Duration::from_secs(200);
const LASTS_QUICK: Duration = Duration::from_secs(20);
/// What the budget is built from.
const RATIO: f64 = 0.2;
const FLOOR_PER_SECOND: f64 = 10.0;
const WINDOW_S: f64 = 10.0;

fn retrying(attempts: u32, budget: &str) -> String {
    format!(
        "timeout = '1s'\ndeadline = '10s'\nbreaker = {{ mode = 'disabled' }}\nbulkhead = {{ max_concurrent = 100_000 }}\n\
         retry = {{ max_attempts = {attempts}, base_delay = '1ms', budget = {budget} }}"
    )
}

/// A server that fails this share of its requests and is never short of workers.
fn failing(share: f64) -> Server {
    let whole = Duration::ZERO..Duration::MAX;
    Server::new(10_000, Distribution::constant(Duration::from_millis(1)))
        .trouble(Trouble::Fails(share), whole)
}

/// Attempts for each call, and the share of calls that succeed.
fn measure(
    share: f64,
    retries: u32,
    budget: &str,
    (lasts, seed): (Duration, u64),
) -> std::result::Result<(f64, f64), Box<dyn Error>> {
    let clients =
        Clients::of("it", policy(&retrying(retries + 1, budget))?, Load::even(CALLS_PER_SECOND));
    let report =
        Scenario::new().server("it", failing(share)).clients("web", clients).run(lasts, seed)?;
    let (Some(web), Some(it)) = (report.clients("web"), report.server("it")) else {
        return Err("a scenario without its clients".into());
    };
    Ok((it.requests as f64 / web.calls as f64, web.answered_share(Duration::ZERO..lasts)))
}

/// Requests that the last of three servers gets for one call of the first, with three attempts at each.
fn layers(budget: &str, load: Load, seed: u64) -> std::result::Result<f64, Box<dyn Error>> {
    let three = || policy(&retrying(3, budget));
    let plain = || Server::new(10_000, Distribution::constant(Duration::from_millis(1)));
    let report = Scenario::new()
        .server("c", failing(1.0))
        .server("b", plain().calls("c", three()?))
        .server("a", plain().calls("b", three()?))
        .clients("web", Clients::of("a", three()?, load))
        .run(Duration::from_secs(60), seed)?;
    let (Some(web), Some(c)) = (report.clients("web"), report.server("c")) else {
        return Err("a scenario without its clients".into());
    };
    Ok(c.requests as f64 / web.calls as f64)
}

/// The most that retries were above the budget at any instant: ratio × calls + floor, over its window. Never above 0.
fn over_budget(seed: u64) -> std::result::Result<f64, Box<dyn Error>> {
    // Without a delay a retry is made in the moment in which the budget allows it.
    let at_once = retrying(4, "0.2").replace("'1ms'", "'0s'");
    let clients = Clients::of("it", policy(&at_once)?, Load::poisson(200.0));
    let bin = Duration::from_secs(1);
    let report = Scenario::new()
        .server("it", failing(1.0))
        .clients("web", clients)
        .bin(bin)
        .run(Duration::from_secs(120), seed)?;
    let (Some(web), Some(it)) = (report.clients("web"), report.server("it")) else {
        return Err("a scenario without its clients".into());
    };
    let mut worst = f64::NEG_INFINITY;
    // Every window of ten whole seconds: these are the budget's own slices.
    let ends = WINDOW_S as usize..web.begun.len().min(it.arrivals.len());
    for end in ends {
        let from = end - WINDOW_S as usize;
        let sum = |line: &[u32]| line.iter().map(|&count| f64::from(count)).sum::<f64>();
        let retries = sum(&it.arrivals[from..end]) - sum(&web.begun[from..end]);
        let calls = sum(&web.begun[from..end]);
        worst = worst.max(retries - (RATIO * calls + FLOOR_PER_SECOND * WINDOW_S));
    }
    Ok(worst)
}

/// The retries of clients that have tokens to pay them with, where no good answer gives one back; and how many clients.
fn with_tokens(seed: u64) -> std::result::Result<(u64, u32), Box<dyn Error>> {
    const INSTANCES: u32 = 5;
    let tokens = policy(&retrying(4, "{ mode = 'tokens' }"))?;
    let clients = Clients::of("it", tokens, Load::poisson(100.0)).instances(INSTANCES);
    let scenario = Scenario::new().server("it", failing(1.0)).clients("web", clients);
    let report = scenario.run(Duration::from_secs(10), seed)?;
    let web = report.clients("web").ok_or("a scenario without its clients")?;
    Ok((web.retries, INSTANCES))
}

/// The attempts for each call, of at most so many, each of which fails with probability `p`; `power` is p to their number.
fn formula(p: f64, attempts: u32, power: f64) -> f64 {
    if p < 1.0 { (1.0 - power) / (1.0 - p) } else { f64::from(attempts) }
}

pub(crate) fn run(seed: u64, quick: bool) -> Result {
    let lasts = if quick { LASTS_QUICK } else { LASTS };
    let mut progress =
        Progress::new("amplification", FAILING.len() * RETRIES.len() + FAILING.len());
    let mut page = format!(
        "Each attempt fails with probability p. Attempts for each call, and the share of calls that succeed, of {} calls:\n\n\
         {:>4} {:>8}  {:>8} {:>8}  {:>8} {:>8}\n",
        CALLS_PER_SECOND * lasts.as_secs_f64(),
        "p",
        "retries",
        "attempts",
        "formula",
        "success",
        "formula"
    );
    let mut csv = "p,retries,attempts,attempts_formula,success,success_formula\n".to_owned();
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    let mut worst = 0.0_f64;
    for retries in RETRIES {
        let mut line = Vec::new();
        for p in FAILING {
            let (attempts, success) = measure(p, retries, "'none'", (lasts, seed))?;
            let power = p.powi(i32::try_from(retries + 1)?);
            let attempts_formula = formula(p, retries + 1, power);
            worst = worst
                .max((attempts / attempts_formula - 1.0).abs())
                .max((success - (1.0 - power)).abs());
            page += &format!(
                "{p:>4} {retries:>8}  {attempts:>8.3} {attempts_formula:>8.3}  {success:>8.3} {:>8.3}\n",
                1.0 - power
            );
            csv +=
                &format!("{p},{retries},{attempts},{attempts_formula},{success},{}\n", 1.0 - power);
            rows.push(json!({ "p": p, "retries": retries, "attempts": attempts, "attempts_formula": attempts_formula,
                "success": success, "success_formula": 1.0 - power }));
            line.push((p, attempts));
            progress.step();
        }
        lines.push(Series::new(&format!("{retries} retries"), line));
    }
    let mut budgeted = Vec::new();
    for p in FAILING {
        budgeted.push((p, measure(p, 3, "0.2", (lasts, seed))?.0));
        progress.step();
    }
    let most = budgeted.iter().map(|(_, attempts)| *attempts).fold(0.0, f64::max);
    lines.push(Series::new("3 retries, budget 20 %", budgeted));
    let alone = layers("'none'", Load::at_once(1), seed)?;
    let naive = layers("'none'", Load::even(100.0), seed)?;
    let guarded = layers("0.2", Load::even(100.0), seed)?;
    let over = over_budget(seed)?;
    let (tokens, clients) = with_tokens(seed)?;
    page += &format!(
        "\nworst difference to the formulas: {:.2} %\n\
         three layers of three attempts: {alone:.0} requests for one call; {naive:.0} each at 100 calls/s; with a budget at each \
         layer {guarded:.2}\n\
         3 retries under the budget of 20 % and 10/s: at most {most:.2} attempts for each call\n\
         retries above the budget, in the worst window of 10 s: {}\n\
         {clients} clients with 500 tokens, where all fails: {tokens} retries, 100 for each\n",
        worst * 100.0,
        over.max(0.0)
    );
    let json: Value = json!({
        "amplification": rows, "worst_difference": worst, "layers": { "one_call": alone, "naive": naive, "budget": guarded },
        "most_with_budget": most, "retries_over_budget": over.max(0.0), "retries_by_tokens": tokens, "clients_with_tokens": clients,
    });
    let svg =
        chart::lines(&[("attempts for each call, by the share of attempts that fail", lines)])?;
    Ok(Found { page, json, csv, svg })
}
