//! A recorder's handles to the series of one dependency: registered once, then only moved.

use std::sync::{Arc, Weak};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, SharedString};

use crate::dependency::{BUCKETS, Dependency, Latency, MethodSnapshot, Snapshot};
use crate::error::RejectedBy;
use crate::event::{Cause, State};
use crate::outcome::{CallOutcome, Outcome};

use super::names::{self, Metric};

static METADATA: Metadata<'static> = Metadata::new("seawall", Level::INFO, Some(module_path!()));

/// What stands for a call above the last bound when it is forwarded: the step after 100 s.
const BEYOND_LAST_BOUND_S: f64 = 150.0;

/// Registers series that share some labels.
pub(super) struct Registrar<'a> {
    recorder: &'a dyn Recorder,
    labels: Vec<Label>,
}

impl<'a> Registrar<'a> {
    pub(super) fn new(recorder: &'a dyn Recorder, dependency: SharedString) -> Self {
        Self::of(recorder, names::DEPENDENCY, dependency)
    }

    /// For series of something else.
    pub(super) fn of(recorder: &'a dyn Recorder, label: &'static str, name: SharedString) -> Self {
        Self { recorder, labels: vec![Label::new(label, name)] }
    }

    pub(super) fn with(&self, label: &'static str, value: SharedString) -> Self {
        let mut labels = self.labels.clone();
        labels.push(Label::new(label, value));
        Self { recorder: self.recorder, labels }
    }

    pub(super) fn with_static(&self, label: &'static str, value: &'static str) -> Self {
        self.with(label, SharedString::const_str(value))
    }

    fn key(&self, metric: &Metric) -> Key {
        Key::from_parts(metric.name, self.labels.clone())
    }

    pub(super) fn count(&self, metric: &Metric) -> Count {
        let handle = self.recorder.register_counter(&self.key(metric), &METADATA);
        let count = Count { handle, seen: 0 };
        // It shows from the start: a rate over a series that begins with its first event misses that event.
        count.handle.increment(0);
        count
    }

    pub(super) fn gauge(&self, metric: &Metric) -> Gauge {
        self.recorder.register_gauge(&self.key(metric), &METADATA)
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

/// The series of one dependency, this life of it.
pub(super) struct Series {
    /// Keeps the address from being used again, so that it can stand for the dependency.
    of: Weak<Dependency>,
    rejections: [Count; RejectedBy::ALL.len()],
    transitions: [Count; names::LEGAL_MOVES.len()],
    openings: [Count; Cause::OPENING.len()],
    retries: Count,
    stale_results: Count,
    refusals_withheld: Count,
    keys: Gauge,
    keys_open: Gauge,
    keys_evicted: Count,
    keys_overflowed: Count,
    dropped: Count,
    blocked: Count,
    restarts: Count,
    state: [Gauge; State::ALL.len()],
    active: Gauge,
    limit: Gauge,
    depth: Gauge,
    fill_ratio: Gauge,
    unattended: Gauge,
    adaptive: Option<Adaptive>,
    /// Of a breaker that has a slow start.
    ramp: Option<Gauge>,
    /// In the order of their names, as in a snapshot.
    methods: Vec<Method>,
}

impl Series {
    pub(super) fn register(registrar: &Registrar<'_>, of: &Arc<Dependency>) -> Self {
        let count = |metric| registrar.count(metric);
        let gauge = |metric| registrar.gauge(metric);
        Self {
            of: Arc::downgrade(of),
            rejections: RejectedBy::EVERY
                .map(|by| registrar.with_static(names::BY, by.as_str()).count(&names::REJECTIONS)),
            transitions: names::LEGAL_MOVES.map(|(from, to)| {
                let from = registrar.with_static(names::FROM, from.as_str());
                from.with_static(names::TO, to.as_str()).count(&names::BREAKER_TRANSITIONS)
            }),
            openings: std::array::from_fn(|at| {
                // In bounds: one for each.
                let cause = Cause::OPENING[at];
                registrar.with_static(names::CAUSE, cause).count(&names::BREAKER_OPENINGS)
            }),
            retries: count(&names::RETRIES),
            stale_results: count(&names::STALE_RESULTS),
            refusals_withheld: count(&names::REFUSALS_WITHHELD),
            keys: gauge(&names::BREAKER_KEYS),
            keys_open: gauge(&names::BREAKER_KEYS_OPEN),
            keys_evicted: count(&names::BREAKER_KEYS_EVICTED),
            keys_overflowed: count(&names::BREAKER_KEYS_OVERFLOWED),
            dropped: count(&names::MAILBOX_DROPPED),
            blocked: count(&names::MAILBOX_BLOCKED),
            restarts: count(&names::ACTOR_RESTARTS),
            state: State::EVERY.map(|state| {
                registrar.with_static(names::STATE, state.as_str()).gauge(&names::BREAKER_STATE)
            }),
            active: gauge(&names::BULKHEAD_ACTIVE),
            limit: gauge(&names::BULKHEAD_LIMIT),
            depth: gauge(&names::MAILBOX_DEPTH),
            fill_ratio: gauge(&names::MAILBOX_FILL_RATIO),
            unattended: gauge(&names::ACTOR_UNATTENDED),
            adaptive: None,
            ramp: None,
            methods: Vec::new(),
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

    /// Whether anything has come since the series were last brought up to date: a method, a threshold or a slow start.
    pub(super) fn lacks(&self, snapshot: &Snapshot) -> bool {
        self.methods.len() < snapshot.methods.len()
            || (self.adaptive.is_none() && snapshot.adaptive.is_some())
            || (self.ramp.is_none() && snapshot.ramp.is_some())
    }

    /// Registers what has come. A dependency never loses a method.
    pub(super) fn add(
        &mut self,
        registrar: &Registrar<'_>,
        snapshot: &Snapshot,
        label: fn(&str) -> SharedString,
        latency: bool,
    ) {
        if snapshot.adaptive.is_some() && self.adaptive.is_none() {
            self.adaptive = Some(Adaptive {
                threshold: registrar.gauge(&names::BREAKER_THRESHOLD),
                baseline: registrar.gauge(&names::BREAKER_BASELINE),
            });
        }
        if snapshot.ramp.is_some() && self.ramp.is_none() {
            self.ramp = Some(registrar.gauge(&names::BREAKER_RAMP));
        }
        for (at, method) in snapshot.methods.iter().enumerate() {
            if self.methods.get(at).is_none_or(|known| known.name != method.name) {
                let registrar = registrar.with(names::METHOD, label(method.name));
                self.methods.insert(at, Method::register(&registrar, method.name, latency));
            }
        }
    }

    /// Brings everything up to date.
    pub(super) fn update(&mut self, snapshot: &Snapshot) {
        let breaker = &snapshot.breaker;
        for (by, count) in RejectedBy::ALL.iter().zip(&mut self.rejections) {
            count.raise_to(snapshot.rejections(*by));
        }
        for ((from, to), count) in names::LEGAL_MOVES.iter().zip(&mut self.transitions) {
            count.raise_to(breaker.transition_counts[from.index()][to.index()]);
        }
        for (total, count) in breaker.openings.iter().zip(&mut self.openings) {
            count.raise_to(*total);
        }
        self.retries.raise_to(snapshot.retries);
        self.stale_results.raise_to(breaker.stale_results);
        self.refusals_withheld.raise_to(breaker.refusals_withheld);
        let keys = snapshot.keys.as_ref();
        self.keys.set(keys.map_or(0.0, |keys| keys.keys as f64));
        self.keys_open.set(keys.map_or(0.0, |keys| keys.open as f64));
        self.keys_evicted.raise_to(keys.map_or(0, |keys| keys.evicted));
        self.keys_overflowed.raise_to(keys.map_or(0, |keys| keys.overflowed));
        self.dropped.raise_to(snapshot.mailbox.dropped);
        self.blocked.raise_to(snapshot.mailbox.blocked);
        self.restarts.raise_to(snapshot.restarts);
        for (state, gauge) in State::ALL.iter().zip(&self.state) {
            gauge.set(f64::from(u8::from(*state == snapshot.state())));
        }
        self.active.set(snapshot.active);
        self.limit.set(snapshot.limit);
        self.depth.set(snapshot.mailbox.waiting);
        self.fill_ratio.set(snapshot.fill_ratio);
        self.unattended.set(f64::from(u8::from(snapshot.unattended)));
        if let Some(adaptive) = &self.adaptive {
            adaptive.update(snapshot);
        }
        if let Some(ramp) = &self.ramp {
            // Without a slow start, as it may be after a reload, all calls are let through.
            ramp.set(snapshot.ramp.unwrap_or(1.0));
        }
        for (series, method) in self.methods.iter_mut().zip(&snapshot.methods) {
            series.update(method);
        }
    }

    /// For a recorder that cannot forget a series: nothing is there any more.
    pub(super) fn clear_gauges(&self) {
        let bulkhead = [&self.active, &self.limit, &self.depth, &self.fill_ratio];
        let others = bulkhead.into_iter().chain([&self.unattended, &self.keys, &self.keys_open]);
        let adaptive = self.adaptive.iter().flat_map(|it| [&it.threshold, &it.baseline]);
        for gauge in self.state.iter().chain(others).chain(adaptive).chain(&self.ramp) {
            gauge.set(0.0);
        }
    }
}

/// What only an adaptive breaker has.
struct Adaptive {
    threshold: Gauge,
    baseline: Gauge,
}

impl Adaptive {
    /// Zero, both of them, once it is no longer adaptive: a recorder cannot forget a series.
    fn update(&self, snapshot: &Snapshot) {
        let reading = snapshot.adaptive.map(|reading| (reading.threshold, reading.baseline));
        let (threshold, baseline) = reading.unwrap_or_default();
        self.threshold.set(threshold);
        self.baseline.set(baseline);
    }
}

struct Method {
    name: &'static str,
    calls: [Count; CallOutcome::ALL.len()],
    attempts: [Count; Outcome::ALL.len()],
    latency: Option<Box<Forwarded>>,
}

impl Method {
    fn register(registrar: &Registrar<'_>, name: &'static str, latency: bool) -> Self {
        let ended = |outcome| registrar.with_static(names::OUTCOME, outcome);
        Self {
            name,
            calls: CallOutcome::EVERY.map(|outcome| ended(outcome.as_str()).count(&names::CALLS)),
            attempts: Outcome::EVERY.map(|outcome| ended(outcome.as_str()).count(&names::ATTEMPTS)),
            latency: latency.then(|| {
                let key = registrar.key(&names::CALL_DURATION);
                let handle = registrar.recorder.register_histogram(&key, &METADATA);
                Box::new(Forwarded { handle, seen: [0; BUCKETS] })
            }),
        }
    }

    fn update(&mut self, method: &MethodSnapshot) {
        for (count, total) in self.calls.iter_mut().zip(method.calls) {
            count.raise_to(total);
        }
        for (count, total) in self.attempts.iter_mut().zip(method.attempts) {
            count.raise_to(total);
        }
        if let Some(forwarded) = &mut self.latency {
            forwarded.update(&method.latency);
        }
    }
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
