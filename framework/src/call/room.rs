//! The waiting room: the bulkhead's permits and the bounded line of calls that wait for one.
//!
//! While permits are free a call takes one with a CAS and never comes in here. When they are not, it
//! joins the line under a short lock. Whoever gives a permit back calls up the next in line; whoever
//! opens the breaker turns everybody away; whoever opens a key's, that key's calls. Wakers are collected under the lock and woken after it.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::backpressure::{self, Counts, Key, Push, Queue};
use crate::bulkhead::{Joined, Permits};
use crate::clock::Moment;
use crate::sync::{Mutex, wake};

/// How a wait ended without a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnedAway {
    /// The line was full.
    Full,
    /// The strategy dropped this call to make room, or instead of making room.
    Dropped,
    /// The wait took too long while in the line.
    Expired,
    /// The wait took too long while blocked outside a full line.
    ExpiredBlocked,
    /// The breaker opened.
    Flushed,
    /// Seawall is shutting down.
    ShutDown,
}

/// What became of a call that came for a permit.
#[derive(Debug)]
pub(crate) enum Join {
    /// It has one.
    Acquired,
    /// It waits.
    Waiting(Ticket),
    /// It may not wait.
    Refused(TurnedAway),
}

/// Tells one key from another, for as long as a call on it waits: then it is not evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyId(pub(crate) usize);

/// A place in the line.
#[derive(Debug)]
pub(crate) struct Ticket {
    waiter: Arc<Waiter>,
    key: Key,
    /// Nobody else is in the line: from now on the actor should look in now and then.
    pub(crate) is_first: bool,
}

#[derive(Debug)]
pub(crate) struct Waiter {
    of: Option<KeyId>,
    /// After this nobody calls it up any more.
    give_up_at: Moment,
    slot: Mutex<Slot>,
}

#[derive(Debug)]
enum Slot {
    Waiting(Option<Waker>),
    Granted,
    TurnedAway(TurnedAway),
}

impl Waiter {
    /// Ends the wait, once; the first word counts.
    fn settle(&self, end: Slot, wakers: &mut Wakers) {
        let mut slot = self.slot.lock();
        if let Slot::Waiting(waker) = &mut *slot {
            let waker = waker.take();
            *slot = end;
            wakers.0.extend(waker);
        }
    }
}

/// Tasks to wake once no lock is held. Waking them is not optional.
#[derive(Debug, Default)]
#[must_use = "whoever is settled but not woken sleeps for ever"]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(wake);
    }
}

#[derive(Debug)]
pub(crate) struct Room {
    permits: Permits,
    line: Mutex<Queue<Arc<Waiter>>>,
}

impl Room {
    pub(crate) fn new(max_concurrent: u32, mailbox: &backpressure::Config) -> Self {
        Self { permits: Permits::new(max_concurrent), line: Mutex::new(Queue::new(mailbox)) }
    }

    pub(crate) fn permits(&self) -> &Permits {
        &self.permits
    }

    /// Goes by another limit and another line from now on. Permits that are out stay out, and whoever is
    /// in line stays in line. Whoever may come in is still to be woken.
    pub(crate) fn reconfigure(
        &self,
        max_concurrent: u32,
        mailbox: &backpressure::Config,
        now: Moment,
    ) -> Wakers {
        let mut wakers = Wakers::default();
        let mut line = self.line.lock();
        line.reconfigure(mailbox);
        if self.permits.set_limit(max_concurrent) {
            self.hand_over(&mut line, now, &mut wakers);
        }
        wakers
    }

    /// Takes a permit if one is free and nobody is waiting. Its holder owes a [`Room::leave`].
    #[inline]
    pub(crate) fn try_enter(&self) -> bool {
        self.permits.try_acquire()
    }

    /// Gives a permit back; calls up whoever is next.
    #[inline]
    pub(crate) fn leave(&self, now: impl FnOnce() -> Moment) {
        if self.permits.release() {
            self.call_up(now());
        }
    }

    /// Takes a permit or a place in the line, for a call on `of`. `turned_away` is asked with the line locked, so that a
    /// flush that has passed cannot be followed by a newcomer that has not heard of it.
    pub(crate) fn join(
        &self,
        of: Option<KeyId>,
        give_up_at: Moment,
        blocked_until: Moment,
        turned_away: impl FnOnce() -> Option<TurnedAway>,
    ) -> Join {
        let mut wakers = Wakers::default();
        let mut line = self.line.lock();
        if let Some(end) = turned_away() {
            return Join::Refused(end);
        }
        match self.permits.acquire_or_join() {
            Joined::Acquired => return Join::Acquired,
            Joined::Overflow => return Join::Refused(TurnedAway::Full),
            Joined::Waiting => {}
        }
        let full = line.len() >= line.capacity();
        let waiter = Arc::new(Waiter {
            of,
            give_up_at: if full { give_up_at.min(blocked_until) } else { give_up_at },
            slot: Mutex::new(Slot::Waiting(None)),
        });
        let joined = match line.push(Arc::clone(&waiter)) {
            Push::Waiting(key) | Push::Blocked(key) => {
                Join::Waiting(Ticket { waiter, key, is_first: line.len() == 1 })
            }
            Push::Evicted { key, evicted } => {
                self.permits.leave(1);
                evicted.settle(Slot::TurnedAway(TurnedAway::Dropped), &mut wakers);
                Join::Waiting(Ticket { waiter, key, is_first: false })
            }
            Push::Full(_) => Join::Refused(TurnedAway::Full),
            Push::Dropped(_) => Join::Refused(TurnedAway::Dropped),
        };
        if matches!(joined, Join::Refused(_)) {
            self.permits.leave(1);
        }
        drop(line);
        wakers.wake();
        joined
    }

    /// Hands free permits to whoever is next in line.
    pub(crate) fn call_up(&self, now: Moment) {
        let mut wakers = Wakers::default();
        self.hand_over(&mut self.line.lock(), now, &mut wakers);
        wakers.wake();
    }

    fn hand_over(&self, line: &mut Queue<Arc<Waiter>>, now: Moment, wakers: &mut Wakers) {
        self.shed_expired(line, now, wakers);
        while !line.is_empty() && self.permits.grant() {
            if let Some(waiter) = line.pop() {
                waiter.settle(Slot::Granted, wakers);
            }
            self.shed_expired(line, now, wakers);
        }
    }

    /// What has waited past its time is never dispatched.
    fn shed_expired(&self, line: &mut Queue<Arc<Waiter>>, now: Moment, wakers: &mut Wakers) {
        while line.front().is_some_and(|waiter| waiter.give_up_at < now) {
            if let Some(waiter) = line.drop_front() {
                self.permits.leave(1);
                waiter.settle(Slot::TurnedAway(TurnedAway::Expired), wakers);
            }
        }
    }

    /// Turns everybody away at once.
    pub(crate) fn flush(&self, end: TurnedAway) {
        self.turn_out(Queue::drain, end);
    }

    /// Turns the calls on one key away at once; the others move up.
    pub(crate) fn flush_key(&self, key: KeyId, end: TurnedAway) {
        self.turn_out(|line| line.remove_where(|waiter| waiter.of == Some(key)), end);
    }

    fn turn_out(
        &self,
        take: impl FnOnce(&mut Queue<Arc<Waiter>>) -> Vec<Arc<Waiter>>,
        end: TurnedAway,
    ) {
        let mut wakers = Wakers::default();
        let mut line = self.line.lock();
        let waiters = take(&mut line);
        // A line is shorter than 2^21.
        self.permits.leave(waiters.len() as u32);
        for waiter in waiters {
            waiter.settle(Slot::TurnedAway(end), &mut wakers);
        }
        drop(line);
        wakers.wake();
    }

    /// Whether the wait is over, and how; else remembers whom to wake.
    pub(crate) fn poll(
        &self,
        ticket: &Ticket,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), TurnedAway>> {
        match &mut *ticket.waiter.slot.lock() {
            Slot::Granted => Poll::Ready(Ok(())),
            Slot::TurnedAway(end) => Poll::Ready(Err(*end)),
            Slot::Waiting(waker) => {
                if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    *waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    /// Gives the place up. `None`: it had already been exchanged for a permit, which the caller now holds.
    pub(crate) fn give_up(&self, ticket: &Ticket) -> Option<TurnedAway> {
        let mut line = self.line.lock();
        let blocked = line.is_blocked(ticket.key);
        if line.remove(ticket.key).is_some() {
            self.permits.leave(1);
            return Some(match blocked {
                Some(true) => TurnedAway::ExpiredBlocked,
                _ => TurnedAway::Expired,
            });
        }
        drop(line);
        match &*ticket.waiter.slot.lock() {
            Slot::TurnedAway(end) => Some(*end),
            // Settled before it left the line, so this is a grant.
            Slot::Granted | Slot::Waiting(_) => None,
        }
    }

    /// When this wait is over at the latest.
    pub(crate) fn gives_up_at(ticket: &Ticket) -> Moment {
        ticket.waiter.give_up_at
    }

    /// Waiting, and blocked behind a full line.
    pub(crate) fn counts(&self) -> Counts {
        self.line.lock().counts()
    }

    pub(crate) fn fill_ratio(&self) -> f64 {
        self.line.lock().fill_ratio()
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.line.lock().capacity()
    }
}
