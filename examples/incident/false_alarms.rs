//! Errors by chance: how often each criterion opens a breaker.
//!
//! The dependency is not ill. It fails some share of its calls, each by itself, and is still wanted.

use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

use seawall::Outcome;
use seawall::breaker::{CircuitBreaker, Config};
use seawall::clock::Moment;
use seawall::event::State;
use serde_json::{Map, Value, json};

use crate::virtual_time::Chance;

const PER_SECOND: u64 = 20;
const CALLS_A_DAY: u64 = PER_SECOND * 24 * 3600;
const SHARES: [f64; 4] = [0.01, 0.05, 0.1, 0.2];

/// What opens the breaker, in the words of a policy file.
const CRITERIA: [&str; 5] = [
    "no policy",
    "failures = 5",
    "failures = 10",
    "failures = false, failure_rate = 0.5",
    "failures = false, failure_rate = 0.3",
];

fn config(criterion: &str) -> Result<Config, Box<dyn Error>> {
    let builder = Config::builder();
    let config = match criterion {
        "no policy" => builder,
        "failures = 5" => builder.failures(5),
        "failures = 10" => builder.failures(10),
        "failures = false, failure_rate = 0.5" => builder.without_failures().failure_rate(0.5),
        _ => builder.without_failures().failure_rate(0.3),
    };
    Ok(config.build()?)
}

/// What came of one criterion.
struct Line {
    criterion: &'static str,
    /// Openings a day, for each share of errors.
    openings: [u64; SHARES.len()],
    /// How many calls of a dependency that was healthy and then fails all of them are let through.
    lets_through: u64,
    /// The same, had it failed one call in five before.
    lets_through_after_errors: u64,
}

pub(crate) fn run(as_json: bool) -> Result<String, Box<dyn Error>> {
    let mut lines = Vec::new();
    for criterion in CRITERIA {
        if !as_json {
            eprintln!("{criterion}: a day for each share of errors");
        }
        let config = config(criterion)?;
        let mut openings = [0; SHARES.len()];
        for (openings, share) in openings.iter_mut().zip(SHARES) {
            let mut day = Day::new(&config);
            *openings = (0..CALLS_A_DAY).map(|_| u64::from(day.call(share))).sum();
        }
        lines.push(Line {
            criterion,
            openings,
            lets_through: calls_to_open(&config, 0.0),
            lets_through_after_errors: calls_to_open(&config, 0.2),
        });
    }
    Ok(if as_json { json(&lines) } else { table(&lines) })
}

/// How many calls fail, once all do, before the breaker opens.
fn calls_to_open(config: &Config, share_before: f64) -> u64 {
    let mut day = Day::new(config);
    // Ten minutes of before.
    for _ in 0..PER_SECOND * 600 {
        day.call(share_before);
    }
    let mut calls = 1;
    while !day.call(1.0) && calls < CALLS_A_DAY {
        calls += 1;
    }
    calls
}

/// A breaker, and calls that come evenly.
struct Day {
    breaker: CircuitBreaker,
    chance: Chance,
    now: Moment,
}

impl Day {
    fn new(config: &Config) -> Self {
        let now = Moment::ZERO;
        Self { breaker: CircuitBreaker::new(config.clone(), now), chance: Chance(7), now }
    }

    /// The next call, which fails with this chance. Whether it opened the breaker.
    fn call(&mut self, share: f64) -> bool {
        self.now = self.now + Duration::from_nanos(1_000_000_000 / PER_SECOND);
        let Ok(admission) = self.breaker.admit(self.now).0 else { return false };
        let outcome = if self.chance.unit() < share { Outcome::Failure } else { Outcome::Success };
        let moved = self.breaker.record(admission, outcome, self.now);
        moved.is_some_and(|moved| moved.from == State::Closed)
    }
}

fn json(lines: &[Line]) -> String {
    let mut result = Map::new();
    for line in lines {
        let openings = SHARES.iter().zip(line.openings);
        let openings: Map<String, Value> =
            openings.map(|(share, openings)| (share.to_string(), json!(openings))).collect();
        let calls = [line.lets_through, line.lets_through_after_errors];
        let seconds = calls.map(|calls| calls as f64 / PER_SECOND as f64);
        let value = json!({
            "openings_a_day": openings,
            "opens_after_s": { "of_health": seconds[0], "of_errors": seconds[1] },
        });
        result.insert(line.criterion.to_owned(), value);
    }
    format!("{}\n", Value::Object(result))
}

fn table(lines: &[Line]) -> String {
    let mut page = format!(
        "\nEach call fails by itself with the same chance, {PER_SECOND} calls a second. Openings a day:\n\n\
         | criterion | 1 % | 5 % | 10 % | 20 % | all fail, healthy before | all fail, 20 % before |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    for line in lines {
        let [a, b, c, d] = line.openings;
        let calls = [line.lets_through, line.lets_through_after_errors];
        let [healthy, errors] = calls.map(|calls| calls as f64 / PER_SECOND as f64);
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {a} | {b} | {c} | {d} | {healthy:.2} s | {errors:.2} s |",
            line.criterion
        );
    }
    page
}
