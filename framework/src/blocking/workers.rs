//! The threads, the queue before them, and the counts: one lock over all three.
//!
//! A lock, and not a few atomics, because a caller that comes here is about to change threads, which costs
//! a hundred times as much; and with it every count is exact at every moment. Order of locks: the
//! workers's, then a task's.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::error::PoolError;
use super::task::{DynTask, Ran};
use super::{PoolCounts, PoolShutdown};
use crate::backpressure::{Config, ItemKey, Push, Queue, Strategy};
use crate::clock::Moment;
use crate::constraint::InvalidSettings;
use crate::error::DependencyName;
use crate::sync::{Mutex, quietly, wake};
use crate::time::{Sleep, Time};

type Shared = Arc<dyn DynTask>;

pub(super) struct Size {
    pub(super) threads: u32,
    pub(super) queue: u32,
    pub(super) max_wait: Duration,
}

pub(super) struct Workers {
    name: DependencyName,
    size: Size,
    time: Time,
    state: Mutex<State>,
}

struct State {
    queue: Queue<Shared>,
    /// Where idle threads wait. `None`: closed. Never full, for each message has a thread reserved.
    channel: Option<Sender<Shared>>,
    /// Threads that wait at the channel and have nothing on its way to them. While there is one, the queue
    /// is empty.
    idle: u32,
    /// Threads that have not ended.
    alive: u32,
    /// Works on their way through the channel, not yet started.
    handed: u32,
    /// `active` and `queued` are kept up when they are asked for.
    counts: PoolCounts,
    /// Who waits for the last thread to end.
    leaving: Vec<Waker>,
}

/// What became of a work that came in.
pub(super) enum Submitted {
    /// A thread is on its way to it.
    Handed,
    Waiting(ItemKey),
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
struct Refused(Vec<(Shared, Option<Waker>)>);

impl Refused {
    /// Each can be anybody's code, and the caller has others to see to.
    fn finish(self) {
        for (task, waker) in self.0 {
            if let Some(waker) = waker {
                wake(waker);
            }
            quietly(|| task.discard());
        }
    }
}

impl Workers {
    pub(super) fn new(
        name: DependencyName,
        size: Size,
        time: Time,
    ) -> (Arc<Self>, Receiver<Shared>) {
        let (channel, inside) = bounded(size.threads as usize);
        let state = State {
            queue: queue(size.queue).unwrap_or_else(|_| Queue::new(&Config::default())),
            channel: Some(channel),
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
        PoolCounts { queued: state.handed + state.queue.len(), ..state.counts }
    }

    /// Whether its last thread has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.state.lock().alive == 0
    }

    /// Gives the work to an idle thread, or a place in the queue.
    pub(super) fn enter(&self, task: Shared) -> Submitted {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.counts.received += 1;
        let Some(channel) = &state.channel else {
            state.counts.withdrawn += 1;
            return Submitted::Closed;
        };
        if state.idle > 0 && channel.try_send(Arc::clone(&task)).is_ok() {
            state.idle -= 1;
            state.handed += 1;
            return Submitted::Handed;
        }
        if self.size.queue > 0
            && !self.size.max_wait.is_zero()
            && let Push::Waiting(key) = state.queue.push(task)
        {
            return Submitted::Waiting(key);
        }
        state.counts.rejected += 1;
        Submitted::Full
    }

    /// Takes a work back before it starts. False: it has started, or ended.
    pub(super) fn take_back(
        &self,
        task: &dyn DynTask,
        key: Option<ItemKey>,
        why: TakenBack,
    ) -> bool {
        let mut state = self.state.lock();
        let in_line = key.and_then(|key| state.queue.remove(key));
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

    /// The caller of a work that cannot be taken back has left.
    pub(super) fn abandon(&self, task: &dyn DynTask) {
        let mut state = self.state.lock();
        let (runs_on, leftover) = task.abandon();
        state.counts.abandoned += u32::from(runs_on);
        drop(state);
        // It can be anybody's code.
        drop(leftover);
    }

    /// Lets nobody in any more; threads end as they run out of work.
    pub(super) fn close(&self) {
        let channel = self.state.lock().channel.take();
        drop(channel);
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
        let mut refused = Refused::default();
        let mut state = self.state.lock();
        for task in state.queue.drain() {
            let waker = task.refuse(self.shut_down());
            refused.0.push((task, waker));
        }
        let withdrawn = refused.0.len();
        state.counts.withdrawn += withdrawn as u64;
        let running = state.counts.active + state.handed;
        drop(state);
        refused.finish();
        // The queue is not longer than 1,000,000.
        PoolShutdown { withdrawn: withdrawn as u32, running }
    }

    /// Counts a thread that is about to start. Dropped, it has ended, or never started.
    pub(super) fn register(self: &Arc<Self>) -> WorkerGuard {
        let mut state = self.state.lock();
        state.idle += 1;
        state.alive += 1;
        drop(state);
        WorkerGuard(Arc::clone(self))
    }

    /// A thread's life.
    pub(super) fn serve(&self, channel: &Receiver<Shared>, guard: WorkerGuard) {
        // Ends when the workers is closed and nothing is on its way any more.
        for task in channel {
            let mut next = self.begin(task);
            while let Some(task) = next {
                let ran = task.run();
                next = self.end(ran);
                task.deliver();
                quietly(|| drop(task));
            }
        }
        drop(guard);
    }

    /// Starts a work that came through the channel; if it was taken back meanwhile, another.
    fn begin(&self, task: Shared) -> Option<Shared> {
        let now = self.time.now();
        let mut state = self.state.lock();
        if task.start() {
            state.handed -= 1;
            state.counts.active += 1;
            return Some(task);
        }
        let (next, refused) = self.next(&mut state, now);
        drop(state);
        refused.finish();
        quietly(|| drop(task));
        next
    }

    /// A work has ended: the next one, or the thread is idle.
    fn end(&self, ran: Ran) -> Option<Shared> {
        let now = self.time.now();
        let mut state = self.state.lock();
        state.counts.active -= 1;
        state.counts.abandoned -= u32::from(ran.is_abandoned);
        if ran.returned {
            state.counts.completed += 1;
        } else {
            state.counts.panicked += 1;
        }
        let (next, refused) = self.next(&mut state, now);
        drop(state);
        refused.finish();
        next
    }

    /// The head of the queue, started. What has waited too long on the way to it is never started, even
    /// if its caller has not looked at the clock yet.
    fn next(&self, state: &mut State, now: Moment) -> (Option<Shared>, Refused) {
        let mut refused = Refused::default();
        while let Some(task) = state.queue.pop() {
            if task.give_up_at() < now {
                let waker = task.refuse(self.full());
                state.counts.rejected += 1;
                refused.0.push((task, waker));
            } else if task.start() {
                state.counts.active += 1;
                return (Some(task), refused);
            }
        }
        state.idle += 1;
        (None, refused)
    }
}

fn queue(capacity: u32) -> Result<Queue<Shared>, InvalidSettings> {
    // Without a queue it is never pushed to.
    let config = Config::builder().capacity(capacity.max(1)).on_full(Strategy::Error).build()?;
    Ok(Queue::new(&config))
}

/// A thread's membership.
pub(super) struct WorkerGuard(Arc<Workers>);

impl Drop for WorkerGuard {
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
