//! Permits, and the queue of those who wait for one: first come, first served.
//!
//! Who waits reads without a lock whether it is its turn: requests leave the queue from its front, so all whose number is not above
//! that of the last one that was served have left it. Only one that was dropped to make room has to be told apart from them, and those
//! are written down. So a wait allocates nothing but its place in the queue, which the next one uses again.

use std::collections::BTreeSet;
use std::task::{Context, Poll, Waker, ready};

use crate::backpressure::{self, Strategy};
use crate::bulkhead::{Joined, Permits, Taken};
use crate::error::RejectedBy;
use crate::sync::{AtomicU64, Mutex, Ordering, Wakers, keep_waker};

use super::line::{First, Line, Pushed};

#[derive(Debug)]
pub(super) struct Semaphore {
    /// However many wait, it counts one waiter: somebody. So it changes only when a first one joins and when a last one leaves.
    permits: Permits,
    /// The number of the last request that left the queue from its front.
    served: AtomicU64,
    /// Whether a full queue drops its oldest request.
    evicts: bool,
    queue: Mutex<Queue>,
}

#[derive(Debug)]
struct Queue {
    line: Line,
    /// Those that were dropped to make room, until they look.
    evicted: BTreeSet<u64>,
}

/// A place in the queue: the number of the one who has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(u64);

/// What became of one who asked for permits.
#[derive(Debug)]
pub(super) enum Joins {
    /// It has them.
    Acquired,
    /// It waits, blocked in front of the full queue or in it.
    Waiting { place: Place, is_blocked: bool },
    /// It may not wait.
    Refused(RejectedBy),
}

impl Semaphore {
    pub(super) fn new(permits: u32, mailbox: &backpressure::Config) -> Self {
        let queue = Queue { line: Line::new(mailbox), evicted: BTreeSet::new() };
        Self {
            permits: Permits::new(permits),
            served: AtomicU64::new(0),
            evicts: mailbox.on_full() == Strategy::DropOldest,
            queue: Mutex::new(queue),
        }
    }

    pub(super) fn permits(&self) -> &Permits {
        &self.permits
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u32 {
        self.queue.lock_briefly().line.len()
    }

    /// Takes a permit if one is free and nobody waits.
    #[inline]
    pub(super) fn try_one(&self) -> bool {
        match self.permits.take_one() {
            Taken::Free => true,
            Taken::None => false,
            Taken::InExcess => {
                self.give_back_excess();
                false
            }
        }
    }

    #[cold]
    fn give_back_excess(&self) {
        if self.permits.release() {
            self.call_up(u32::MAX);
        }
    }

    #[inline]
    pub(super) fn try_many(&self, weight: u32) -> bool {
        self.permits.try_acquire_many(weight)
    }

    /// Gives so many permits back, and hands them to those who are next.
    #[inline]
    pub(super) fn give_back(&self, weight: u32) {
        if self.permits.release_many(weight) {
            self.call_up(weight);
        }
    }

    /// Where all want one, who gives one back serves one: another permit that is free is another thread's, which is here for the same.
    /// If this one served two, it would wake two tasks, and that thread would have none to go on with.
    fn call_up(&self, given: u32) {
        let mut wakers = Wakers::default();
        let mut queue = self.queue.lock_briefly();
        let at_most = if given == 1 && !queue.line.has_heavy() { 1 } else { u32::MAX };
        self.hand_over(&mut queue, at_most, &mut wakers);
        drop(queue);
        wakers.wake();
    }

    /// The first in line waits until there is enough for it, however heavy it is, and nobody behind it passes.
    fn hand_over(&self, queue: &mut Queue, mut at_most: u32, wakers: &mut Wakers) {
        while at_most > 0
            && queue.line.first_weight().is_some_and(|weight| self.permits.take_in_turn(weight))
        {
            self.serve_first(queue, wakers);
            at_most -= 1;
        }
    }

    fn serve_first(&self, queue: &mut Queue, wakers: &mut Wakers) {
        if let Some(first) = queue.line.pop() {
            self.is_told(first, wakers);
            self.has_left(queue);
        }
    }

    /// One that has left from the front reads so.
    fn is_told(&self, first: First, wakers: &mut Wakers) {
        self.served.store(first.number, Ordering::Release);
        wakers.add(first.waker);
    }

    fn has_left(&self, queue: &Queue) {
        if queue.line.is_empty() {
            self.permits.leave(1);
        }
    }

    /// Takes so many permits, or a place in the queue.
    pub(super) fn join(&self, weight: u32, waker: &Waker) -> Joins {
        // Declared before the lock, so dropped after it.
        let waker = waker.clone();
        let mut wakers = Wakers::default();
        let mut guard = self.queue.lock_briefly();
        let queue = &mut *guard;
        if queue.line.is_empty() && self.permits.acquire_or_join(weight) == Joined::Acquired {
            return Joins::Acquired;
        }
        let waiting = |number, is_blocked| Joins::Waiting { place: Place(number), is_blocked };
        let (joined, not_let_in) = match queue.line.push(weight, waker) {
            Pushed::Waiting(number) => (waiting(number, false), None),
            Pushed::Blocked(number) => (waiting(number, true), None),
            Pushed::Evicted(number, first) => {
                queue.evicted.insert(first.number);
                self.is_told(first, &mut wakers);
                // If it was a heavy one, the newcomer may need less than is free.
                self.hand_over(queue, u32::MAX, &mut wakers);
                (waiting(number, false), None)
            }
            Pushed::Full(waker) => (Joins::Refused(RejectedBy::QueueFull), Some(waker)),
            Pushed::Dropped(waker) => (Joins::Refused(RejectedBy::Dropped), Some(waker)),
        };
        drop(guard);
        drop(not_let_in);
        wakers.wake();
        joined
    }

    /// How the wait has ended, if it has. It has not: this task is woken when it does.
    #[inline]
    pub(super) fn poll(&self, place: Place, cx: &mut Context<'_>) -> Poll<Result<(), RejectedBy>> {
        if !self.is_served(place) {
            ready!(self.keep_waker(place, cx));
        }
        Poll::Ready(if self.was_evicted(place) { Err(RejectedBy::Dropped) } else { Ok(()) })
    }

    /// Ready: nobody is there, it has left meanwhile.
    #[cold]
    fn keep_waker(&self, place: Place, cx: &Context<'_>) -> Poll<()> {
        let lock = || self.queue.lock_briefly();
        keep_waker(cx, lock, |queue| queue.line.waker_mut(place.0).ok_or(()))
    }

    #[inline]
    fn is_served(&self, place: Place) -> bool {
        self.served.load(Ordering::Acquire) >= place.0
    }

    /// Whether it stands in front of the full queue.
    pub(super) fn is_blocked(&self, place: Place) -> bool {
        self.queue.lock_briefly().line.is_blocked(place.0)
    }

    /// Gives the place up, and says what there was none of. `None`: it has left the queue before, and [`Semaphore::poll`] knows how its
    /// wait ended.
    pub(super) fn give_up(&self, place: Place) -> Option<RejectedBy> {
        let mut wakers = Wakers::default();
        let mut queue = self.queue.lock_briefly();
        let (waker, is_blocked) = queue.line.remove(place.0)?;
        self.has_left(&queue);
        // If it was a heavy one, those behind it may need less than is free.
        self.hand_over(&mut queue, u32::MAX, &mut wakers);
        drop(queue);
        drop(waker);
        wakers.wake();
        Some(if is_blocked { RejectedBy::QueueFull } else { RejectedBy::Bulkhead })
    }

    /// As [`Semaphore::give_up`]; a permit that it has been given goes to the next.
    pub(super) fn abandon(&self, place: Place, weight: u32) {
        if self.give_up(place).is_none() && !self.was_evicted(place) {
            self.give_back(weight);
        }
    }

    /// Whether one that has left the queue was dropped to make room. Asked once.
    fn was_evicted(&self, place: Place) -> bool {
        self.evicts && self.queue.lock_briefly().evicted.remove(&place.0)
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::{
        Just, Strategy as _, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
    };

    use super::*;

    #[test]
    fn who_gives_one_back_serves_one_and_leaves_others_that_are_free_to_those_who_gave_them() {
        let semaphore = Semaphore::new(3, &backpressure::Config::default());
        let mut cx = Context::from_waker(Waker::noop());
        let mut join = |weight| match semaphore.join(weight, Waker::noop()) {
            Joins::Waiting { place, .. } => place,
            joined => panic!("has to wait: {joined:?}"),
        };
        assert!(semaphore.try_many(3));
        let [first, second, heavy, last] = [1, 1, 2, 1].map(&mut join);
        let is_served = |place| semaphore.is_served(place);
        // Another thread is here for the same, and has not got further.
        assert!(semaphore.permits.release());
        semaphore.give_back(1);
        assert!(
            is_served(first) && is_served(second),
            "a heavy one waits: all that can be served are"
        );
        semaphore.call_up(1);
        semaphore.give_back(1);
        assert!(!is_served(heavy));
        assert!(semaphore.give_up(heavy).is_some());
        assert!(is_served(last), "there was one left");
        let [first, second] = [1, 1].map(&mut join);
        assert!(semaphore.permits.release());
        semaphore.give_back(1);
        assert!(is_served(first) && !is_served(second));
        semaphore.call_up(1);
        assert_eq!(semaphore.poll(second, &mut cx), Poll::Ready(Ok(())));
        assert_eq!((semaphore.permits.active(), semaphore.waiting()), (3, 0));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Tries(u32),
        Joins(u32),
        /// The holder that has had its permits longest gives them back.
        GivesBack,
        /// Of those that wait, this one, counted round.
        GivesUp(usize),
        /// The same, of all that have not looked.
        Abandons(usize),
    }

    fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            1 => (1_u32..5).prop_map(Step::Tries),
            4 => (1_u32..5).prop_map(Step::Joins),
            4 => Just(Step::GivesBack),
            1 => (0_usize..20).prop_map(Step::GivesUp),
            1 => (0_usize..20).prop_map(Step::Abandons),
        ];
        prop::collection::vec(step, 0..150)
    }

    /// Permits that are out, and who waits, by plain lists.
    #[derive(Default)]
    struct Model {
        limit: u32,
        capacity: usize,
        held: VecDeque<u32>,
        waiting: VecDeque<(u64, u32)>,
        /// Served or dropped, and has not looked.
        served: Vec<(u64, u32)>,
        dropped: Vec<u64>,
    }

    impl Model {
        fn active(&self) -> u32 {
            self.held.iter().sum::<u32>()
                + self.served.iter().map(|(_, weight)| weight).sum::<u32>()
        }
        fn is_free(&self, weight: u32) -> bool {
            self.active() + weight <= self.limit || self.active() == 0
        }
        fn serve(&mut self) {
            while self.waiting.front().is_some_and(|(_, weight)| self.is_free(*weight)) {
                self.served.extend(self.waiting.pop_front());
            }
        }
        fn join(&mut self, number: u64, weight: u32) {
            if self.waiting.len() == self.capacity {
                self.dropped.extend(self.waiting.pop_front().map(|(number, _)| number));
            }
            self.waiting.push_back((number, weight));
            self.serve();
        }
    }

    proptest! {
        #[test]
        fn equals_plain_lists(limit in 1_u32..4, capacity in 1_u32..6, steps in steps()) {
            let mailbox = backpressure::Config::builder().capacity(capacity).on_full(Strategy::DropOldest);
            let semaphore = Semaphore::new(limit, &mailbox.build().unwrap());
            let mut model = Model { limit, capacity: capacity as usize, ..Model::default() };
            let mut cx = Context::from_waker(Waker::noop());
            for step in steps {
                match step {
                    Step::Tries(weight) => {
                        let is_free = model.waiting.is_empty() && model.is_free(weight);
                        let taken = if weight == 1 { semaphore.try_one() } else { semaphore.try_many(weight) };
                        prop_assert_eq!(taken, is_free);
                        model.held.extend(is_free.then_some(weight));
                    }
                    Step::Joins(weight) => match semaphore.join(weight, Waker::noop()) {
                        Joins::Acquired => {
                            prop_assert!(model.waiting.is_empty() && model.is_free(weight));
                            model.held.push_back(weight);
                        }
                        Joins::Waiting { place, is_blocked } => {
                            prop_assert!(!is_blocked);
                            prop_assert!(!(model.waiting.is_empty() && model.is_free(weight)));
                            model.join(place.0, weight);
                        }
                        Joins::Refused(_) => prop_assert!(false, "the oldest makes room"),
                    },
                    Step::GivesBack => {
                        if let Some(weight) = model.held.pop_front() {
                            semaphore.give_back(weight);
                            model.serve();
                        }
                    }
                    Step::GivesUp(_) if model.waiting.is_empty() => {}
                    Step::GivesUp(at) => {
                        let (number, _) = model.waiting.remove(at % model.waiting.len()).unwrap();
                        prop_assert_eq!(semaphore.give_up(Place(number)), Some(RejectedBy::Bulkhead));
                        model.serve();
                    }
                    Step::Abandons(at) => {
                        let served = at.checked_rem(model.served.len()).map(|at| model.served.remove(at));
                        if let Some((number, weight)) = served {
                            semaphore.abandon(Place(number), weight);
                            model.serve();
                        } else if let Some(number) = model.dropped.pop() {
                            semaphore.abandon(Place(number), 1);
                        }
                    }
                }
                prop_assert_eq!(semaphore.permits().active(), model.active());
                prop_assert_eq!(semaphore.waiting() as usize, model.waiting.len());
                for (number, _) in &model.waiting {
                    prop_assert!(semaphore.poll(Place(*number), &mut cx).is_pending());
                }
                // Every other one looks, those that are left later.
                for (number, weight) in model.served.split_off(model.served.len().div_ceil(2)) {
                    prop_assert_eq!(semaphore.poll(Place(number), &mut cx), Poll::Ready(Ok(())));
                    model.held.push_back(weight);
                }
                for number in model.dropped.split_off(model.dropped.len().div_ceil(2)) {
                    let dropped = Poll::Ready(Err(RejectedBy::Dropped));
                    prop_assert_eq!(semaphore.poll(Place(number), &mut cx), dropped);
                }
            }
            prop_assert_eq!(semaphore.queue.lock().evicted.len(), model.dropped.len());
        }
    }
}
