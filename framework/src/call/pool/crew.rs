//! The threads, the line before them, and the counts: one lock over all three.
//!
//! A lock, and not a few atomics, because whoever comes here is about to change threads, which costs
//! a hundred times as much; and with it every count is exact at every moment. Order of locks: the
//! crew's, then a slot's.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::error::PoolError;
use super::slot::Task;
use super::{PoolCounts, PoolShutdown};
use crate::backpressure::{Config, Key, Push, Queue, Strategy};
use crate::call::timer::{Sleep, Time};
use crate::clock::Moment;
use crate::error::DependencyName;
use crate::setting::InvalidSettings;
use crate::sync::{Mutex, quietly, wake};

type Shared = Arc<dyn Task>;

pub(super) struct Size {
    pub(super) threads: u32,
    pub(super) queue: u32,
    pub(super) max_wait: Duration,
}

pub(super) struct Crew {
    name: DependencyName,
    size: Size,
    time: Time,
    state: Mutex<State>,
}

struct State {
    line: Queue<Shared>,
    /// Where idle threads wait. `None`: closed. Never full, for each message has a thread reserved.
    door: Option<Sender<Shared>>,
    /// Threads that wait at the door and have nothing on its way to them. While there is one, the line
    /// is empty.
    idle: u32,
    /// Threads that have not ended.
    alive: u32,
    /// Works on their way through the door, not yet started.
    handed: u32,
    /// `active` and `queued` are kept up when they are asked for.
    counts: PoolCounts,
    /// Who waits for the last thread to end.
    leaving: Vec<Waker>,
}

/// What became of a work that came in.
pub(super) enum Entry {
    /// A thread is on its way to it.
    Handed,
    Waiting(Key),
    Full,
    Closed,
}

/// Why a work is taken back.
#[derive(Clone, Copy)]
pub(super) enum TakenBack {
    Cancelled,
    Expired,
}

/// Works that were turned away under the lock: told, woken and dropped after it.
#[derive(Default)]
#[must_use]
struct TurnedAway(Vec<(Shared, Option<Waker>)>);

impl TurnedAway {
    /// Each can be anybody's code, and whoever calls this has others to see to.
    fn see_off(self) {
        for (task, waker) in self.0 {
            if let Some(waker) = waker {
                wake(waker);
            }
            quietly(|| task.discard());
        }
    }
}

impl Crew {
    pub(super) fn new(
        name: DependencyName,
        size: Size,
        time: Time,
    ) -> (Arc<Self>, Receiver<Shared>) {
        let (door, inside) = bounded(size.threads as usize);
        let state = State {
            line: line(size.queue).unwrap_or_else(|_| Queue::new(&Config::default())),
            door: Some(door),
            idle: 0,
            alive: 0,
            handed: 0,
            counts: PoolCounts::default(),
            leaving: Vec::new(),
        };
        (Arc::new(Self { name, size, time, state: Mutex::new(state) }), inside)
    }

    pub(super) fn name(&self) -> &DependencyName {
        &self.name
    }

    pub(super) fn threads(&self) -> u32 {
        self.size.threads
    }

    pub(super) fn max_wait(&self) -> Duration {
        self.size.max_wait
    }

    pub(super) fn time(&self) -> &Time {
        &self.time
    }

    pub(super) fn full(&self) -> PoolError {
        PoolError::BulkheadFull { dependency: self.name.clone(), threads: self.size.threads }
    }

    pub(super) fn shut_down(&self) -> PoolError {
        PoolError::ShutDown { dependency: self.name.clone() }
    }

    pub(super) fn counts(&self) -> PoolCounts {
        let state = self.state.lock();
        PoolCounts { queued: state.handed + state.line.len(), ..state.counts }
    }

    /// Gives the work to an idle thread, or a place in the line.
    pub(super) fn enter(&self, task: Shared) -> Entry {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.counts.received += 1;
        let Some(door) = &state.door else {
            state.counts.withdrawn += 1;
            return Entry::Closed;
        };
        if state.idle > 0 && door.try_send(Arc::clone(&task)).is_ok() {
            state.idle -= 1;
            state.handed += 1;
            return Entry::Handed;
        }
        if self.size.queue > 0
            && !self.size.max_wait.is_zero()
            && let Push::Waiting(key) = state.line.push(task)
        {
            return Entry::Waiting(key);
        }
        state.counts.rejected += 1;
        Entry::Full
    }

    /// Takes a work back before it starts. False: it has started, or ended.
    pub(super) fn take_back(&self, task: &dyn Task, key: Option<Key>, why: TakenBack) -> bool {
        let mut state = self.state.lock();
        let in_line = key.and_then(|key| state.line.remove(key));
        if !task.withdraw() {
            return false;
        }
        if in_line.is_none() {
            state.handed -= 1; // Its thread will find it gone, and take the next.
        }
        match why {
            TakenBack::Cancelled => state.counts.withdrawn += 1,
            TakenBack::Expired => state.counts.rejected += 1,
        }
        drop(state);
        task.discard();
        true
    }

    /// Lets nobody in any more; threads end as they run out of work.
    pub(super) fn close(&self) {
        let door = self.state.lock().door.take();
        drop(door);
    }

    /// Waits for the last thread to end; at the limit turns away what waits.
    pub(super) async fn drained(&self, limit: Sleep) -> PoolShutdown {
        let mut limit = pin!(limit);
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut state = self.state.lock();
            if state.alive == 0 {
                return Poll::Ready(PoolShutdown::default());
            }
            if !state.leaving.iter().any(|known| known.will_wake(&waker)) {
                state.leaving.push(waker);
            }
            drop(state);
            limit.as_mut().poll(cx).map(|()| self.flush())
        })
        .await
    }

    fn flush(&self) -> PoolShutdown {
        let mut turned_away = TurnedAway::default();
        let mut state = self.state.lock();
        for task in state.line.drain() {
            let waker = task.refuse(self.shut_down());
            turned_away.0.push((task, waker));
        }
        let withdrawn = turned_away.0.len();
        state.counts.withdrawn += withdrawn as u64;
        let running = state.counts.active + state.handed;
        drop(state);
        turned_away.see_off();
        // The line is not longer than 1,000,000.
        PoolShutdown { withdrawn: withdrawn as u32, running }
    }

    /// Counts a thread that is about to start. Dropped, it has ended, or never started.
    pub(super) fn sign_on(self: &Arc<Self>) -> Badge {
        let mut state = self.state.lock();
        state.idle += 1;
        state.alive += 1;
        drop(state);
        Badge(Arc::clone(self))
    }

    /// A thread's life.
    pub(super) fn serve(&self, door: &Receiver<Shared>, badge: Badge) {
        // Ends when the crew is closed and nothing is on its way any more.
        for task in door {
            let mut next = self.begin(task);
            while let Some(task) = next {
                let returned = task.run();
                next = self.end(returned);
                task.deliver();
                quietly(|| drop(task));
            }
        }
        drop(badge);
    }

    /// Starts a work that came through the door; if it was taken back meanwhile, another.
    fn begin(&self, task: Shared) -> Option<Shared> {
        let now = self.time.now();
        let mut state = self.state.lock();
        if task.start() {
            state.handed -= 1;
            state.counts.active += 1;
            return Some(task);
        }
        let (next, turned_away) = self.next(&mut state, now);
        drop(state);
        turned_away.see_off();
        quietly(|| drop(task));
        next
    }

    /// A work has ended: the next one, or the thread is idle.
    fn end(&self, returned: bool) -> Option<Shared> {
        let now = self.time.now();
        let mut state = self.state.lock();
        state.counts.active -= 1;
        if returned {
            state.counts.completed += 1;
        } else {
            state.counts.panicked += 1;
        }
        let (next, turned_away) = self.next(&mut state, now);
        drop(state);
        turned_away.see_off();
        next
    }

    /// The head of the line, started. What has waited too long on the way to it is never started, even
    /// if its caller has not looked at the clock yet.
    fn next(&self, state: &mut State, now: Moment) -> (Option<Shared>, TurnedAway) {
        let mut turned_away = TurnedAway::default();
        while let Some(task) = state.line.pop() {
            if task.give_up_at() < now {
                let waker = task.refuse(self.full());
                state.counts.rejected += 1;
                turned_away.0.push((task, waker));
            } else if task.start() {
                state.counts.active += 1;
                return (Some(task), turned_away);
            }
        }
        state.idle += 1;
        (None, turned_away)
    }
}

fn line(capacity: u32) -> Result<Queue<Shared>, InvalidSettings> {
    // Without a line it is never pushed to.
    let config = Config::builder().capacity(capacity.max(1)).on_full(Strategy::Error).build()?;
    Ok(Queue::new(&config))
}

/// A thread's membership.
pub(super) struct Badge(Arc<Crew>);

impl Drop for Badge {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.alive -= 1;
        let leaving =
            if state.alive == 0 { std::mem::take(&mut state.leaving) } else { Vec::new() };
        drop(state);
        for waker in leaving {
            wake(waker);
        }
    }
}
