//! The series of limits that stand in front of servers.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::{Gauge, Recorder, SharedString};

use crate::limit::{Metered, SharedCounts};

use super::names;
use super::series::{Count, Registrar};

/// A limit that is watched, under its name.
pub type WatchedLimit = (Arc<str>, Arc<dyn Metered>);

/// The values of the label [`names::DECISION`].
pub(super) const DECISIONS: [&str; 2] = ["allowed", "refused"];

/// What a metric is of a limit's counts.
type Of<T> = fn(&SharedCounts) -> T;

/// What only grows, of limits that are shared.
pub(super) static TOTALS: [(names::Metric, Of<u64>); 5] = [
    (names::LIMIT_DEGRADED, |counts| counts.degraded_nanos / 1_000_000),
    (names::LIMIT_REMEMBERED, |counts| counts.remembered),
    (names::LIMIT_ROUND_TRIPS, |counts| counts.store.round_trips),
    (names::LIMIT_SCRIPT_RELOADS, |counts| counts.store.script_reloads),
    (names::LIMIT_UNDECIDED, |counts| counts.failures),
];
/// And what goes up and down.
pub(super) static LEVELS: [(names::Metric, Of<f64>); 2] = [
    (names::LIMIT_INSTANCES, |counts| counts.instances as f64),
    (names::LIMIT_LEASED, |counts| counts.leased as f64),
];

/// The series of a limit that is shared.
struct SharedSeries {
    totals: [Count; TOTALS.len()],
    levels: [Gauge; LEVELS.len()],
}

impl SharedSeries {
    fn new<'a>(registrar: impl Fn() -> Registrar<'a>) -> Self {
        Self {
            totals: TOTALS.each_ref().map(|(metric, _)| registrar().count(metric)),
            levels: LEVELS.each_ref().map(|(metric, _)| registrar().gauge(metric)),
        }
    }

    fn update(&mut self, counts: &SharedCounts) {
        for (series, (_, of)) in self.totals.iter_mut().zip(&TOTALS) {
            series.raise_to(of(counts));
        }
        for (series, (_, of)) in self.levels.iter().zip(&LEVELS) {
            series.set(of(counts));
        }
    }
}

/// Those of all limits, by name.
#[derive(Default)]
pub(super) struct LimitSeries {
    shared: HashMap<Arc<str>, SharedSeries>,
    requests: HashMap<(Arc<str>, Arc<str>), [Count; 2]>,
    keys: HashMap<Arc<str>, Gauge>,
}

impl LimitSeries {
    /// Brings them up to date.
    pub(super) fn update(&mut self, recorder: &dyn Recorder, limits: &[WatchedLimit]) {
        for (name, limit) in limits {
            let registrar = || Registrar::of(recorder, names::LIMIT, name);
            if let Some(keys) = limit.key_count() {
                let gauge = self
                    .keys
                    .entry(Arc::clone(name))
                    .or_insert_with(|| registrar().gauge(&names::LIMIT_KEYS));
                gauge.set(keys as f64);
            }
            if let Some(counts) = limit.shared() {
                let series = self.shared.entry(Arc::clone(name));
                series.or_insert_with(|| SharedSeries::new(registrar)).update(&counts);
            }
            for counts in limit.counts() {
                let of = (Arc::clone(name), Arc::clone(&counts.policy));
                let [allowed, refused] = self.requests.entry(of).or_insert_with(|| {
                    let policy = SharedString::from_shared(Arc::clone(&counts.policy));
                    let registrar = registrar().with(names::POLICY, policy);
                    DECISIONS.map(|decision| {
                        let registrar = registrar.clone().with_static(names::DECISION, decision);
                        registrar.count(&names::LIMIT_REQUESTS)
                    })
                });
                allowed.raise_to(counts.allowed);
                refused.raise_to(counts.refused);
            }
        }
    }
}
