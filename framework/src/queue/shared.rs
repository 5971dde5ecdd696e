//! What all ends of a queue share.

use crate::backpressure::Config;
use crate::clock::Moment;
use crate::sync::{CachePadded, Mutex, MutexGuard};

use super::settings::Settings;
use super::state::{State, Visit};

/// The queue itself.
pub(super) struct Shared<T> {
    /// Apart from the rest, which is only read: it is not to be fetched again after each step of another thread.
    state: CachePadded<Mutex<State<T>>>,
    pub(super) settings: Settings<T>,
    /// Whether anybody asks when an item is put in, and when it is taken.
    is_put_timed: bool,
    is_take_timed: bool,
}

impl<T> Shared<T> {
    pub(super) fn new(line: &Config, settings: Settings<T>) -> Self {
        let (is_put_timed, is_take_timed) = (settings.is_put_timed(), settings.is_take_timed());
        let state = CachePadded(Mutex::new(State::new(line, &settings.strategy)));
        Self { state, settings, is_put_timed, is_take_timed }
    }

    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.0.lock_briefly()
    }

    /// A consumer's.
    #[inline]
    pub(super) fn visit_to_take(&self) -> Visit<'_, T> {
        self.visit_at(self.is_take_timed)
    }

    #[inline]
    fn visit_at(&self, is_timed: bool) -> Visit<'_, T> {
        let now = if is_timed { self.settings.time.now() } else { Moment::ZERO };
        Visit::new(&self.settings, now)
    }

    /// One step of a producer's under the lock, and what follows from it once that is open.
    #[inline]
    pub(super) fn step<R>(&self, step: impl FnOnce(&mut State<T>, &mut Visit<'_, T>) -> R) -> R {
        self.step_in(self.visit_at(self.is_put_timed), step)
    }

    /// The same for a consumer.
    #[inline]
    pub(super) fn step_to_take<R>(
        &self,
        step: impl FnOnce(&mut State<T>, &mut Visit<'_, T>) -> R,
    ) -> R {
        self.step_in(self.visit_to_take(), step)
    }

    #[inline]
    fn step_in<'a, R>(
        &'a self,
        mut visit: Visit<'a, T>,
        step: impl FnOnce(&mut State<T>, &mut Visit<'_, T>) -> R,
    ) -> R {
        let result = step(&mut self.lock(), &mut visit);
        visit.end();
        result
    }
}
