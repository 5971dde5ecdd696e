//! Breaker, budget, throttle and a threshold that follows the hour, all together, under a load that goes up and down and takes
//! one step. Each is stable alone; a whole of stable parts need not be. What is looked for is a swing that grows: in steady
//! state, the spread of goodput must not be larger in the second half than in the first.

use std::time::Duration;

use seawall::event::State;
use seawall::simulation::{Clients, Distribution, Load, Report, Scenario, Server};
use serde_json::json;

use crate::chart::{self, Series};
use crate::progress::Progress;
use crate::scenarios::{Found, Result};
use crate::stacks::policy;

const CAPACITY: f64 = 200.0;
const PERIOD: Duration = Duration::from_secs(120);
const STEP_AT: Duration = Duration::from_secs(600);
const LASTS: Duration = Duration::from_secs(1800);
const BIN: Duration = Duration::from_secs(1);

/// All of it at once. Permits are so many that it is timeouts that end an overload. The throttle is that of the budget.
const WHOLE: &str = "timeout = '300ms'\nbulkhead = { max_concurrent = 50, max_wait = '100ms' }\n\
    retry = { max_attempts = 3, base_delay = '100ms', budget = { mode = 'accept_ratio' } }\n\
    breaker = { failure_rate = 0.5, window = '10s', min_calls = 20, adaptive = true }";
const WITH_SHARE: &str = "timeout = '300ms'\nbulkhead = { max_concurrent = 50, max_wait = '100ms' }\n\
    retry = { max_attempts = 3, base_delay = '100ms' }\n\
    breaker = { failure_rate = 0.5, window = '10s', min_calls = 20, adaptive = true }";

/// The same, with permits that are found.
const WITH_LIMIT: &str = "timeout = '300ms'\nbulkhead = { max_concurrent = 50, max_wait = '100ms', limit = 'adaptive' }\n\
    retry = { max_attempts = 3, base_delay = '100ms' }\n\
    breaker = { failure_rate = 0.5, window = '10s', min_calls = 20, adaptive = true }";

fn simulate(text: &str, seed: u64) -> std::result::Result<Report, Box<dyn std::error::Error>> {
    // 0.5 to 1.1 of the capacity; from the step on 0.65 to 1.45.
    let load = Load::poisson(0.8 * CAPACITY).wave(PERIOD, 0.375).times(1.3, STEP_AT..LASTS);
    let work = Distribution::exponential(Duration::from_secs_f64(4.0 / CAPACITY));
    let clients = Clients::of("server", policy(text)?, load);
    let scenario =
        Scenario::new().server("server", Server::new(4, work)).clients("clients", clients);
    Ok(scenario.bin(BIN).run(LASTS, seed)?)
}

/// The share of calls with a good answer, over each of these periods of the wave: the mean, and from the lowest second to the
/// highest.
fn swings(report: &Report, from: Duration, until: Duration) -> Vec<f64> {
    let Some(clients) = report.clients("clients") else { return Vec::new() };
    let mut swings = Vec::new();
    let mut start = from;
    while start + PERIOD <= until {
        let seconds = (0..PERIOD.as_secs()).step_by(5).map(|second| {
            let at = start + Duration::from_secs(second);
            clients.answered_share(at..at + 5 * BIN)
        });
        let (low, high) = seconds
            .fold((1.0_f64, 0.0_f64), |(low, high), share| (low.min(share), high.max(share)));
        swings.push(high - low);
        start += PERIOD;
    }
    swings
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

pub(crate) fn run(seed: u64) -> Result {
    let stacks = [("share", WITH_SHARE), ("accept_ratio", WHOLE), ("found_permits", WITH_LIMIT)];
    let mut progress = Progress::new("stability", stacks.len());
    let mut page = format!(
        "A load of 0.5 to 1.1 of the capacity in waves of {} s, and 1.3 times that from {} s on. The swing of goodput in a wave, \
         and its growth:\n\n{:<14}  {:>8}  {:>14}  {:>14}  {:>8}  {:>9}\n",
        PERIOD.as_secs(),
        STEP_AT.as_secs(),
        "stack",
        "answered",
        "first waves",
        "last waves",
        "growth",
        "openings"
    );
    let mut csv = "stack,at_s,begun,answered\n".to_owned();
    let (mut result, mut lines) = (serde_json::Map::new(), Vec::new());
    for (name, text) in stacks {
        let report = simulate(text, seed)?;
        let Some(clients) = report.clients("clients") else {
            return Err("a scenario without its clients".into());
        };
        // After the step, so that all waves are alike.
        let swings = swings(&report, STEP_AT + PERIOD, LASTS);
        let (first, last) = swings.split_at(swings.len() / 2);
        let growth = mean(last) / mean(first).max(1e-9);
        let answered = clients.answered_share(Duration::ZERO..LASTS);
        let openings = clients.moves.iter().filter(|(_, to)| *to == State::Open).count();
        page += &format!(
            "{name:<14}  {answered:>8.3}  {:>14.3}  {:>14.3}  {growth:>8.2}  {openings:>9}\n",
            mean(first),
            mean(last)
        );
        result.insert(name.to_owned(), json!({
            "answered": answered, "swing_first": mean(first), "swing_last": mean(last), "growth": growth, "openings": openings,
        }));
        for (at, (begun, answered)) in clients.begun.iter().zip(&clients.answered).enumerate() {
            csv += &format!("{name},{at},{begun},{answered}\n");
        }
        let smooth: Vec<(f64, f64)> = clients
            .begun
            .chunks(5)
            .zip(clients.answered.chunks(5))
            .enumerate()
            .map(|(at, (_, answered))| {
                (at as f64 * 5.0, answered.iter().map(|&it| f64::from(it)).sum::<f64>() / 5.0)
            })
            .collect();
        lines.push(Series::new(name, smooth));
        progress.step();
    }
    let svg = chart::lines(&[("calls a second that were answered, by when they began", lines)])?;
    Ok(Found { page, json: json!({ "stability": result }), csv, svg })
}
