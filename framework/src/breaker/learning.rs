//! What a breaker with an adaptive threshold learns, and who looks after that.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;

use super::adaptive::{History, Memory, Reading};
use super::state::CircuitBreaker;

impl CircuitBreaker {
    /// What it has learned, if its settings have an adaptive threshold.
    fn memory(&self) -> Option<Arc<Memory>> {
        if !self.is_adaptive() {
            return None;
        }
        self.transitions.lock().memory.clone()
    }

    /// Whether its threshold follows what is normal.
    #[must_use]
    pub fn is_adaptive(&self) -> bool {
        self.settings.with(|settings| settings.config.trip().adaptive.is_some())
    }

    /// What an adaptive threshold goes by at `now`; `None` if it has none.
    #[must_use]
    pub fn reading(&self, now: Moment) -> Option<Reading> {
        self.memory().map(|memory| memory.reading(now))
    }

    /// Tells an adaptive breaker that at `now` it is `since_epoch` after the Unix epoch, and learns what is
    /// over. Returns when to tell it again: when the calls of the next five minutes have left its window.
    /// `None`: its threshold is not adaptive.
    ///
    /// Until it is told, the clock's origin is the epoch. A breaker that is not told again goes on
    /// counting and learning; it only does not notice that the wall clock was put right.
    pub fn tend(&self, now: Moment, since_epoch: Duration) -> Option<Moment> {
        let memory = self.memory()?;
        memory.set_wall_clock(now, since_epoch);
        self.settings.with(|settings| settings.window.tend(now))
    }

    /// What it has learned, for keeping; `None` if its threshold is not adaptive.
    #[must_use]
    pub fn history(&self) -> Option<History> {
        self.memory().map(|memory| memory.history())
    }

    /// Adds what was learned in an earlier run to what has been learned in this one. Does nothing if its
    /// threshold is not adaptive.
    pub fn restore(&self, history: &History, now: Moment) {
        if let Some(memory) = self.memory() {
            memory.restore(Some(history), now);
        }
    }

    /// For one that keeps its history: whether nobody has yet looked for an earlier one.
    pub(crate) fn wants_history(&self) -> bool {
        self.memory().is_some_and(|memory| !memory.is_restored())
    }

    /// There was no earlier one to add.
    pub(crate) fn has_no_history(&self, now: Moment) {
        if let Some(memory) = self.memory() {
            memory.restore(None, now);
        }
    }

    /// Learns what has left the window, though its five minutes are not over: there will be no later.
    pub(crate) fn round_off(&self) {
        if let Some(memory) = self.memory() {
            memory.round_off();
        }
    }

    /// What it has learned, if that is more than when this was last asked.
    pub(crate) fn news(&self) -> Option<History> {
        self.memory()?.news()
    }

    /// The last news was not kept.
    pub(crate) fn renew_news(&self) {
        if let Some(memory) = self.memory() {
            memory.renew_news();
        }
    }
}
