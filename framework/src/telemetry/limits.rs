//! The series of limits that stand in front of servers.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::{Gauge, Recorder, SharedString};

use crate::limit::Metered;

use super::names;
use super::series::{Count, Registrar};

/// A limit that is watched, under its name.
pub type WatchedLimit = (Arc<str>, Arc<dyn Metered>);

/// The values of the label [`names::DECISION`].
pub(super) const DECISIONS: [&str; 2] = ["allowed", "refused"];

/// Those of all limits, by name.
#[derive(Default)]
pub(super) struct LimitSeries {
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
