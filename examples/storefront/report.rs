//! The end of the run: its course, a table, a few sentences, and the line of JSON.

use std::error::Error;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::faults::Script;
use crate::paint::{Hue, Out};
use crate::reading::{Counts, INVENTORY, NAMES, NOTIFICATION, Outage, PAYMENT, Reading, Step};
use crate::shop::WORKERS;
use crate::strip::{scale, under};
use crate::table;
use crate::verdict;
use crate::{Finale, Run};

/// Shows people the run, the table and the verdict, and programs the JSON if they asked for it.
pub(crate) fn finish(
    Run { args, stage, script, metrics }: Run<'_>,
    finale: &Finale,
    out: &mut Out,
) -> Result<(), Box<dyn Error>> {
    let mut lines = run(args, script, finale, out);
    lines.extend(table(args, finale, out));
    lines.extend(guards(finale));
    lines.push(String::new());
    lines.extend(verdict::sentences(args, &script.outage(stage), finale));
    if let Some(url) = metrics {
        lines.push(format!("While it ran, Prometheus could have read all of it at {url}."));
    }
    for line in lines {
        out.show(&line)?;
    }
    if args.json {
        out.line(&json(args, finale, metrics).to_string())?;
    }
    Ok(())
}

/// The whole run, a strip for each dependency with the script below it.
fn run(args: &Args, script: &Script, finale: &Finale, out: &Out) -> Vec<String> {
    let colours = match (out.is_coloured(), args.bare) {
        (true, false) => "; its colour is the breaker's: green closed, red open, yellow half-open",
        _ => "",
    };
    let mut lines = vec![
        String::new(),
        format!("How many calls each service answered over the run, by height{colours}."),
    ];
    for (service, (name, strip)) in NAMES.iter().zip(&finale.strips).enumerate() {
        lines.push(format!("{name:<14}{}", strip.draw(out)));
        lines.push(format!("{:14}{}", "", under(script.of(service), 1.0, out)));
    }
    lines.push(out.paint(Hue::Quiet, &format!("{:14}{}", "", scale(args.seconds))));
    lines
}

fn table(args: &Args, finale: &Finale, out: &Out) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.extend(table::lines(&finale.readings.0, out));
    lines.push(String::new());
    let any = |count: fn(&Counts) -> u64| finale.readings.0.iter().any(|r| count(&r.counts) > 0);
    let notes = [
        (
            any(|counts| counts.fallback),
            "Fallback: calls that payment did not answer and \"pay later\" did.",
        ),
        (
            any(Counts::refused) && !args.bare,
            "Refused: calls that a guard turned away and nothing stood in for.",
        ),
        (any(Counts::refused) && args.bare, "Refused: customers who found no worker."),
        (any(|counts| counts.cancelled), "Cancelled: under way when the shop closed."),
    ];
    lines.extend(notes.iter().filter(|(apt, _)| *apt).map(|(_, note)| (*note).to_owned()));
    let tally = &finale.tally;
    lines.push(format!(
        "{} customers: {} paid, {} will pay later, {} left because no worker was free, {} not served; \
         at most {} of {WORKERS} workers were busy at once.",
        tally.arrived,
        tally.paid,
        tally.pay_later,
        tally.left,
        tally.lost + unfinished(finale),
        tally.peak_busy,
    ));
    lines
}

/// Customers who were still inside when the run ended.
fn unfinished(finale: &Finale) -> u64 {
    let tally = &finale.tally;
    tally.arrived.saturating_sub(tally.paid + tally.pay_later + tally.left + tally.lost)
}

/// What the guards did, for each dependency where they did anything.
fn guards(finale: &Finale) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, reading) in NAMES.iter().zip(&finale.readings.0) {
        let mut parts: Vec<String> = reading
            .refusals
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(by, count)| format!("{by} refused {count}"))
            .collect();
        if reading.attempts_timed_out > 0 {
            parts.push(format!("timeout ended {}", reading.attempts_timed_out));
        }
        if !parts.is_empty() {
            lines.push(format!("{name}'s guards: {}.", parts.join(", ")));
        }
    }
    lines
}

fn json(args: &Args, finale: &Finale, metrics: Option<&str>) -> Value {
    let dependencies: Map<String, Value> = NAMES
        .iter()
        .zip(&finale.readings.0)
        .map(|(name, reading)| ((*name).to_owned(), dependency(reading)))
        .collect();
    let tally = &finale.tally;
    json!({
        "dependencies": dependencies,
        "unaccounted": unaccounted(finale),
        "metrics": metrics,
        "during_outage": finale.outage.as_ref().map(during_outage),
        "checkouts": {
            "arrived": tally.arrived,
            "paid": tally.paid,
            "pay_later": tally.pay_later,
            "left": tally.left,
            "lost": tally.lost,
            "unfinished": unfinished(finale),
        },
        "workers": { "limit": WORKERS, "peak_busy": tally.peak_busy },
        "run": {
            "seconds": args.seconds,
            "rate": args.rate,
            "seed": args.seed,
            "outage": !args.no_outage,
            "bare": args.bare,
            "interrupted": finale.interrupted,
        },
    })
}

/// The calls the shop made, by its own books, less those whose end is known.
fn unaccounted(finale: &Finale) -> i128 {
    let made: u64 = finale.tally.calls.iter().map(|calls| calls + finale.tally.left).sum();
    let known: u64 = finale.readings.0.iter().map(|reading| reading.counts.calls()).sum();
    i128::from(made) - i128::from(known)
}

fn dependency(reading: &Reading) -> Value {
    let mut object = counts(&reading.counts);
    object.extend([
        ("transitions".to_owned(), reading.transitions.iter().map(transition).collect()),
        ("retries".to_owned(), json!(reading.retries)),
        ("timeouts".to_owned(), json!(reading.timeouts)),
        ("p50_ms".to_owned(), json!(reading.p50.map(ms))),
        ("p99_ms".to_owned(), json!(reading.p99.map(ms))),
        // Also those that a fallback then answered, which `rejected` leaves out.
        ("refusals".to_owned(), json!(reading.refusals)),
        ("attempts_timed_out".to_owned(), json!(reading.attempts_timed_out)),
    ]);
    Value::Object(object)
}

fn counts(counts: &Counts) -> Map<String, Value> {
    Map::from_iter([
        ("calls".to_owned(), json!(counts.calls())),
        ("success".to_owned(), json!(counts.success)),
        ("failure".to_owned(), json!(counts.failure)),
        ("fallback".to_owned(), json!(counts.fallback)),
        ("cancelled".to_owned(), json!(counts.cancelled)),
        ("rejected".to_owned(), json!(counts.rejected)),
    ])
}

fn transition(step: &Step) -> Value {
    json!({ "at_s": seconds(step.at), "from": step.from, "to": step.to })
}

fn during_outage(outage: &Outage) -> Value {
    let mut object = Map::from_iter([
        ("from_s".to_owned(), json!(seconds(outage.from))),
        ("to_s".to_owned(), json!(seconds(outage.to))),
    ]);
    for dependency in [PAYMENT, INVENTORY, NOTIFICATION] {
        object.insert(NAMES[dependency].to_owned(), counts(&outage.counts[dependency]).into());
    }
    Value::Object(object)
}

/// Seconds to the millisecond.
fn seconds(length: Duration) -> f64 {
    length.as_millis() as f64 / 1e3
}

/// Milliseconds to the microsecond.
fn ms(length: Duration) -> f64 {
    length.as_micros() as f64 / 1e3
}
