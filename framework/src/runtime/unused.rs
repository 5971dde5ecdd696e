//! Settings that nothing uses: names misspelt in a policy file would otherwise go unnoticed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::dependency::Dependency;
use crate::event::{Event, Observer};
use crate::policy::nearest;
use crate::sync::Mutex;
use crate::time::Time;

use super::registry::Registry;

/// How long after the start, and how often, sections that no dependency was spawned for are looked for.
pub(super) const LOOKED_FOR_EVERY: Duration = Duration::from_secs(60);

/// Sections and methods that nothing uses. Each is told once, as an event and with it as a warning in the log.
pub(super) struct Unused {
    time: Time,
    observer: Arc<dyn Observer>,
    registry: Arc<Registry>,
    /// Sections of the policy file that no dependency has been spawned for.
    sections: Mutex<BTreeSet<String>>,
    told_sections: Mutex<BTreeSet<String>>,
    told_methods: Mutex<BTreeSet<(String, String)>>,
}

impl Unused {
    pub(super) fn new(
        time: Time,
        observer: Arc<dyn Observer>,
        registry: Arc<Registry>,
        sections: BTreeSet<String>,
    ) -> Self {
        Self {
            time,
            observer,
            registry,
            sections: Mutex::new(sections),
            told_sections: Mutex::default(),
            told_methods: Mutex::default(),
        }
    }

    /// These are the sections that no dependency has been spawned for.
    pub(super) fn set_sections(&self, sections: impl IntoIterator<Item = String>) {
        *self.sections.lock() = sections.into_iter().collect();
    }

    /// A dependency of this name is spawned.
    pub(super) fn spawned(&self, name: &str) {
        self.sections.lock().remove(name);
    }

    /// Tells of every section that no dependency was spawned for.
    pub(super) fn tell_sections(&self) {
        let sections: Vec<String> = self.sections.lock().iter().cloned().collect();
        let known: Vec<_> = self.registry.dependencies();
        for section in sections {
            if self.told_sections.lock().insert(section.clone()) {
                let names = known.iter().map(|dependency| &**dependency.name());
                let nearest = nearest(&section, names).map(Arc::from);
                let (at, dependency) = (self.time.now(), section.into());
                self.observer.on_event(&Event::UnspawnedSection { at, dependency, nearest });
            }
        }
    }

    /// Tells of every method that the dependency's policy names and no trait on it has.
    pub(super) fn tell_methods(&self, dependency: &Dependency) {
        for (method, nearest) in dependency.unknown_methods() {
            let told = (dependency.name().to_string(), method.clone());
            if self.told_methods.lock().insert(told) {
                let (at, name) = (self.time.now(), dependency.name().clone());
                let (method, nearest) = (method.into(), nearest.map(Arc::from));
                self.observer.on_event(&Event::UnknownMethod {
                    at,
                    dependency: name,
                    method,
                    nearest,
                });
            }
        }
    }
}
