//! How many permits there are: found, lent by a fleet, or kept back for a while.

use std::time::Duration;

use crate::bulkhead::Ended;
use crate::clock::Moment;
use crate::dependency::fleet::{FleetSeat, LOOKS};
use crate::sync::Wakers;

use super::Gate;

impl Gate {
    /// An attempt with this timeout has ended, and still has its permit: the number of permits may change with it. Of a fixed
    /// number it is not to be told.
    #[inline(never)]
    pub(crate) fn tune(&self, ended: Ended, timeout: impl FnOnce() -> Duration, now: Moment) {
        let room = &self.waiting_room;
        let inflight = room.permits().active();
        let limit = self.tuner.with(|tuner| {
            tuner.as_ref().and_then(|tuner| tuner.ended(now, ended, inflight, timeout))
        });
        if let Some(limit) = limit {
            self.set_found_limit(limit, now);
        }
    }

    #[cold]
    fn set_found_limit(&self, limit: u32, now: Moment) {
        if !self.waiting_room.is_exclusive() {
            self.set_limit(limit, now).wake();
        }
    }

    /// Keeps the permits of an attempt that ended without an answer, for a grace. False: the caller gives it back. Its actor, or a
    /// call that finds no permit, gives it back later.
    pub(crate) fn keep_permit(
        &self,
        weight: u32,
        now_and_answers_take: impl FnOnce() -> (Moment, Duration),
    ) -> bool {
        self.lingering.keep(weight, now_and_answers_take)
    }

    /// Gives back the permits whose grace is over. Whether there were any; then a drain is to look again.
    #[inline]
    pub(in crate::dependency) fn end_graces(&self, now: Moment) -> bool {
        let due = self.lingering.take_due(now);
        if due > 0 {
            self.waiting_room().leave(due, || now);
        }
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

    /// Takes its permits from a fleet's, from now on. False: it does already.
    pub(in crate::dependency) fn seat(&self, seat: FleetSeat) -> bool {
        self.seat.set(Box::new(seat)).is_ok()
    }

    /// Has so many permits from now on, or as many of them as its fleet has for it. Returns who is to be woken.
    pub(super) fn set_limit(&self, limit: u32, now: Moment) -> Wakers {
        let room = self.waiting_room();
        match self.seat.get() {
            Some(seat) => {
                seat.set_cap(limit, room.permits());
                room.grant(now)
            }
            None => room.set_limit(limit, now),
        }
    }

    /// Asks its fleet for more permits, for a call that finds none. Whether there are any.
    pub(crate) fn ask_fleet(&self, now: Moment) -> bool {
        let has_more = self.seat.get().is_some_and(|seat| seat.ask(now));
        if has_more {
            self.waiting_room().grant_free(now);
        }
        has_more
    }

    /// The same for calls that wait. When to ask again.
    pub(super) fn ask_for_waiters(&self, now: Moment) -> Option<Moment> {
        self.seat.get()?;
        if self.waiters() == 0 {
            return None;
        }
        self.ask_fleet(now);
        Some(now + LOOKS)
    }
}
