//! More calls than a dependency that never fails can serve.
//!
//! The best that can be done is to answer as many as it can serve, and to refuse the rest in time. A client that lets
//! calls wait until they have no time left to be answered answers none.

use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::virtual_time::{Load, send};

/// One overload: a policy, a service and the loads that it gets.
struct Overload {
    name: &'static str,
    policy: &'static str,
    answers_after_ms: u64,
    per_second: &'static [u32],
    /// How often the time that was asked for it lasts.
    times: u32,
}

/// With no policy there are 25 permits.
const PERMITS: f64 = 25.0;

const BUILT_IN: &str = "built-in";

const OVERLOADS: &[Overload] = &[
    Overload {
        name: BUILT_IN,
        policy: "",
        answers_after_ms: 500,
        per_second: &[52, 60, 100, 200],
        times: 1,
    },
    Overload {
        name: BUILT_IN,
        policy: "",
        answers_after_ms: 2_000,
        per_second: &[13, 15, 20, 50],
        times: 2,
    },
    Overload {
        name: "deadline = \"2s\", timeout = \"800ms\"",
        policy: "service = { deadline = \"2s\", timeout = \"800ms\" }",
        answers_after_ms: 500,
        per_second: &[100],
        times: 1,
    },
    Overload {
        name: "leaky bucket of 50/s, max_wait = \"30s\"",
        policy: "service.rate_limit = { leaky_bucket = { capacity = 1500, leak_per_second = 50 }, max_wait = \"30s\" }",
        answers_after_ms: 500,
        per_second: &[60],
        times: 1,
    },
    Overload {
        name: "failure_rate = 0.5",
        policy: "service.breaker = { failure_rate = 0.5 }",
        answers_after_ms: 2_000,
        per_second: &[20],
        times: 2,
    },
];

/// One line of the table.
struct Line {
    overload: &'static Overload,
    per_second: u32,
    answered: f64,
    possible: f64,
    openings: u64,
}

pub(crate) fn run(minutes: u32, as_json: bool) -> Result<String, Box<dyn Error>> {
    let mut lines = Vec::new();
    for overload in OVERLOADS {
        for &per_second in overload.per_second {
            let lasts = Duration::from_secs(60) * minutes * overload.times;
            if !as_json {
                let (name, ms) = (overload.name, overload.answers_after_ms);
                eprintln!("{name}: {per_second} calls a second to a service of {ms} ms");
            }
            let answers_after = Duration::from_millis(overload.answers_after_ms);
            let outcome = {
                let load = Load { per_second, lasts, impatient: 0.0 };
                send(overload.policy, load, answers_after, None)?
            };
            let capacity = PERMITS / answers_after.as_secs_f64();
            lines.push(Line {
                overload,
                per_second,
                answered: outcome.answered(),
                possible: (capacity / f64::from(per_second)).min(1.0),
                openings: outcome.openings(),
            });
        }
    }
    Ok(if as_json { json(&lines) } else { table(&lines) })
}

/// By service and rate; other policies than none under their names.
fn json(lines: &[Line]) -> String {
    let mut result = Map::new();
    for line in lines {
        let figures = [
            ("answered", json!((line.answered * 1e4).round() / 1e4)),
            ("openings", json!(line.openings)),
            ("possible", json!((line.possible * 1e4).round() / 1e4)),
        ];
        for (figure, value) in figures {
            let place = if line.overload.name == BUILT_IN {
                &mut result
            } else {
                object(object(&mut result, "by_policy"), line.overload.name)
            };
            let services = object(place, figure);
            object(services, &line.overload.answers_after_ms.to_string())
                .insert(line.per_second.to_string(), value);
        }
    }
    format!("{}\n", Value::Object(result))
}

/// The object of this name, made if it is not there.
fn object<'a>(within: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let value = within.entry(name).or_insert_with(|| Value::Object(Map::new()));
    value.as_object_mut().unwrap_or_else(|| unreachable!("only objects are inserted for names"))
}

fn table(lines: &[Line]) -> String {
    let mut page = String::from(
        "\nA dependency that never fails gets more calls than it can serve.\n\n\
         policy                                    service   calls/s  answered  possible  openings\n",
    );
    for line in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "{:<40} {:>6} ms {:>9} {:>8.1}% {:>8.1}% {:>9}",
            line.overload.name,
            line.overload.answers_after_ms,
            line.per_second,
            100.0 * line.answered,
            100.0 * line.possible,
            line.openings,
        );
    }
    page
}
