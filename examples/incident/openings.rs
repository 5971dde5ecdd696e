//! Bursts in which everything fails.
//!
//! A breaker that opens spares the dependency the calls that it refuses while it is ill. What it refuses afterwards, while
//! the dependency is well again, is what the opening costs.

use std::error::Error;
use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::outage::README;
use crate::virtual_time::{Bursts, Load, send};

const POLICIES: &[(&str, &str)] = &[("built-in", ""), ("README's", README)];
const BURSTS_S: [u64; 4] = [1, 5, 15, 30];
/// One burst every ten minutes, so often.
const EVERY: Duration = Duration::from_secs(600);
const TIMES: u32 = 6;
const PER_SECOND: u32 = 20;

/// What one policy refuses, for each burst.
struct Line {
    policy: &'static str,
    burst_s: u64,
    while_ill: f64,
    while_well: f64,
}

pub(crate) fn run(as_json: bool) -> Result<String, Box<dyn Error>> {
    let mut lines = Vec::new();
    for (name, policy) in POLICIES {
        for burst_s in BURSTS_S {
            if !as_json {
                eprintln!("{name}: bursts of {burst_s} s");
            }
            let bursts = Bursts { length: Duration::from_secs(burst_s), every: EVERY };
            let load = Load { per_second: PER_SECOND, lasts: EVERY * TIMES, impatient: 0.0 };
            let outcome = send(policy, load, Duration::from_millis(5), Some(bursts))?;
            let each = |refused: u64| refused as f64 / f64::from(TIMES);
            lines.push(Line {
                policy: name,
                burst_s,
                while_ill: each(outcome.refused_while_ill.load(Ordering::Relaxed)),
                while_well: each(outcome.refused_while_well.load(Ordering::Relaxed)),
            });
        }
    }
    Ok(if as_json { json(&lines) } else { table(&lines) })
}

fn json(lines: &[Line]) -> String {
    let mut result = Map::new();
    for line in lines {
        let of_policy = result.entry(line.policy).or_insert_with(|| json!({}));
        of_policy[line.burst_s.to_string()] =
            json!({ "refused_while_ill": line.while_ill, "refused_while_well": line.while_well });
    }
    format!("{}\n", Value::Object(result))
}

fn table(lines: &[Line]) -> String {
    let mut page = format!(
        "\nEverything fails for a while, every ten minutes, at {PER_SECOND} calls a second. Refused for each burst:\n\n\
         policy      burst  while it is ill  while it is well\n"
    );
    for line in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "{:<10} {:>4} s {:>16.1} {:>17.1}",
            line.policy, line.burst_s, line.while_ill, line.while_well
        );
    }
    page
}
