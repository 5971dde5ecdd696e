//! The series of limits that stand in front of servers.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::{Gauge, Recorder, SharedString};

use crate::limit::Metered;

use super::names;
use super::series::{Count, Registrar};

/// A limit that is watched, under its name.
pub type WatchedLimit = (Arc<str>, Arc<dyn Metered>);

/// Those of all limits, by name.
#[derive(Default)]
pub(super) struct LimitSeries {
    requests: HashMap<(Arc<str>, Arc<str>), [Count; 2]>,
    keys: HashMap<Arc<str>, Gauge>,
}

impl LimitSeries {
    /// Brings them up to date.
    pub(super) fn update(
        &mut self,
        recorder: &dyn Recorder,
        label: fn(&str) -> SharedString,
        limits: &[WatchedLimit],
    ) {
        for (name, limit) in limits {
            let registrar = || Registrar::of(recorder, names::LIMIT, label(name));
            if let Some(keys) = limit.key_count() {
                let gauge = self
                    .keys
                    .entry(Arc::clone(name))
                    .or_insert_with(|| registrar().gauge(&names::LIMIT_KEYS));
                gauge.set(keys as f64);
            }
            for counts in limit.counts() {
                let of = (Arc::clone(name), Arc::clone(&counts.policy));
                let [allowed, refused] = self.requests.entry(of).or_insert_with(|| {
                    let registrar = registrar().with(names::POLICY, label(&counts.policy));
                    ["allowed", "refused"].map(|decision| {
                        let registrar = registrar.with_static(names::DECISION, decision);
                        registrar.count(&names::LIMIT_REQUESTS)
                    })
                });
                allowed.raise_to(counts.allowed);
                refused.raise_to(counts.refused);
            }
        }
    }
}
