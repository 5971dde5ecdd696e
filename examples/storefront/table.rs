//! Columns as wide as what is in them.

use crate::paint::{Hue, Out};
use crate::reading::{NAMES, Reading};
use std::time::Duration;

/// A column: what it is called, what it counts, and whether it is worth the room.
struct Column {
    name: &'static str,
    cells: [String; 3],
    always: bool,
}

/// What each dependency did, a row each; then what the columns mean. A column of zeroes that the rest
/// can do without is left out.
pub(crate) fn lines(readings: &[Reading; 3], out: &Out) -> Vec<String> {
    let mut columns = columns(readings);
    columns.retain(|column| column.always || column.cells.iter().any(|cell| cell != "0"));
    let row = |first: &str, cell: &dyn Fn(&Column) -> String| {
        let mut text = format!("{first:<12}");
        for column in &columns {
            let widest = column.cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
            let width = widest.max(column.name.len()) + 2;
            text += &format!("{:>width$}", cell(column));
        }
        text
    };
    let mut lines = vec![out.paint(Hue::Strong, &row("", &|column| column.name.to_owned()))];
    for (i, name) in NAMES.iter().enumerate() {
        lines.push(row(name, &|column| column.cells[i].clone()));
    }
    lines
}

fn columns(readings: &[Reading; 3]) -> Vec<Column> {
    let count = |name, always, count: fn(&Reading) -> u64| Column {
        name,
        cells: readings.each_ref().map(|reading| count(reading).to_string()),
        always,
    };
    let latency = |name, latency: fn(&Reading) -> Option<Duration>| Column {
        name,
        cells: readings.each_ref().map(|reading| {
            latency(reading)
                .map_or("-".to_owned(), |length| format!("{:.0} ms", length.as_secs_f64() * 1e3))
        }),
        always: true,
    };
    vec![
        count("calls", true, |reading| reading.counts.calls()),
        count("success", true, |reading| reading.counts.success),
        count("failed", true, |reading| reading.counts.failure),
        count("fallback", false, |reading| reading.counts.fallback),
        count("refused", true, |reading| reading.counts.refused()),
        count("cancelled", false, |reading| reading.counts.cancelled),
        count("retries", false, |reading| reading.retries),
        latency("p50", |reading| reading.p50),
        latency("p99", |reading| reading.p99),
    ]
}
