//! Time cranked by hand.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::{Clock, ManualClock, Moment};
use crate::sync::Mutex;

/// Time that stands still until [`ManualTime::advance`] moves it. Made by [`Time::manual`](super::Time::manual); clones
/// share one time. Give it to whatever takes a [`Time`](super::Time): `Time::from(&manual)`.
#[derive(Clone)]
pub struct ManualTime(Arc<Shared>);

struct Shared {
    clock: Clock,
    state: Mutex<State>,
}

/// Not a wheel: a test wants the order of deadlines to the nanosecond, and can pay for it.
struct State {
    crank: ManualClock,
    /// Where every `advance` so far, those under way too, takes the clock.
    target: Moment,
    /// Without a waker from a nudge to the next poll.
    sleeping: BTreeMap<Wakeup, Option<Waker>>,
    armed_ever: u64,
}

/// Deadline, then order of arming.
type Wakeup = (Moment, u64);

impl ManualTime {
    pub(super) fn new() -> Self {
        let (clock, crank) = Clock::manual();
        let state = State { crank, target: Moment::ZERO, sleeping: BTreeMap::new(), armed_ever: 0 };
        Self(Arc::new(Shared { clock, state: Mutex::new(state) }))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.0.clock.now()
    }

    /// Makes [`Moment::ZERO`] this long after the Unix epoch, for what follows the calendar; until then
    /// it is the epoch. Wakes nobody.
    pub fn set_epoch(&self, origin: Duration) {
        self.0.state.lock().crank.set_epoch(origin);
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Sleeps that are waiting: polled, not over, not dropped.
    #[must_use]
    pub fn armed(&self) -> usize {
        self.0.state.lock().sleeping.len()
    }

    /// When the first of them ends.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        self.0.state.lock().sleeping.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// Moves the clock `by` ahead and fires every timer that falls due on the way: in order of
    /// deadline, then of arming; on this thread; the clock standing at each one's deadline as it
    /// fires. What a woken task does when its executor runs it later, it does later: to let tasks
    /// act at every step, advance by [`ManualTime::next_deadline`].
    ///
    /// Advances of several threads, or from within a waker, add up. At the end of the clock (584
    /// years) it stops.
    ///
    /// # Panics
    /// With what a waker panics with. The clock then stands where that timer fired, and the next
    /// advance covers the rest as well.
    pub fn advance(&self, by: Duration) {
        let target = {
            let mut state = self.0.state.lock();
            state.target = state.target + by;
            state.target
        };
        while let Some(waker) = self.step(target) {
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// Wakes every task that sleeps. Their timers go on, and get a waker again when the tasks poll.
    pub(super) fn nudge(&self) {
        let mut state = self.0.state.lock();
        let sleepers: Vec<Waker> = state.sleeping.values_mut().filter_map(Option::take).collect();
        drop(state);
        sleepers.into_iter().for_each(Waker::wake);
    }

    /// Moves the clock to the next timer and takes it out; to `target` if there is none before it.
    fn step(&self, target: Moment) -> Option<Option<Waker>> {
        let mut state = self.0.state.lock();
        let due = state.sleeping.first_entry().filter(|first| first.key().0 <= target);
        let (stop, waker) = match due {
            Some(first) => (first.key().0, Some(first.remove())),
            None => (target, None),
        };
        // Another thread's advance may have gone further.
        let stop = stop.max(self.now());
        state.crank.set(stop);
        waker
    }
}

impl fmt::Debug for ManualTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualTime").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// A sleep's hold on a manual time.
pub(super) struct Arm {
    time: ManualTime,
    key: Option<Wakeup>,
}

impl Arm {
    pub(super) fn new(time: &ManualTime) -> Self {
        Self { time: time.clone(), key: None }
    }

    pub(super) fn now(&self) -> Moment {
        self.time.now()
    }

    pub(super) fn poll(&mut self, deadline: Moment, context: &Context<'_>) -> Poll<()> {
        if self.now() >= deadline {
            self.disarm();
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        let mut state = self.time.0.state.lock();
        // Once more, because the clock moves only under this lock: had it passed the deadline since,
        // nobody would fire what is armed now.
        if self.time.now() >= deadline {
            drop(state);
            self.disarm();
            return Poll::Ready(());
        }
        let armed_before = self.key.filter(|key| state.sleeping.contains_key(key));
        let key = armed_before.unwrap_or_else(|| {
            state.armed_ever += 1;
            (deadline, state.armed_ever)
        });
        let replaced = state.sleeping.insert(key, Some(waker));
        drop(state);
        drop(replaced); // Where the lock is free: it may drop a task, and with it other sleeps.
        self.key = Some(key);
        Poll::Pending
    }

    fn disarm(&mut self) {
        if let Some(key) = self.key.take() {
            let waker = self.time.0.state.lock().sleeping.remove(&key);
            drop(waker);
        }
    }
}

impl Drop for Arm {
    fn drop(&mut self) {
        self.disarm();
    }
}
