//! Events as a stream: each subscriber hears all of them, in one order, or how many it has missed.
//!
//! All subscribers read from one ring of the latest events. The teller of an event puts it there and
//! wakes those who wait; what a slow subscriber has not read by then, it has lost, and is told how much
//! that was. The ring is there only while somebody subscribes.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use crate::constraint::{Constraints, InvalidSettings};
use crate::event::{Event, Observer};
use crate::sync::{AtomicU64, Mutex, Ordering, wake};

/// How many events are kept for slow subscribers, unless set.
pub const DEFAULT_CAPACITY: usize = 1_024;
/// The most that may be kept: some 100 MB.
pub const MAX_CAPACITY: usize = 1_048_576;

/// An event, and what was missed before it. All subscribers hear events in one order, which need not be that in
/// which one breaker moved: see [`Transition::sequence`](crate::event::Transition::sequence).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Received {
    /// What happened.
    pub event: Event,
    /// How many events came before it, after the last one received, that this subscriber was too slow for.
    pub lost: u64,
}

/// Why there is no event now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryRecvError {
    /// None has happened since the last one.
    #[error("no event at present")]
    Empty,
    /// There will be none any more.
    #[error("seawall is gone, and no event will come")]
    Ended,
}

/// Where events come in and subscribers read them.
pub(crate) struct Events {
    capacity: usize,
    /// Without any, telling costs a load.
    subscribers: AtomicU64,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    /// The latest, oldest first.
    events: VecDeque<Event>,
    /// How many there have been before those.
    before: u64,
    /// Who waits for the next one, by number.
    waiting: Vec<(u64, Waker)>,
    next_subscriber: u64,
    ended: bool,
}

impl Ring {
    /// How many there have been.
    fn sent(&self) -> u64 {
        self.before + self.events.len() as u64
    }
}

impl Events {
    /// Keeps up to `capacity` events for slow subscribers.
    pub(crate) fn new(capacity: usize) -> Result<Self, InvalidSettings> {
        let mut check = Constraints::default();
        check.require(
            (1..=MAX_CAPACITY).contains(&capacity),
            "event_capacity",
            capacity,
            format!("from 1 to {MAX_CAPACITY}"),
        );
        check.finish(Self { capacity, subscribers: AtomicU64::new(0), ring: Mutex::default() })
    }

    /// Hears everything from here on.
    pub(crate) fn subscribe(self: &Arc<Self>) -> EventStream {
        let mut ring = self.ring.lock();
        self.subscribers.fetch_add(1, Ordering::Relaxed);
        ring.next_subscriber += 1;
        EventStream { number: ring.next_subscriber, next: ring.sent(), events: Arc::clone(self) }
    }

    /// Lets every stream end after what has been told.
    pub(crate) fn end(&self) {
        let mut ring = self.ring.lock();
        ring.ended = true;
        let waiting = std::mem::take(&mut ring.waiting);
        drop(ring);
        waiting.into_iter().for_each(|(_, waker)| wake(waker));
    }
}

impl Observer for Events {
    fn on_event(&self, event: &Event) {
        if self.subscribers.load(Ordering::Relaxed) == 0 {
            return;
        }
        // Made before the lock, and what it takes the place of dropped after it.
        let event = event.clone();
        let _oldest;
        let mut ring = self.ring.lock();
        if ring.ended {
            return;
        }
        if ring.events.len() >= self.capacity {
            _oldest = ring.events.pop_front();
            ring.before += 1;
        }
        ring.events.push_back(event);
        if ring.waiting.is_empty() {
            return;
        }
        let mut waiting = std::mem::take(&mut ring.waiting);
        drop(ring);
        waiting.drain(..).for_each(|(_, waker)| wake(waker));
        // The room for them is used again, unless there is some already.
        let mut ring = self.ring.lock();
        if ring.waiting.capacity() == 0 {
            ring.waiting = waiting;
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("subscribers", &self.subscribers.load(Ordering::Relaxed))
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// The events of one Seawall, from the moment of subscribing on; see [`Seawall::events`](crate::Seawall::events).
///
/// It keeps up with a burst of `event_capacity` events; of a longer one it loses the oldest, counted in
/// [`Received::lost`]: what is received and what is lost add up to what has happened. It holds nobody up,
/// keeps nothing running, and ends, with `None`, after the last event once Seawall is shut down or gone.
///
/// It is a `Stream` too.
pub struct EventStream {
    events: Arc<Events>,
    /// The next one to read, counted from the first that Seawall has ever told.
    next: u64,
    number: u64,
}

impl EventStream {
    /// The next event; `None`: there will be none any more.
    ///
    /// # Cancellation
    /// Dropped, it has taken no event.
    pub async fn recv(&mut self) -> Option<Received> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next event, if it has happened.
    ///
    /// # Errors
    /// [`TryRecvError`]: none has, or there will be none any more.
    pub fn try_recv(&mut self) -> Result<Received, TryRecvError> {
        self.take(None)
            .map_err(|ended| if ended { TryRecvError::Ended } else { TryRecvError::Empty })
    }

    /// The next event; if it is yet to happen, the task is woken then. Only the latest task is.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Received>> {
        // Cloned before the lock: what that does is the business of the code that made the waker.
        match self.take(Some(cx.waker().clone())) {
            Ok(received) => Poll::Ready(Some(received)),
            Err(true) => Poll::Ready(None),
            Err(false) => Poll::Pending,
        }
    }

    /// The next event; else whether it is the end, and if it is not, `waker` is told of the next one.
    fn take(&mut self, waker: Option<Waker>) -> Result<Received, bool> {
        // Dropped after the lock.
        let mut _former = None;
        let mut ring = self.events.ring.lock();
        let lost = ring.before.saturating_sub(self.next);
        let at = usize::try_from(self.next + lost - ring.before).unwrap_or(usize::MAX);
        if let Some(event) = ring.events.get(at) {
            let event = event.clone();
            drop(ring);
            self.next += lost + 1;
            return Ok(Received { event, lost });
        }
        if ring.ended {
            return Err(true);
        }
        if let Some(waker) = waker {
            match ring.waiting.iter_mut().find(|(number, _)| *number == self.number) {
                Some((_, place)) => _former = Some(std::mem::replace(place, waker)),
                None => ring.waiting.push((self.number, waker)),
            }
        }
        Err(false)
    }
}

impl Stream for EventStream {
    type Item = Received;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Received>> {
        self.poll_recv(cx)
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        // Dropped after the lock.
        let (mut _waker, mut _unread) = (None, VecDeque::new());
        let mut ring = self.events.ring.lock();
        if let Some(at) = ring.waiting.iter().position(|(number, _)| *number == self.number) {
            _waker = Some(ring.waiting.swap_remove(at));
        }
        if self.events.subscribers.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Nobody reads them any more.
            ring.before = ring.sent();
            _unread = std::mem::take(&mut ring.events);
        }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("next", &self.next).finish_non_exhaustive()
    }
}
