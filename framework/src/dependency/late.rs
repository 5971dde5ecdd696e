//! Calls that have waited too long for a permit.

use crate::backpressure::{Order, Queue};
use crate::clock::Moment;
use crate::sync::Wakers;

use super::lines::Lines;
use super::waiter::{WaitError, Waiter};
use super::waiting_room::WaitingRoom;

impl WaitingRoom {
    /// Refuses the calls that have waited too long.
    #[inline]
    pub(super) fn shed(
        &self,
        queue: &mut Lines<Waiter>,
        order: Order,
        now: Moment,
        wakers: &mut Wakers,
    ) {
        let is_any_late = match queue.only_line() {
            Some(line) => order.is_timed() || line.front().is_some_and(|it| it.limits.is_late(now)),
            None => true,
        };
        if is_any_late {
            self.shed_late(queue, order, now, wakers);
        }
    }

    #[cold]
    fn shed_late(&self, queue: &mut Lines<Waiter>, order: Order, now: Moment, wakers: &mut Wakers) {
        let mut shed = 0;
        for line in queue.all() {
            shed += self.shed_expired(&mut line.queue, now, wakers);
            while let Some(waiter) = line.drop_late(order, now) {
                self.permits().leave(1);
                waiter.settle(Err(WaitError::Dropped), wakers);
                shed += 1;
            }
        }
        (0..shed).for_each(|_| queue.waited_in_vain());
    }

    /// Refuses the calls at the head of the queue that have waited too long, in favour of those behind them that have
    /// not. If all have, only those that it is too late for: the thread that gives permits back may have been busy, and
    /// the permit on its way in time.
    fn shed_expired(&self, queue: &mut Queue<Waiter>, now: Moment, wakers: &mut Wakers) -> u32 {
        let mut shed = 0;
        let others_in_time = queue.back().is_some_and(|newest| newest.limits.give_up_at >= now);
        let is_over = |waiter: &Waiter| {
            let limits = waiter.limits;
            limits.noticed_late < now || (others_in_time && limits.give_up_at < now)
        };
        while queue.front().is_some_and(is_over) {
            if let Some(waiter) = queue.drop_front() {
                self.permits().leave(1);
                waiter.settle(Err(WaitError::Expired), wakers);
                shed += 1;
            }
        }
        shed
    }
}
