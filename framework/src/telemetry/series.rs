//! A recorder's handles to the series of one dependency: registered once, then only moved.

use std::sync::{Arc, Weak};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, SharedString};

use crate::dependency::{BUCKETS, Dependency, Latency, Snapshot};

use super::families::{FAMILIES, Family, Labels, Read, Value};
use super::names::{self, Metric};

static METADATA: Metadata<'static> = Metadata::new("seawall", Level::INFO, Some(module_path!()));

/// What stands for a call above the last bound when it is forwarded: the step after 100 s.
const BEYOND_LAST_BOUND_S: f64 = 150.0;

/// Registers series that share some labels.
#[derive(Clone)]
pub(super) struct Registrar<'a> {
    recorder: &'a dyn Recorder,
    labels: Vec<Label>,
}

impl<'a> Registrar<'a> {
    /// For series that have this label.
    pub(super) fn of(recorder: &'a dyn Recorder, label: &'static str, value: &str) -> Self {
        Self { recorder, labels: Vec::new() }.with(label, SharedString::from(value.to_owned()))
    }

    pub(super) fn with(mut self, label: &'static str, value: SharedString) -> Self {
        self.labels.push(Label::new(label, value));
        self
    }

    pub(super) fn with_static(self, label: &'static str, value: &'static str) -> Self {
        self.with(label, SharedString::const_str(value))
    }

    fn with_all(self, labels: &Labels) -> Self {
        labels.iter().fold(self, |registrar, (label, value)| registrar.with_static(label, value))
    }

    fn key(self, metric: &Metric) -> (&'a dyn Recorder, Key) {
        (self.recorder, Key::from_parts(metric.name, self.labels))
    }

    pub(super) fn count(self, metric: &Metric) -> Count {
        let (recorder, key) = self.key(metric);
        let count = Count { handle: recorder.register_counter(&key, &METADATA), seen: 0 };
        // It shows from the start: a rate over a series that begins with its first event misses that event.
        count.handle.increment(0);
        count
    }

    pub(super) fn gauge(self, metric: &Metric) -> Gauge {
        let (recorder, key) = self.key(metric);
        recorder.register_gauge(&key, &METADATA)
    }

    fn histogram(self, metric: &Metric) -> Histogram {
        let (recorder, key) = self.key(metric);
        recorder.register_histogram(&key, &METADATA)
    }
}

/// A counter, and how far it has been brought.
pub(super) struct Count {
    handle: Counter,
    seen: u64,
}

impl Count {
    /// Brings it up to `total`.
    ///
    /// By increments, not by `Counter::absolute`: that keeps the greatest value it has seen, so a
    /// dependency spawned again under an old name would not show before it had passed its former
    /// self, and two Seawalls in one recorder would hide each other instead of adding up.
    /// An increment of zero still tells a recorder that forgets idle series that this one is not.
    pub(super) fn raise_to(&mut self, total: u64) {
        self.handle.increment(total.saturating_sub(self.seen));
        self.seen = self.seen.max(total);
    }
}

/// One series of a family.
struct Handle {
    method: Option<&'static str>,
    labels: Box<Labels>,
    to: Measure,
}

enum Measure {
    Count(Count),
    Gauge(Gauge),
}

impl Handle {
    fn is_for(&self, method: Option<&'static str>, labels: &Labels) -> bool {
        self.method == method && *self.labels == *labels
    }

    fn set(&mut self, value: Value) {
        match (&mut self.to, value) {
            (Measure::Count(count), Value::Total(total)) => count.raise_to(total),
            (Measure::Gauge(gauge), Value::Level(level)) => gauge.set(level),
            // A family's values are of one kind.
            (Measure::Count(_), Value::Level(_)) | (Measure::Gauge(_), Value::Total(_)) => {}
        }
    }

    /// A recorder cannot forget a series, and what this one stood for is gone.
    fn clear(&self, to: f64) {
        if let Measure::Gauge(gauge) = &self.to {
            gauge.set(to);
        }
    }
}

/// The series of one dependency, this life of it.
pub(super) struct Series {
    /// Keeps the address from being used again, so that it can stand for the dependency.
    of: Weak<Dependency>,
    families: [Vec<Handle>; FAMILIES.len()],
    /// By method, where latency is forwarded.
    latency: Vec<(&'static str, Box<Forwarded>)>,
    /// The same, of retry delays, once there is one.
    retry_delay: Option<Box<Forwarded>>,
}

impl Series {
    pub(super) fn new(of: &Arc<Dependency>) -> Self {
        Self {
            of: Arc::downgrade(of),
            families: std::array::from_fn(|_| Vec::new()),
            latency: Vec::new(),
            retry_delay: None,
        }
    }

    /// Whether these are the series of this very dependency, not of a namesake.
    pub(super) fn is_of(&self, dependency: &Arc<Dependency>) -> bool {
        std::ptr::eq(self.of.as_ptr(), Arc::as_ptr(dependency))
    }

    /// Whether that dependency still exists somewhere.
    pub(super) fn is_alive(&self) -> bool {
        self.of.strong_count() > 0
    }

    /// Brings everything up to date, and registers what has come: a method, a threshold, a key.
    pub(super) fn update(&mut self, recorder: &dyn Recorder, snapshot: &Snapshot, latency: bool) {
        let registrar = || Registrar::of(recorder, names::DEPENDENCY, &snapshot.dependency);
        for (family, handles) in FAMILIES.iter().zip(&mut self.families) {
            update_family(family, handles, snapshot, registrar);
        }
        if !latency {
            return;
        }
        if snapshot.retry_delays.count() > 0 {
            self.retry_delay
                .get_or_insert_with(|| {
                    let handle = registrar().histogram(&names::RETRY_DELAY);
                    Box::new(Forwarded { handle, seen: [0; BUCKETS] })
                })
                .update(&snapshot.retry_delays);
        }
        for method in &snapshot.methods {
            let at = match self.latency.binary_search_by_key(&method.name, |(name, _)| name) {
                Ok(at) => at,
                Err(at) => {
                    let registrar = registrar().with_static(names::METHOD, method.name);
                    let handle = registrar.histogram(&names::CALL_DURATION);
                    let forwarded = Box::new(Forwarded { handle, seen: [0; BUCKETS] });
                    self.latency.insert(at, (method.name, forwarded));
                    at
                }
            };
            // In bounds: found, or just put there.
            self.latency[at].1.update(&method.latency);
        }
    }

    /// Nothing is there any more.
    pub(super) fn clear_gauges(&self) {
        self.families.iter().flatten().for_each(|handle| handle.clear(0.0));
    }
}

/// Handles are in the order in which their series are told of, so a series is nearly always at the next place.
fn update_family<'a>(
    family: &Family,
    handles: &mut Vec<Handle>,
    snapshot: &Snapshot,
    registrar: impl Fn() -> Registrar<'a>,
) {
    let metric = family.metric;
    // Without a slow start all calls are let through.
    let gone = if metric.name == names::BREAKER_RAMP.name { 1.0 } else { 0.0 };
    let mut at = 0;
    let mut tell = |method: Option<&'static str>, labels: &Labels, value: Value| {
        if let Some(skip) = handles[at..].iter().position(|handle| handle.is_for(method, labels)) {
            handles[at..at + skip].iter().for_each(|handle| handle.clear(gone));
            at += skip;
        } else {
            let registrar = method
                .into_iter()
                .fold(registrar(), |it, name| it.with_static(names::METHOD, name));
            let registrar = registrar.with_all(labels);
            let to = match value {
                Value::Total(_) => Measure::Count(registrar.count(metric)),
                Value::Level(_) => Measure::Gauge(registrar.gauge(metric)),
            };
            handles.insert(at, Handle { method, labels: labels.into(), to });
        }
        handles[at].set(value);
        at += 1;
    };
    match family.read {
        Read::Dependency(read) => read(snapshot, &mut |labels, value| tell(None, labels, value)),
        Read::Method(read) => {
            for method in &snapshot.methods {
                read(method, &mut |labels, value| tell(Some(method.name), labels, value));
            }
        }
        Read::Latency | Read::RetryDelay => {}
    }
    handles[at..].iter().for_each(|handle| handle.clear(gone));
}

/// A histogram of the recorder's, and how many calls of each bucket it has been told of.
struct Forwarded {
    handle: Histogram,
    seen: [u64; BUCKETS],
}

impl Forwarded {
    fn update(&mut self, latency: &Latency) {
        for (at, (&total, seen)) in latency.buckets.iter().zip(&mut self.seen).enumerate() {
            let new = total.saturating_sub(*seen);
            if new > 0 {
                let value = Latency::bound(at).map_or(BEYOND_LAST_BOUND_S, |b| b.as_secs_f64());
                self.handle.record_many(value, usize::try_from(new).unwrap_or(usize::MAX));
                *seen = total;
            }
        }
    }
}
