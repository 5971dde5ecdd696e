//! The latency histogram as Prometheus text, straight from the calls' own buckets.
//!
//! Not through a recorder: that would have to be told of every call, with a clock read and an
//! allocation for each, where the counts are there already.

use std::fmt::Write;
use std::time::Duration;

use crate::dependency::{Latency, MethodSnapshot, Snapshot};

use super::names::{CALL_DURATION, DEPENDENCY, METHOD};

/// The bounds shown, up to three to a decade from 500 µs to 30 s. Each is a bound of [`Latency`] too, so the counts are exact.
const BOUNDS_MICROS: [u64; 15] = [
    500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000, 30_000_000,
];

/// The family being written.
#[derive(Default)]
pub(super) struct HistogramText(String);

impl HistogramText {
    /// Adds a dependency's methods, those that have been called: 18 lines each are most of a page.
    pub(super) fn add(&mut self, snapshot: &Snapshot) {
        let called = |method: &&MethodSnapshot| method.latency.count() > 0;
        for method in snapshot.methods.iter().filter(called) {
            if self.0.is_empty() {
                self.0 = format!(
                    "# HELP {name} {help}\n# TYPE {name} histogram\n",
                    name = CALL_DURATION.name,
                    help = CALL_DURATION.help,
                );
            }
            let labels = format!(
                "{DEPENDENCY}=\"{}\",{METHOD}=\"{}\"",
                Escaped(&snapshot.dependency),
                Escaped(method.name),
            );
            self.series(&labels, &method.latency);
        }
    }

    fn series(&mut self, labels: &str, latency: &Latency) {
        let name = CALL_DURATION.name;
        let mut line = |line: std::fmt::Arguments<'_>| {
            let _ = self.0.write_fmt(line); // writing to a string does not fail
        };
        let mut at = 0;
        let mut below = 0u64;
        for micros in BOUNDS_MICROS {
            let bound = Duration::from_micros(micros);
            while Latency::bound(at).is_some_and(|upper| upper <= bound) {
                below += latency.buckets[at];
                at += 1;
            }
            let le = bound.as_secs_f64();
            line(format_args!("{name}_bucket{{{labels},le=\"{le}\"}} {below}\n"));
        }
        let count = latency.count();
        let sum = latency.sum_nanos as f64 / 1e9;
        line(format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {count}\n"));
        line(format_args!("{name}_sum{{{labels}}} {sum}\n"));
        line(format_args!("{name}_count{{{labels}}} {count}\n"));
    }

    /// The family; empty if no dependency has a method.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// A label value, escaped as the text format wants it.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for char in self.0.chars() {
            match char {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}
