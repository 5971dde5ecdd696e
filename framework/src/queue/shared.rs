//! What all ends of a queue share.

use crate::backpressure::Config;
use crate::clock::Moment;
use crate::sync::Mutex;

use super::settings::Settings;
use super::state::{State, Visit};

/// The queue itself.
pub(super) struct Shared<T> {
    pub(super) state: Mutex<State<T>>,
    pub(super) settings: Settings<T>,
    /// Whether anybody asks how long an item has waited.
    is_timed: bool,
}

impl<T> Shared<T> {
    pub(super) fn new(line: &Config, settings: Settings<T>) -> Self {
        let is_timed = settings.is_timed();
        Self { state: Mutex::new(State::new(line)), settings, is_timed }
    }

    #[inline]
    pub(super) fn visit(&self) -> Visit<'_, T> {
        let now = if self.is_timed { self.settings.time.now() } else { Moment::ZERO };
        Visit::new(&self.settings, now)
    }

    /// One step under the lock, and what follows from it once that is open.
    #[inline]
    pub(super) fn step<R>(&self, step: impl FnOnce(&mut State<T>, &mut Visit<'_, T>) -> R) -> R {
        let mut visit = self.visit();
        let result = step(&mut self.state.lock_briefly(), &mut visit);
        visit.end();
        result
    }
}
