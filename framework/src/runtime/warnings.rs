//! Policies that do not do what they say are told of, once.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::event::{Event, Observer};
use crate::policy::Policy;
use crate::sync::Mutex;
use crate::time::Time;

/// Warnings about policies. Each is told once, as an event and with it in the log.
pub(super) struct Warnings {
    time: Time,
    observer: Arc<dyn Observer>,
    told: Mutex<BTreeSet<(String, String)>>,
    /// The last one that there was nothing to say of: most dependencies go by the same one.
    faultless: Mutex<Option<Arc<Policy>>>,
}

impl Warnings {
    pub(super) fn new(time: Time, observer: Arc<dyn Observer>) -> Self {
        Self { time, observer, told: Mutex::default(), faultless: Mutex::default() }
    }

    /// Tells what the policy of the dependency of this name does not do though it says so.
    pub(super) fn tell(&self, name: &str, policy: &Arc<Policy>) {
        if self.faultless.lock().as_ref().is_some_and(|it| Arc::ptr_eq(it, policy)) {
            return;
        }
        let warnings = policy.warnings();
        if warnings.is_empty() {
            *self.faultless.lock() = Some(Arc::clone(policy));
        }
        for warning in warnings {
            let text = warning.to_string();
            if self.told.lock().insert((name.to_owned(), text.clone())) {
                let (at, dependency, warning) = (self.time.now(), name.into(), text.into());
                self.observer.on_event(&Event::PolicyWarning { at, dependency, warning });
            }
        }
    }
}
