//! Tasks, a clock, and nobody who waits.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::sync::Mutex;
use crate::time::{ManualTime, Sleep, Time};

/// An executor whose time jumps to the next thing that happens. One thread polls all tasks, in the order in which they were
/// woken, until none has anything to do. Then the clock moves to the end of the next sleep.
///
/// Runs of the same tasks under the same seed are the same, to the nanosecond, as long as the tasks take time and chance from
/// here alone and wait for nothing outside.
///
/// ```
/// use std::time::Duration;
/// use seawall::simulation::World;
///
/// let world = World::new(7);
/// let context = world.context();
/// world.spawn(async move {
///     context.sleep(Duration::from_secs(3600)).await;
///     assert_eq!(context.elapsed(), Duration::from_secs(3600));
/// });
/// world.run(); // Takes no hour.
/// ```
pub struct World {
    tasks: Rc<Tasks>,
    context: TaskContext,
}

/// What a task holds of its world: the time, chance, and the means to begin another task. Cheap to clone. It does not keep the
/// world: where that is gone, nothing is spawned any more.
#[derive(Clone)]
pub struct TaskContext {
    time: ManualTime,
    entropy: Rc<Entropy>,
    /// Streams of chance that were given out.
    streams: Rc<Cell<u64>>,
    tasks: Weak<Tasks>,
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
struct Tasks {
    slots: RefCell<Slots>,
    ready: Arc<Ready>,
}

#[derive(Default)]
struct Slots {
    /// Of a task that is being polled, there is only the waker.
    all: Vec<Option<(Option<Task>, Arc<Alarm>)>>,
    free: Vec<usize>,
}

/// Tasks that were woken, the first one first.
#[derive(Default)]
struct Ready(Mutex<VecDeque<Arc<Alarm>>>);

/// Wakes one task.
struct Alarm {
    slot: usize,
    is_raised: AtomicBool,
    is_over: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        if !self.is_over.load(Ordering::Relaxed) && !self.is_raised.swap(true, Ordering::Relaxed) {
            self.ready.0.lock().push_back(Arc::clone(&self));
        }
    }
}

impl World {
    /// An empty one, at [`Moment::ZERO`], whose chance follows this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let tasks = Rc::new(Tasks::default());
        let context = TaskContext {
            time: Time::manual(),
            entropy: Rc::new(Entropy::seeded(seed)),
            streams: Rc::default(),
            tasks: Rc::downgrade(&tasks),
        };
        Self { tasks, context }
    }

    /// What a task needs of it.
    #[must_use]
    pub fn context(&self) -> TaskContext {
        self.context.clone()
    }

    /// See [`TaskContext::spawn`].
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.tasks.spawn(Box::pin(task));
    }

    /// Runs until nothing will happen any more.
    ///
    /// # Panics
    /// With what a task panics with.
    pub fn run(&self) {
        self.run_until(Moment::MAX);
    }

    /// Runs until `end`, where the clock then stands, with all done that was to be done by then. The other tasks go on in the
    /// next run.
    ///
    /// # Panics
    /// With what a task panics with.
    pub fn run_until(&self, end: Moment) {
        let time = &self.context.time;
        loop {
            self.tasks.run_ready();
            match time.next_deadline() {
                Some(next) if next <= end => time.advance(next.since(time.now())),
                _ => break,
            }
        }
        if end != Moment::MAX {
            time.advance(end.since(time.now()));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Tasks may hold what holds the tasks. Dropped one by one with the list free, because a drop may spawn.
        while let Some(task) = self.tasks.take_any() {
            drop(task);
        }
    }
}

impl TaskContext {
    /// The world's time, for whatever takes one.
    #[must_use]
    pub fn time(&self) -> Time {
        Time::from(&self.time)
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.time.now()
    }

    /// How long the world has been running, by its own clock.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now().since(Moment::ZERO)
    }

    /// A stream of chance that nobody else draws from. Which one depends on the seed, and on how many were taken before.
    #[must_use]
    pub fn next_entropy(&self) -> Entropy {
        let stream = self.streams.get();
        self.streams.set(stream + 1);
        self.entropy.fork(stream)
    }

    /// See [`Time::sleep`].
    pub fn sleep(&self, length: Duration) -> Sleep {
        self.time.sleep(length)
    }

    /// See [`Time::sleep_until`].
    pub fn sleep_until(&self, moment: Moment) -> Sleep {
        self.time.sleep_until(moment)
    }

    /// Begins a task. It is polled after those that are ready already.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        if let Some(tasks) = self.tasks.upgrade() {
            tasks.spawn(Box::pin(task));
        }
    }
}

impl Tasks {
    fn spawn(&self, task: Task) {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.free.pop().unwrap_or_else(|| {
            slots.all.push(None);
            slots.all.len() - 1
        });
        let alarm = Arc::new(Alarm {
            slot,
            is_raised: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            ready: Arc::clone(&self.ready),
        });
        slots.all[slot] = Some((Some(task), Arc::clone(&alarm)));
        alarm.wake();
    }

    fn run_ready(&self) {
        loop {
            let next = self.ready.0.lock().pop_front();
            let Some(alarm) = next else { return };
            alarm.is_raised.store(false, Ordering::Relaxed);
            let Some(mut task) = self.take(alarm.slot) else { continue };
            let waker = Waker::from(Arc::clone(&alarm));
            match task.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Pending => self.put_back(alarm.slot, task),
                Poll::Ready(()) => {
                    self.end(alarm.slot);
                    drop(task);
                }
            }
        }
    }

    fn take(&self, slot: usize) -> Option<Task> {
        self.slots.borrow_mut().all[slot].as_mut()?.0.take()
    }

    fn put_back(&self, slot: usize, task: Task) {
        if let Some(context) = &mut self.slots.borrow_mut().all[slot] {
            context.0 = Some(task);
        }
    }

    fn end(&self, slot: usize) {
        let mut slots = self.slots.borrow_mut();
        if let Some((_, alarm)) = slots.all[slot].take() {
            // Wakers may outlive the task, and the slot is another's then.
            alarm.is_over.store(true, Ordering::Relaxed);
            slots.free.push(slot);
        }
    }

    /// Takes one of those that are left; `None` if there are none.
    fn take_any(&self) -> Option<Option<Task>> {
        let slot = self.slots.borrow().all.iter().position(Option::is_some)?;
        let task = self.take(slot);
        self.end(slot);
        Some(task)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("elapsed", &self.context.elapsed()).finish_non_exhaustive()
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn tasks_run_in_the_order_of_their_moments_and_time_jumps_in_between() {
        let world = World::new(0);
        let seen = Rc::new(RefCell::new(Vec::new()));
        for length in [300, 100, 200] {
            let (context, seen) = (world.context(), Rc::clone(&seen));
            world.spawn(async move {
                context.sleep(ms(length)).await;
                seen.borrow_mut().push((length, context.elapsed()));
            });
        }
        world.run();
        assert_eq!(*seen.borrow(), [(100, ms(100)), (200, ms(200)), (300, ms(300))]);
    }

    #[test]
    fn a_run_ends_where_it_was_told_to_and_the_next_goes_on() {
        let world = World::new(0);
        let (context, rounds) = (world.context(), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&rounds);
        world.spawn(async move {
            loop {
                context.sleep(ms(10)).await;
                counted.set(counted.get() + 1);
            }
        });
        world.run_until(Moment::ZERO + ms(35));
        assert_eq!((rounds.get(), world.context().elapsed()), (3, ms(35)));
        world.run_until(Moment::ZERO + ms(40));
        assert_eq!(rounds.get(), 4, "what is due at the end is done");
    }

    #[test]
    fn a_task_spawns_others_in_slots_that_ended_tasks_have_left() {
        let world = World::new(0);
        let (context, count) = (world.context(), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&count);
        world.spawn(async move {
            for _ in 0..1000 {
                let counted = Rc::clone(&counted);
                context.spawn(async move { counted.set(counted.get() + 1) });
                context.sleep(ms(1)).await;
            }
        });
        world.run();
        assert_eq!(count.get(), 1000);
        assert!(world.tasks.slots.borrow().all.len() <= 3);
    }

    #[test]
    fn a_waker_that_outlives_its_task_wakes_nobody_else() {
        let world = World::new(0);
        let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
        let keep = Rc::clone(&kept);
        world.spawn(std::future::poll_fn(move |cx| {
            *keep.borrow_mut() = Some(cx.waker().clone());
            Poll::Ready(())
        }));
        world.run();
        let polls = Rc::new(Cell::new(0));
        let counted = Rc::clone(&polls);
        world.spawn(std::future::poll_fn(move |_| {
            counted.set(counted.get() + 1);
            Poll::Pending
        }));
        world.run();
        kept.borrow_mut().take().unwrap().wake();
        world.run();
        assert_eq!(polls.get(), 1);
    }

    #[test]
    fn a_task_that_never_ends_is_dropped_with_its_world() {
        let world = World::new(0);
        let (context, held) = (world.context(), Rc::new(()));
        let holds = Rc::clone(&held);
        world.spawn(async move {
            pending::<()>().await;
            drop((context, holds));
        });
        world.run();
        assert_eq!(Rc::strong_count(&held), 2);
        drop(world);
        assert_eq!(Rc::strong_count(&held), 1);
    }
}
