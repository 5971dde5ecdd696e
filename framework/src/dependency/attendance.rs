//! What becomes of a dependency's actor.

use std::sync::atomic::Ordering;

use crate::event::Event;

use super::shared::Dependency;

impl Dependency {
    /// Notes that its actor was rebuilt.
    pub fn note_restart(&self) {
        // Begins again at zero after 2^32.
        let restarts = u64::from(self.restarts.fetch_add(1, Ordering::Relaxed)) + 1;
        self.unattended.store(false, Ordering::Relaxed);
        let (at, dependency) = (self.now(), self.name().clone());
        self.tell(&Event::ActorRestarted { at, dependency, restarts });
    }

    /// Notes that its actor keeps failing and is left alone.
    pub fn note_unattended(&self) {
        self.unattended.store(true, Ordering::Relaxed);
        let (at, dependency) = (self.now(), self.name().clone());
        self.tell(&Event::ActorUnattended { at, dependency });
    }
}
