//! Prometheus text, straight from snapshots.
//!
//! The `metrics` facade is not asked: a recorder would hold every series a second time, and renders a line in 3.6 µs
//! where this takes 0.15 (`benches/metrics_page.rs`). Of the exporter crate the head of a family is used.

use std::fmt::{self, Display, Write};
use std::time::Duration;

use metrics_exporter_prometheus::formatting::{write_help_line, write_type_line};

use crate::blocking::PoolView;
use crate::dependency::{Latency, MethodSnapshot, Snapshot};
use crate::outcome::CallOutcome;

use super::families::{FAMILIES, Family, Labels, Read, Value};
use super::limits::{DECISIONS, LEVELS, TOTALS, WatchedLimit};
use super::names::{self, Kind, Metric};
use super::pools;
use super::queues::{WatchedQueue, ends};
use super::watched::Watched;

/// The bounds shown, up to three to a decade from 500 µs to 30 s. Each is a bound of [`Latency`] too, so the counts are exact.
const BOUNDS_MICROS: [u64; 15] = [
    500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000, 30_000_000,
];

/// Methods without a call that are shown with every outcome at zero. If there are more, each shows the two that
/// an alert divides.
pub(super) const IDLE_METHODS_SHOWN_WHOLE: usize = 1_000;

/// The page of these dependencies, limits, queues and pools: families by name, those of limits, queues and pools last, a family's series in the order of
/// the snapshots.
pub(super) fn page(snapshots: &[Snapshot], watched: &Watched, expected: usize) -> String {
    let dependencies: Vec<_> = snapshots.iter().map(Described::new).collect();
    let methods = dependencies.iter().flat_map(|dependency| &dependency.methods);
    let idle_whole = methods.filter(|method| method.idle).count() <= IDLE_METHODS_SHOWN_WHOLE;
    let page = Page { dependencies, idle_whole };
    // A little more, as counts grow.
    let mut text = Text(String::with_capacity(expected + expected / 64));
    for family in &FAMILIES {
        text.family(family.metric, |text| page.write(family, text));
    }
    text.limits(&watched.limits);
    text.shared_limits(&watched.limits);
    text.queues(&watched.queues);
    text.pools(&watched.pools);
    text.0
}

fn is_idle(method: &MethodSnapshot) -> bool {
    let ended = method.calls.iter().chain(&method.attempts);
    ended.copied().all(|count| count == 0)
}

/// A dependency, and its part of every line.
struct Described<'a> {
    snapshot: &'a Snapshot,
    label: String,
    methods: Vec<DescribedMethod<'a>>,
}

struct DescribedMethod<'a> {
    snapshot: &'a MethodSnapshot,
    labels: String,
    idle: bool,
}

impl<'a> Described<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        let label = format!("{}=\"{}\"", names::DEPENDENCY, Escaped(&snapshot.dependency));
        let methods = snapshot.methods.iter().map(|method| DescribedMethod {
            snapshot: method,
            labels: format!("{label},{}=\"{}\"", names::METHOD, Escaped(method.name)),
            idle: is_idle(method),
        });
        Self { snapshot, methods: methods.collect(), label }
    }
}

struct Page<'a> {
    dependencies: Vec<Described<'a>>,
    idle_whole: bool,
}

impl Page<'_> {
    fn write(&self, family: &Family, text: &mut Text) {
        let name = family.metric.name;
        let methods = || self.dependencies.iter().flat_map(|dependency| &dependency.methods);
        match family.read {
            Read::Dependency(read) => {
                for it in &self.dependencies {
                    read(it.snapshot, &mut |labels, value| {
                        text.line(name, &it.label, labels, value);
                    });
                }
            }
            Read::Method(read) => {
                for method in methods() {
                    let whole = self.idle_whole || !method.idle;
                    read(method.snapshot, &mut |labels, value| {
                        if whole || is_divided(family.metric, labels) {
                            text.line(name, &method.labels, labels, value);
                        }
                    });
                }
            }
            Read::RetryDelay => {
                let retried = |it: &&Described<'_>| it.snapshot.retry_delays.count() > 0;
                for it in self.dependencies.iter().filter(retried) {
                    text.histogram(name, &it.label, &it.snapshot.retry_delays);
                }
            }
            Read::Latency => {
                // 18 lines each: only of those that have a latency.
                for method in methods().filter(|method| method.snapshot.latency.count() > 0) {
                    text.histogram(name, &method.labels, &method.snapshot.latency);
                }
            }
        }
    }
}

/// Whether an alert on the share of failed calls reads this series.
fn is_divided(metric: &Metric, labels: &Labels) -> bool {
    let divided = [CallOutcome::Success, CallOutcome::Failure].map(CallOutcome::as_str);
    metric.name == names::CALLS.name && labels.iter().any(|(_, value)| divided.contains(value))
}

struct Text(String);

impl Text {
    /// A family, unless it has no series.
    fn family(&mut self, metric: &Metric, series: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        write_help_line(&mut self.0, metric.name, None, None, metric.help);
        write_type_line(&mut self.0, metric.name, None, None, kind);
        let head = self.0.len();
        series(self);
        if self.0.len() == head {
            self.0.truncate(start);
        }
    }

    /// `fixed` are labels as they stand on the page.
    fn line(&mut self, name: &str, fixed: &str, labels: &Labels, value: Value) {
        self.start(name, "", fixed);
        for (label, value) in labels {
            // They are words of ours, and need no escaping.
            for part in [",", label, "=\"", value, "\""] {
                self.0.push_str(part);
            }
        }
        match value {
            Value::Total(total) => self.end(total),
            Value::Level(level) => self.end(level),
        }
    }

    fn start(&mut self, name: &str, suffix: &str, fixed: &str) {
        for part in [name, suffix, "{", fixed] {
            self.0.push_str(part);
        }
    }

    fn end(&mut self, value: impl Display) {
        let _ = writeln!(self.0, "}} {value}"); // writing to a string does not fail
    }

    fn histogram(&mut self, name: &str, labels: &str, latency: &Latency) {
        let mut at = 0;
        let mut below = 0u64;
        for micros in BOUNDS_MICROS {
            let bound = Duration::from_micros(micros);
            while Latency::bound(at).is_some_and(|upper| upper <= bound) {
                below += latency.buckets[at];
                at += 1;
            }
            self.start(name, "_bucket", labels);
            let _ = write!(self.0, ",le=\"{}\"", bound.as_secs_f64());
            self.end(below);
        }
        let count = latency.count();
        self.start(name, "_bucket", labels);
        self.0.push_str(",le=\"+Inf\"");
        self.end(count);
        self.start(name, "_sum", labels);
        self.end(latency.sum_nanos as f64 / 1e9);
        self.start(name, "_count", labels);
        self.end(count);
    }

    fn limits(&mut self, limits: &[WatchedLimit]) {
        let label = |name: &str| format!("{}=\"{}\"", names::LIMIT, Escaped(name));
        self.family(&names::LIMIT_KEYS, |text| {
            for (name, limit) in limits {
                if let Some(keys) = limit.key_count() {
                    let keys = Value::Level(keys as f64);
                    text.line(names::LIMIT_KEYS.name, &label(name), &[], keys);
                }
            }
        });
        self.family(&names::LIMIT_REQUESTS, |text| {
            for (name, limit) in limits {
                for counts in limit.counts() {
                    let policy = Escaped(&counts.policy);
                    let fixed = format!("{},{}=\"{policy}\"", label(name), names::POLICY);
                    for (decision, count) in
                        DECISIONS.into_iter().zip([counts.allowed, counts.refused])
                    {
                        let labels = [(names::DECISION, decision)];
                        text.line(names::LIMIT_REQUESTS.name, &fixed, &labels, Value::Total(count));
                    }
                }
            }
        });
    }

    /// What those limits do with their stores that are shared.
    fn shared_limits(&mut self, limits: &[WatchedLimit]) {
        let seen: Vec<_> = limits
            .iter()
            .filter_map(|(name, limit)| {
                let label = format!("{}=\"{}\"", names::LIMIT, Escaped(name));
                Some((label, limit.shared()?))
            })
            .collect();
        for (metric, of) in &TOTALS {
            self.family(metric, |text| {
                for (label, counts) in &seen {
                    text.line(metric.name, label, &[], Value::Total(of(counts)));
                }
            });
        }
        for (metric, of) in &LEVELS {
            self.family(metric, |text| {
                for (label, counts) in &seen {
                    text.line(metric.name, label, &[], Value::Level(of(counts)));
                }
            });
        }
    }

    fn pools(&mut self, pools: &[PoolView]) {
        let label = |name: &str| format!("{}=\"{}\"", names::POOL, Escaped(name));
        // Of one moment, whichever family they are in.
        let seen: Vec<_> =
            pools.iter().map(|pool| (label(pool.name()), pool, pool.counts())).collect();
        for (metric, of) in &pools::LEVELS {
            self.family(metric, |text| {
                for (label, pool, counts) in &seen {
                    text.line(metric.name, label, &[], Value::Level(of(pool, *counts).into()));
                }
            });
        }
        self.family(&names::POOL_WORKS, |text| {
            for (label, _, counts) in &seen {
                for (end, count) in pools::ends(*counts) {
                    let labels = [(names::END, end)];
                    text.line(names::POOL_WORKS.name, label, &labels, Value::Total(count));
                }
            }
        });
    }

    fn queues(&mut self, queues: &[WatchedQueue]) {
        let label = |name: &str| format!("{}=\"{}\"", names::QUEUE, Escaped(name));
        // Of one moment, whichever family they are in.
        let seen: Vec<_> =
            queues.iter().map(|(name, queue)| (label(name), queue.counts())).collect();
        self.family(&names::QUEUE_DEPTH, |text| {
            for (label, counts) in &seen {
                let depth = Value::Level(counts.waiting.into());
                text.line(names::QUEUE_DEPTH.name, label, &[], depth);
            }
        });
        self.family(&names::QUEUE_FILL_RATIO, |text| {
            for ((_, queue), (label, _)) in queues.iter().zip(&seen) {
                let ratio = Value::Level(queue.fill_ratio());
                text.line(names::QUEUE_FILL_RATIO.name, label, &[], ratio);
            }
        });
        self.family(&names::QUEUE_ITEMS, |text| {
            for (label, counts) in &seen {
                for (end, count) in ends(*counts) {
                    let labels = [(names::END, end)];
                    text.line(names::QUEUE_ITEMS.name, label, &labels, Value::Total(count));
                }
            }
        });
    }
}

/// A label value, escaped as the text format wants it.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
