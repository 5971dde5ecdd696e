//! Permits that come back late.

use std::time::Duration;

use crate::clock::Moment;

use super::Gate;

impl Gate {
    /// Keeps the permit of an attempt that ended without an answer, for a grace. False: the caller gives it back. Its actor, or a
    /// call that finds no permit, gives it back later.
    pub(crate) fn keep_permit(&self, answers_take: impl FnOnce() -> Duration, now: Moment) -> bool {
        self.lingering.keep(answers_take, now)
    }

    /// Gives back the permits whose grace is over. Whether there were any.
    pub(crate) fn end_graces(&self, now: Moment) -> bool {
        let due = self.lingering.take_due(now);
        (0..due).for_each(|_| self.waiting_room().leave(|| now));
        due > 0
    }

    /// Permits that are kept back. `None`: there is no grace.
    pub(crate) fn kept_permits(&self) -> Option<u32> {
        self.lingering.is_on().then(|| self.lingering.kept())
    }

    /// Attempts that hold a permit themselves; see [`Permits::active_and_fence`](crate::bulkhead::Permits::active_and_fence).
    pub(crate) fn attempts_and_fence(&self) -> u32 {
        let active = self.waiting_room().permits().active_and_fence();
        active.saturating_sub(self.lingering.kept())
    }
}
