//! The waiting room: the bulkhead's permits, and the bounded queue of calls that wait for one.
//!
//! While permits are free, a call takes one with a compare-and-swap and never enters the queue. When none is free, it
//! joins the queue under a short lock. The caller that gives a permit back hands it to the next waiter. The caller that
//! opens the breaker refuses all waiters; the caller that opens a key's breaker refuses the waiters on that key.
//!
//! Wakers are never cloned, dropped or called while a lock is held: each can run any code, and with it take the lock
//! again.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::backpressure::{self, Counts, MailboxOrder, Push, Queue};
use crate::bulkhead::{Joined, Permits, Seen};
use crate::clock::{Moment, nanos};
use crate::sync::{AtomicU64, Mutex, Ordering, Wakers, keep_waker};

use super::full::Full;
use super::late_lines::LateLines;
use super::lines::{Lines, Spot};
use super::upstream::Upstream;
use super::waiter::{Join, KeyId, Newcomer, Position, WaitEnd, WaitError, Waiter};

#[derive(Debug)]
// Every call writes the first, whose place the gate gives thought to.
#[repr(C)]
pub(crate) struct WaitingRoom {
    permits: Permits,
    full: Full,
    has_priorities: AtomicBool,
    /// There is one permit, whatever a policy says.
    is_exclusive: AtomicBool,
    /// Whether calls are served in an order that goes by what an attempt takes; and that, in nanoseconds, 0 while it is not known.
    is_timed: AtomicBool,
    service_time: AtomicU64,
    upstream: Upstream,
    queue: Mutex<LateLines<Waiter>>,
}

impl WaitingRoom {
    pub(crate) fn new(max_concurrent: u32, mailbox: &backpressure::Config) -> Self {
        let room = Self {
            permits: Permits::new(max_concurrent),
            full: Full::default(),
            has_priorities: AtomicBool::new(false),
            is_exclusive: AtomicBool::new(false),
            is_timed: AtomicBool::new(false),
            service_time: AtomicU64::new(0),
            upstream: Upstream::default(),
            queue: Mutex::new(LateLines::new(mailbox)),
        };
        room.go_by(mailbox);
        room
    }

    /// What is read of the mailbox's settings without the queue's lock.
    fn go_by(&self, mailbox: &backpressure::Config) {
        self.full.set(mailbox);
        self.has_priorities.store(mailbox.priorities(), Ordering::Relaxed);
        self.is_timed.store(mailbox.order() != MailboxOrder::Fifo, Ordering::Relaxed);
    }

    /// How long an attempt takes, if the order of calls goes by that.
    pub(crate) fn tell_service_time(&self, observed: impl FnOnce() -> Option<Duration>) {
        if self.is_timed.load(Ordering::Relaxed)
            && let Some(observed) = observed()
        {
            self.service_time.store(nanos(observed), Ordering::Relaxed);
        }
    }

    /// Those who look at how many wait.
    pub(super) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Whether it matters how important a call is.
    pub(crate) fn has_priorities(&self) -> bool {
        self.has_priorities.load(Ordering::Relaxed)
    }

    /// Whether the queue is known to be full, or to drop newcomers, without its lock.
    pub(crate) fn full(&self) -> &Full {
        &self.full
    }

    pub(crate) fn permits(&self) -> &Permits {
        &self.permits
    }

    /// Applies another mailbox. Every waiter keeps its position.
    pub(crate) fn reconfigure(&self, mailbox: &backpressure::Config) {
        let mut queue = self.queue.lock_briefly();
        queue.reconfigure(mailbox);
        self.go_by(mailbox);
    }

    /// Has so many permits from now on. Those that are out stay out.
    pub(crate) fn set_limit(&self, max_concurrent: u32, now: Moment) -> Wakers {
        if self.permits.limit() != max_concurrent && self.permits.set_limit(max_concurrent) {
            return self.grant(now);
        }
        Wakers::default()
    }

    /// Whether there is one permit, whatever a policy says.
    pub(super) fn is_exclusive(&self) -> bool {
        self.is_exclusive.load(Ordering::Relaxed)
    }

    /// From now on there is.
    pub(super) fn be_exclusive(&self) {
        self.is_exclusive.store(true, Ordering::Relaxed);
    }

    /// Hands free permits to the next waiters, whom the caller wakes.
    pub(crate) fn grant(&self, now: Moment) -> Wakers {
        let mut wakers = Wakers::default();
        if let Some(queue) = self.queue.lock_briefly().made() {
            self.hand_over(queue, now, &mut wakers);
        }
        wakers
    }

    /// Takes so many permits if they are free and no call waits. Their holder owes a [`WaitingRoom::leave`].
    #[inline]
    pub(crate) fn try_enter(&self, weight: u32) -> bool {
        self.permits.take(weight)
    }

    /// Whether so many permits are free and no call waits, for [`WaitingRoom::enter_seen`].
    #[inline]
    pub(crate) fn look(&self, weight: u32) -> Option<Seen> {
        self.permits.look(weight)
    }

    /// [`WaitingRoom::try_enter`], of what was looked at before.
    #[inline]
    pub(crate) fn enter_seen(&self, seen: Seen, weight: u32) -> bool {
        self.permits.take_seen(seen, weight)
    }

    /// Gives so many permits back, and hands them to the next waiters.
    #[inline]
    pub(crate) fn leave(&self, weight: u32, now: impl FnOnce() -> Moment) {
        if self.permits.release_many(weight) {
            self.grant_free(now());
        }
    }

    /// Takes a permit, or a position in the queue. `refused` is asked with the queue locked: a newcomer that joins after a
    /// flush has seen what caused the flush.
    pub(crate) fn join(
        &self,
        newcomer: Newcomer<'_>,
        refused: impl FnOnce() -> Option<WaitError>,
    ) -> Join {
        let Newcomer { key, weight, class, rank, limits, now, waker } = newcomer;
        // Declared before the lock, so dropped after it.
        let mut waker = waker.cloned();
        let mut not_let_in = None;
        let end = Arc::<WaitEnd>::default();
        let mut wakers = Wakers::default();
        let mut lock = self.queue.lock_briefly();
        if let Some(error) = refused() {
            return Join::Refused(error);
        }
        match self.permits.acquire_or_join(weight) {
            Joined::Acquired => return Join::Acquired,
            Joined::Overflow => return Join::Refused(WaitError::Full),
            Joined::Waiting => {}
        }
        let queue = lock.get();
        // Itself is counted as waiting.
        let present = self.permits.active() + self.permits.waiters() - 1;
        if queue.sheds(rank, (present, self.permits.limit()), now) {
            self.permits.leave(1);
            self.full.count();
            return Join::Refused(WaitError::Shed);
        }
        let (since, waker) = (now, waker.take());
        let waiter = Waiter { key, weight, since, limits, waker, end: Arc::clone(&end) };
        let (line, pushed) = queue.push(class, waiter);
        let waiting = |item, is_blocked, is_first| {
            let (spot, gives_up_at) = (Spot::new(line, item), limits.end(is_blocked));
            Join::Waiting(Position { end, limits, spot, gives_up_at, is_first })
        };
        let joined = match pushed {
            Push::Waiting(item) => waiting(item, false, queue.len() == 1),
            Push::Blocked(item) => waiting(item, true, false),
            Push::Evicted { key: item, evicted } => {
                self.permits.leave(1);
                evicted.settle(Err(WaitError::Dropped), &mut wakers);
                self.hand_on(queue, now, &mut wakers);
                waiting(item, false, false)
            }
            Push::Full(waiter) => {
                not_let_in = Some(waiter);
                Join::Refused(WaitError::Full)
            }
            Push::Dropped(waiter) => {
                not_let_in = Some(waiter);
                Join::Refused(WaitError::Dropped)
            }
        };
        if matches!(joined, Join::Refused(_)) {
            self.permits.leave(1);
            queue.waited_in_vain();
        }
        drop(lock);
        drop(not_let_in);
        wakers.wake();
        self.upstream.tell();
        joined
    }

    /// Hands free permits to the next waiters.
    pub(crate) fn grant_free(&self, now: Moment) {
        self.grant(now).wake();
        self.upstream.tell();
    }

    /// After a waiter has left without a permit: if it was a heavy one, those behind it may need less than is free.
    fn hand_on(&self, queue: &mut Lines<Waiter>, now: Moment, wakers: &mut Wakers) {
        if self.permits.waiters() > 0 && self.permits.active() < self.permits.limit() {
            self.hand_over(queue, now, wakers);
        }
    }

    fn hand_over(&self, queue: &mut Lines<Waiter>, now: Moment, wakers: &mut Wakers) {
        let order = queue.order(Duration::from_nanos(self.service_time.load(Ordering::Relaxed)));
        self.shed(queue, order, now, wakers);
        // The call that is next waits until there is enough for it, however heavy it is, and no call behind it passes.
        while queue.next_weight(order, now).is_some_and(|weight| self.permits.grant(weight)) {
            if let Some(waiter) = queue.pop(order, now) {
                waiter.settle(Ok(()), wakers);
            }
            self.shed(queue, order, now, wakers);
        }
    }

    /// Refuses every waiter at once.
    pub(crate) fn flush(&self, error: WaitError) {
        self.refuse(Queue::drain, error, None);
    }

    /// Refuses the waiters on one key at once. The others move up.
    pub(crate) fn flush_key(&self, key: KeyId, error: WaitError, now: Moment) {
        let of_key =
            |queue: &mut Queue<Waiter>| queue.remove_where(|waiter| waiter.key == Some(key));
        self.refuse(of_key, error, Some(now));
    }

    /// `now`: there may be others, who move up.
    fn refuse(
        &self,
        take: impl Fn(&mut Queue<Waiter>) -> Vec<Waiter>,
        error: WaitError,
        now: Option<Moment>,
    ) {
        let mut wakers = Wakers::default();
        let mut lock = self.queue.lock_briefly();
        if let Some(queue) = lock.made() {
            let waiters: Vec<_> = queue.all().flat_map(|line| take(&mut line.queue)).collect();
            // A queue is shorter than 2^21.
            self.permits.leave(waiters.len() as u32);
            for waiter in waiters {
                waiter.settle(Err(error), &mut wakers);
            }
            if let Some(now) = now {
                self.hand_on(queue, now, &mut wakers);
            }
        }
        drop(lock);
        wakers.wake();
        self.upstream.tell();
    }

    /// Whether the wait is over, and how. If not, keeps the waker of this task.
    pub(crate) fn poll(
        &self,
        position: &Position,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), WaitError>> {
        if position.end.get().is_pending() {
            ready!(keep_waker(
                cx,
                || self.queue.lock_briefly(),
                // Nobody there: it has left meanwhile, so its wait has ended.
                |queue| {
                    let waiter = queue.get().get_mut(position.spot);
                    waiter.map(|waiter| &mut waiter.waker).ok_or(())
                },
            ));
        }
        position.end.get()
    }

    /// Gives the position up. `None`: it had already been exchanged for a permit, which the caller now holds.
    pub(crate) fn give_up(
        &self,
        position: &Position,
        now: impl FnOnce() -> Moment,
    ) -> Option<WaitError> {
        let mut lock = self.queue.lock_briefly();
        let queue = lock.get();
        let blocked = queue.is_blocked(position.spot);
        let removed = queue.remove(position.spot);
        if removed.is_some() {
            let mut wakers = Wakers::default();
            self.permits.leave(1);
            queue.waited_in_vain();
            if self.permits.waiters() > 0 {
                self.hand_on(queue, now(), &mut wakers);
            }
            drop(lock);
            drop(removed);
            wakers.wake();
            self.upstream.tell();
            return Some(match blocked {
                Some(true) => WaitError::ExpiredBlocked,
                _ => WaitError::Expired,
            });
        }
        drop(lock);
        match position.end.get() {
            Poll::Ready(Err(error)) => Some(error),
            // It has left the queue, so this is a grant.
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }

    /// When this wait is over at the latest. Later than before, once a blocked call has moved up into the queue.
    pub(crate) fn gives_up_at(&self, position: &Position) -> Moment {
        let is_blocked = self.queue.lock_briefly().get().is_blocked(position.spot);
        position.limits.end(is_blocked == Some(true))
    }

    /// What the queue has seen, and how many wait in it now.
    pub(crate) fn counts(&self) -> Counts {
        let queue = self.queue.lock_briefly();
        let refused = self.full.refused();
        let counts = queue.counts();
        // Each was received, and dropped at the same moment.
        Counts { received: counts.received + refused, dropped: counts.dropped + refused, ..counts }
    }

    pub(crate) fn fill_ratio(&self) -> f64 {
        self.queue.lock_briefly().fill_ratio()
    }

    /// The share of calls without a permit that is shed by priority.
    pub(crate) fn shed_share(&self) -> Option<f64> {
        self.queue.lock_briefly().shed_share()
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.queue.lock_briefly().capacity()
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::backpressure::{Importance, MailboxOrder, Priority, Rank, Strategy};
    use crate::dependency::waiter::WaitLimits;

    const fn at(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    /// Its permits are all out.
    fn room(permits: u32) -> WaitingRoom {
        let room = WaitingRoom::new(permits, &backpressure::Config::default());
        (0..permits).for_each(|_| assert!(room.try_enter(1)));
        room
    }

    fn newcomer(until: Moment) -> Newcomer<'static> {
        let limits = WaitLimits { give_up_at: until, blocked_until: until, noticed_late: until };
        let (class, rank) = (Importance::Normal, Rank::LEAST);
        Newcomer { weight: 1, key: None, class, rank, limits, now: Moment::ZERO, waker: None }
    }

    fn wait(room: &WaitingRoom, until: Moment) -> Position {
        match room.join(newcomer(until), || None) {
            Join::Waiting(position) => position,
            joined => panic!("{joined:?}"),
        }
    }

    fn poll(room: &WaitingRoom, position: &Position) -> Poll<Result<(), WaitError>> {
        room.poll(position, &mut Context::from_waker(Waker::noop()))
    }

    /// One permit, which is out, and a line of two for each class, in this order.
    fn prioritised(order: MailboxOrder) -> WaitingRoom {
        let mailbox = backpressure::Config::builder().capacity(2).on_full(Strategy::Error);
        let mailbox = mailbox.priorities(true).order(order).build().unwrap();
        let room = WaitingRoom::new(1, &mailbox);
        assert!(room.try_enter(1));
        room
    }

    fn told(room: &WaitingRoom) -> (f64, u32) {
        room.queue.lock_briefly().get().told().unwrap()
    }

    #[test]
    fn a_newcomer_finds_those_before_it_and_not_itself() {
        let room = prioritised(MailboxOrder::Fifo);
        let _first = wait(&room, Moment::MAX);
        assert_eq!(told(&room), (1.0, 0));
        let _second = wait(&room, Moment::MAX);
        assert_eq!(told(&room), (3.0, 0));
    }

    #[test]
    fn every_call_that_waits_in_vain_is_told_of_once() {
        let room = prioritised(MailboxOrder::Fifo);
        let (first, _second) = (wait(&room, at(100)), wait(&room, at(300)));
        assert!(matches!(room.join(newcomer(at(100)), || None), Join::Refused(WaitError::Full)));
        assert_eq!(told(&room).1, 1, "no room");
        assert_eq!(room.give_up(&first, || at(100)), Some(WaitError::Expired));
        assert_eq!(told(&room).1, 2, "given up");
        let over = wait(&room, at(200));
        room.leave(1, || at(400));
        assert_eq!(poll(&room, &over), Poll::Ready(Err(WaitError::Expired)));
        assert_eq!(told(&room).1, 4, "both are out of time");

        let room = prioritised(MailboxOrder::Codel);
        room.tell_service_time(|| Some(Duration::from_millis(10)));
        let late: Vec<Position> = (0..2).map(|_| wait(&room, Moment::MAX)).collect();
        for second in [1, 3] {
            room.grant_free(at(second * 1_000_000_000));
        }
        let dropped = late.iter().filter(|it| poll(&room, it).is_ready()).count() as u32;
        assert_eq!((dropped, told(&room).1), (2, 2), "dropped late");
    }

    #[test]
    fn a_call_that_is_shed_counts_as_received_and_dropped() {
        let room = prioritised(MailboxOrder::Fifo);
        let counts = || (room.counts().received, room.counts().dropped);
        let is_shed = |now: u64| {
            let class = Importance::Sheddable;
            let newcomer = Newcomer { now: at(now), class, ..newcomer(at(now)) };
            matches!(room.join(newcomer, || None), Join::Refused(WaitError::Shed))
        };
        let mut before = counts();
        let mut moments = (1..20_000).map(|n| n * 50_000_000);
        let found = moments.find(|now| {
            before = counts();
            is_shed(*now)
        });
        assert!(found.is_some(), "nobody is shed");
        assert_eq!(counts(), (before.0 + 1, before.1 + 1));
    }

    #[test]
    fn the_permit_of_a_call_that_leaves_goes_to_the_first_that_waits() {
        let room = room(1);
        let (first, second) = (wait(&room, Moment::MAX), wait(&room, Moment::MAX));
        assert_eq!(poll(&room, &first), Poll::Pending);
        room.leave(1, || at(5));
        assert_eq!(poll(&room, &first), Poll::Ready(Ok(())));
        assert_eq!((poll(&room, &second), room.permits().waiters()), (Poll::Pending, 1));
    }

    #[test]
    fn a_call_out_of_time_behind_one_that_is_granted_hears_so_at_once() {
        let room = room(1);
        let first = wait(&room, at(100));
        let (over, last) = (wait(&room, at(10)), wait(&room, at(100)));
        room.leave(1, || at(50));
        assert_eq!(poll(&room, &first), Poll::Ready(Ok(())));
        assert_eq!(poll(&room, &over), Poll::Ready(Err(WaitError::Expired)));
        assert_eq!((poll(&room, &last), room.permits().waiters()), (Poll::Pending, 1));
    }

    /// A call that needs two permits, and one behind it that needs one, while one of two is free.
    fn heavy_before_light(room: &WaitingRoom) -> [Position; 2] {
        let heavy = Newcomer { weight: 2, ..newcomer(Moment::MAX) };
        let Join::Waiting(heavy) = room.join(heavy, || None) else { panic!("has to wait") };
        let light = wait(room, Moment::MAX);
        room.leave(1, || at(1));
        assert_eq!([&heavy, &light].map(|it| poll(room, it)), [Poll::Pending; 2], "none passes");
        assert!(!room.try_enter(1), "no newcomer, either");
        [heavy, light]
    }

    #[test]
    fn a_heavy_call_is_served_in_its_turn_once_all_that_it_needs_is_free() {
        let room = room(2);
        let [heavy, light] = heavy_before_light(&room);
        room.leave(1, || at(2));
        assert_eq!(poll(&room, &heavy), Poll::Ready(Ok(())));
        assert_eq!((poll(&room, &light), room.permits().active()), (Poll::Pending, 2));
        room.leave(2, || at(3));
        assert_eq!((poll(&room, &light), room.permits().active()), (Poll::Ready(Ok(())), 1));
    }

    #[test]
    fn when_a_heavy_call_gives_up_those_behind_it_have_what_was_free() {
        let room = room(2);
        let [heavy, light] = heavy_before_light(&room);
        assert_eq!(room.give_up(&heavy, || at(2)), Some(WaitError::Expired));
        assert_eq!((poll(&room, &light), room.permits().active()), (Poll::Ready(Ok(())), 2));
    }

    #[test]
    fn when_a_heavy_call_gives_way_to_another_those_behind_it_have_what_was_free() {
        let room = room(2);
        let mailbox = backpressure::Config::builder().capacity(2).on_full(Strategy::DropOldest);
        room.reconfigure(&mailbox.build().unwrap());
        let [heavy, light] = heavy_before_light(&room);
        let last = wait(&room, Moment::MAX);
        assert_eq!(poll(&room, &heavy), Poll::Ready(Err(WaitError::Dropped)));
        assert_eq!((poll(&room, &light), poll(&room, &last)), (Poll::Ready(Ok(())), Poll::Pending));
    }

    #[test]
    fn when_a_heavy_calls_key_is_cut_off_those_behind_it_have_what_was_free() {
        let room = room(2);
        let heavy = Newcomer { weight: 2, key: Some(KeyId(7)), ..newcomer(Moment::MAX) };
        let Join::Waiting(heavy) = room.join(heavy, || None) else { panic!("has to wait") };
        let light = wait(&room, Moment::MAX);
        room.leave(1, || at(1));
        room.flush_key(KeyId(7), WaitError::BreakerOpen, at(2));
        assert_eq!(poll(&room, &heavy), Poll::Ready(Err(WaitError::BreakerOpen)));
        assert_eq!(poll(&room, &light), Poll::Ready(Ok(())));
    }

    #[test]
    fn a_call_that_comes_after_a_flush_does_not_wait() {
        let room = room(1);
        let joined = room.join(newcomer(at(9)), || Some(WaitError::BreakerOpen));
        assert!(matches!(joined, Join::Refused(WaitError::BreakerOpen)), "{joined:?}");
        assert_eq!((room.permits().waiters(), room.counts().received), (0, 0));
    }

    /// What befalls a room.
    #[derive(Clone, Debug)]
    enum Event {
        Joins {
            weight: u32,
            patience: u64,
            class: Importance,
            rank: u32,
        },
        /// The call that has had its permits longest gives them back.
        Leaves,
        /// Of those that wait, this one, counted round.
        GivesUp(usize),
        Flushed,
        KeyFlushed,
        Mailbox {
            capacity: u32,
            strategy: Strategy,
            order: MailboxOrder,
            priorities: bool,
        },
        Limit(u32),
    }

    fn events() -> impl proptest::strategy::Strategy<Value = Vec<(u64, Event)>> {
        use proptest::prelude::{Just, Strategy as _, any, prop, prop_oneof};
        let classes = [Importance::Critical, Importance::Normal, Importance::Sheddable];
        let strategies = [
            Strategy::DropOldest,
            Strategy::DropNewest,
            Strategy::Error,
            Strategy::Block { timeout: Duration::from_secs(1) },
        ];
        let orders = [MailboxOrder::Fifo, MailboxOrder::Lifo, MailboxOrder::Codel];
        let joins = (1_u32..4, 1_u64..2_000, prop::sample::select(classes.to_vec()), any::<u32>());
        let mailbox = (
            1_u32..6,
            prop::sample::select(strategies.to_vec()),
            prop::sample::select(orders.to_vec()),
            any::<bool>(),
        );
        let event = prop_oneof![
            8 => joins.prop_map(|(weight, patience, class, rank)| Event::Joins {
                weight, patience, class, rank,
            }),
            5 => Just(Event::Leaves),
            3 => (0_usize..10).prop_map(Event::GivesUp),
            1 => Just(Event::Flushed),
            1 => Just(Event::KeyFlushed),
            1 => mailbox.prop_map(|(capacity, strategy, order, priorities)| Event::Mailbox {
                capacity, strategy, order, priorities,
            }),
            1 => (1_u32..5).prop_map(Event::Limit),
        ];
        prop::collection::vec((0_u64..300, event), 1..80)
    }

    /// The room, and what its calls know.
    struct World {
        room: WaitingRoom,
        now: u64,
        /// What those need that have a permit, and those that wait.
        held: Vec<u32>,
        waiting: Vec<(u32, Position)>,
    }

    impl World {
        const MS: u64 = 1_000_000;

        fn befalls(&mut self, event: &Event) {
            let now = at(self.now * Self::MS);
            let room = &self.room;
            // So that an order that goes by it drops what is late.
            room.tell_service_time(|| Some(Duration::from_millis(2)));
            match event {
                Event::Joins { weight, patience, class, rank } => {
                    let until = at((self.now + patience) * Self::MS);
                    let newcomer = Newcomer {
                        weight: *weight,
                        key: (*weight == 3).then_some(KeyId(7)),
                        class: *class,
                        rank: Rank::new(Priority::NORMAL, f64::from(*rank) / f64::from(u32::MAX)),
                        now,
                        ..newcomer(until)
                    };
                    match room.join(newcomer, || None) {
                        Join::Acquired => self.held.push(*weight),
                        Join::Waiting(position) => self.waiting.push((*weight, position)),
                        Join::Refused(_) => {}
                    }
                }
                Event::Leaves if self.held.is_empty() => {}
                Event::Leaves => room.leave(self.held.remove(0), || now),
                Event::GivesUp(_) if self.waiting.is_empty() => {}
                Event::GivesUp(at) => {
                    let (_, position) = self.waiting.remove(at % self.waiting.len());
                    assert!(room.give_up(&position, || now).is_some(), "it had no permit");
                }
                Event::Flushed => room.flush(WaitError::BreakerOpen),
                Event::KeyFlushed => room.flush_key(KeyId(7), WaitError::BreakerOpen, now),
                Event::Mailbox { capacity, strategy, order, priorities } => {
                    let mailbox = backpressure::Config::builder().capacity(*capacity);
                    let mailbox = mailbox.on_full(*strategy).order(*order);
                    let mailbox = mailbox.priorities(*priorities).build().unwrap();
                    room.reconfigure(&mailbox);
                }
                Event::Limit(limit) => room.set_limit(*limit, now).wake(),
            }
        }

        /// Lets every call look, and holds what they know against what the room says.
        fn look(&mut self) -> Result<(), proptest::test_runner::TestCaseError> {
            use proptest::{prop_assert, prop_assert_eq};
            let (room, held) = (&self.room, &mut self.held);
            self.waiting.retain(|(weight, position)| match poll(room, position) {
                Poll::Pending => true,
                Poll::Ready(Ok(())) => {
                    held.push(*weight);
                    false
                }
                Poll::Ready(Err(_)) => false,
            });
            let (permits, counts) = (room.permits(), room.counts());
            prop_assert_eq!(
                permits.active(),
                self.held.iter().sum::<u32>(),
                "permits that are out"
            );
            prop_assert_eq!(permits.waiters() as usize, self.waiting.len(), "calls that wait");
            prop_assert_eq!((counts.waiting + counts.blocked_now) as usize, self.waiting.len());
            let gone = counts.processed + counts.dropped;
            prop_assert_eq!(counts.received, gone + self.waiting.len() as u64);
            prop_assert!(permits.active() > 0 || self.waiting.is_empty(), "all wait for nobody");
            Ok(())
        }
    }

    proptest::proptest! {
        #[test]
        fn no_permit_and_no_waiter_is_lost_whatever_befalls_the_room(events in events()) {
            let mut world = World { room: room(0), now: 0, held: Vec::new(), waiting: Vec::new() };
            world.room.set_limit(2, Moment::ZERO).wake();
            for (pause, event) in &events {
                world.now += pause;
                world.befalls(event);
                world.look()?;
            }
        }
    }
}
