//! The sets of shared limits that the application uses.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::distributed::SharedLimits;
use crate::sync::Mutex;
use crate::time::Time;

/// The sets that have been asked for, by name.
#[derive(Default)]
pub(super) struct SharedSets(Mutex<BTreeMap<String, SharedLimits>>);

impl SharedSets {
    pub(super) fn get(&self, name: &str) -> Option<SharedLimits> {
        self.0.lock().get(name).cloned()
    }

    /// The set of this name; another's, if that was first.
    pub(super) fn keep(&self, name: &str, set: SharedLimits) -> SharedLimits {
        self.0.lock().entry(name.to_owned()).or_insert(set).clone()
    }

    pub(super) fn all(&self) -> Vec<(String, SharedLimits)> {
        self.0.lock().iter().map(|(name, set)| (name.clone(), set.clone())).collect()
    }

    /// What is held of leases is given back, for as long as `limit` at most.
    pub(super) async fn leave(&self, limit: Duration, time: &Time) {
        let deadline = time.now() + limit;
        for (_, set) in self.all() {
            set.leave_until(deadline).await;
        }
    }
}
