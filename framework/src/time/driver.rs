//! The system's timers: a few wheels, and the one thread that advances them.
//!
//! A thread arms its timers in one wheel, under a short mutex, so that threads seldom meet. The driver sleeps until
//! some wheel must be advanced. Each wheel remembers when the driver will visit it (`visit`), under the same mutex. A
//! thread that arms an earlier timer moves the visit forward and wakes the driver; no other thread needs to. The visit
//! is not moved back when a timer is cancelled: the driver then comes once for nothing, which is far cheaper than a
//! system call for every call that is quicker than its timeout. So an idle process has no ticking thread, and a busy
//! one is visited about once a slot.

use std::cell::Cell;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use super::wheel::{Renewal, TimerKey, Wheel};
use crate::clock::{Clock, Moment};
use crate::sync::{
    AtomicU64, CachePadded, Mutex,
    Ordering::{AcqRel, Acquire, Release},
    wake,
};

/// A tick: 1 ms.
const TICK_NANOS: u64 = 1_000_000;
/// The timer thread's name.
const THREAD_NAME: &str = "seawall-timers";
/// Timers looked at, and wakers woken, between two holds of a wheel's lock.
const BATCH: usize = 256;
/// While anything waits the driver looks at the clock at least this often: the clock it parks by
/// drifts from the one that timers are armed by.
const PARK_MAX: Duration = Duration::from_secs(10);
/// A visit that nobody needs.
const NEVER: u64 = u64::MAX;

/// A set of wheels with its driver.
pub(super) struct Timers {
    clock: Clock,
    /// As many as a power of two.
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    driver: OnceLock<Thread>,
    rescan: Rescan,
    starting: Mutex<()>,
    start: Start,
}

/// How to start the driver: a function, so that a test can have it fail.
pub(super) type Start = fn(&'static Timers) -> io::Result<Thread>;

#[derive(Debug)]
struct Shard {
    wheel: Wheel,
    /// The tick at which the driver means to turn this wheel; never after the wheel's own `next`.
    visit: u64,
}

/// Where a timer is.
#[derive(Clone, Copy, Debug)]
struct TimerId {
    shard: u32,
    key: TimerKey,
}

impl Timers {
    /// The process's own, on the system's clock.
    pub(super) fn of_the_process() -> &'static Self {
        static TIMERS: OnceLock<Timers> = OnceLock::new();
        TIMERS.get_or_init(|| {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            Self::new(Clock::system(), cores.clamp(4, 32), start_thread)
        })
    }

    pub(super) fn new(clock: Clock, shards: usize, start: Start) -> Self {
        let shard = || CachePadded(Mutex::new(Shard { wheel: Wheel::new(), visit: NEVER }));
        Self {
            clock,
            shards: (0..shards.next_power_of_two()).map(|_| shard()).collect(),
            driver: OnceLock::new(),
            rescan: Rescan::default(),
            starting: Mutex::new(()),
            start,
        }
    }

    #[inline]
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Timers waiting in all wheels.
    #[cfg(test)]
    pub(super) fn live(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().wheel.live()).sum()
    }

    #[cfg(test)]
    pub(super) fn unpark_driver(&self) {
        if let Some(driver) = self.driver.get() {
            driver.unpark();
        }
    }

    /// Entries that the wheels have room for.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().wheel.room()).sum()
    }

    /// Arms a timer. `None` if that cannot be done now.
    #[inline]
    fn register(&'static self, now: Moment, deadline: Moment, waker: Waker) -> Option<TimerId> {
        let driver = self.driver()?;
        let tick = deadline.as_nanos().div_ceil(TICK_NANOS);
        let index = home() & (self.shards.len() - 1);
        let mut shard = self.shards[index].0.lock_briefly();
        match shard.wheel.insert(whole_ticks(now), tick, waker) {
            Ok((key, advance_at)) => {
                let earlier = advance_at < shard.visit;
                if earlier {
                    shard.visit = advance_at;
                }
                drop(shard);
                if earlier {
                    self.rescan.ask();
                    driver.unpark();
                }
                Some(TimerId { shard: index as u32, key })
            }
            Err(waker) => {
                drop(shard);
                drop(waker);
                None
            }
        }
    }

    #[inline]
    fn cancel(&self, timer: TimerId) {
        let waker = self.shard(timer).lock_briefly().wheel.cancel(timer.key);
        drop(waker); // Here, where the lock is free again.
    }

    /// Sees to it that the timer wakes `waker`; false if it has fired.
    fn renew(&self, timer: TimerId, waker: &Waker) -> bool {
        let renewal = self.shard(timer).lock_briefly().wheel.renew(timer.key, waker);
        match renewal {
            Renewal::Same => true,
            Renewal::Gone => false,
            Renewal::Other => {
                // Cloned and dropped outside the lock: both may run anybody's code.
                let waker = waker.clone();
                let replaced = self.shard(timer).lock_briefly().wheel.replace(timer.key, waker);
                replaced.is_ok()
            }
        }
    }

    #[inline]
    fn shard(&self, timer: TimerId) -> &Mutex<Shard> {
        &self.shards[timer.shard as usize].0
    }

    #[inline]
    fn driver(&'static self) -> Option<&'static Thread> {
        match self.driver.get() {
            Some(driver) => Some(driver),
            None => self.start_driver(),
        }
    }

    #[cold]
    fn start_driver(&'static self) -> Option<&'static Thread> {
        let _one_at_a_time = self.starting.lock();
        if self.driver.get().is_none() {
            match (self.start)(self) {
                Ok(thread) => drop(self.driver.set(thread)),
                Err(error) => tracing::error!(%error, "cannot start the {THREAD_NAME} thread"),
            }
        }
        self.driver.get()
    }

    /// Wakes every task that sleeps. Their timers go on, and get a waker again when the tasks poll.
    pub(super) fn nudge(&self) {
        let mut sleepers = Vec::new();
        for shard in &self.shards {
            shard.0.lock().wheel.take_wakers(&mut sleepers);
        }
        sleepers.drain(..).for_each(wake);
    }

    /// What the driver does until the process ends.
    fn run(&self) {
        let mut fired = Vec::with_capacity(BATCH);
        loop {
            self.rescan.begin();
            let tick = self.advance(&mut fired);
            // Wakers run on this thread, and can use up the wake-up that was meant for it: the flag stays.
            if self.rescan.is_asked() {
                continue;
            }
            match tick {
                NEVER => thread::park(),
                tick => {
                    let at = Moment::from_nanos(tick.saturating_mul(TICK_NANOS));
                    let wait = at.since(self.clock.now());
                    if !wait.is_zero() {
                        thread::park_timeout(wait.min(PARK_MAX));
                    }
                }
            }
        }
    }

    /// Turns every wheel whose time has come; returns the tick of the next visit. One with more to
    /// fire than a batch is left for the next round, so that it does not hold up the others.
    pub(super) fn advance(&self, fired: &mut Vec<Waker>) -> u64 {
        let visit = |shard: &CachePadded<Mutex<Shard>>| self.advance_one(&shard.0, fired);
        self.shards.iter().map(visit).min().unwrap_or(NEVER)
    }

    fn advance_one(&self, shard: &Mutex<Shard>, fired: &mut Vec<Waker>) -> u64 {
        let now = whole_ticks(self.clock.now());
        let mut shard = shard.lock();
        if shard.visit <= now && !shard.wheel.advance(now, BATCH, fired) {
            shard.visit = shard.wheel.next().unwrap_or(NEVER);
        }
        let visit = shard.visit;
        drop(shard);
        fired.drain(..).for_each(wake);
        visit
    }
}

/// Whether the driver must look at the wheels again before it sleeps, because a visit was moved forward.
#[derive(Debug, Default)]
pub(super) struct Rescan(AtomicU64);

impl Rescan {
    /// Asked after a visit was moved forward, and before the driver is unparked.
    pub(super) fn ask(&self) {
        self.0.store(1, Release);
    }

    /// The driver is about to look at every wheel, so it sees all visits moved so far.
    pub(super) fn begin(&self) {
        self.0.swap(0, AcqRel);
    }

    /// Whether a visit was moved forward since [`Rescan::begin`].
    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Acquire) != 0
    }
}

pub(super) fn start_thread(timers: &'static Timers) -> io::Result<Thread> {
    let builder = thread::Builder::new().name(THREAD_NAME.to_owned());
    Ok(builder.spawn(|| timers.run())?.thread().clone())
}

/// Ticks that have passed at `moment`, the one under way not counted. A deadline is rounded up and
/// the present down, so that nothing fires early.
const fn whole_ticks(moment: Moment) -> u64 {
    moment.as_nanos() / TICK_NANOS
}

/// A number that stays with the thread and spreads threads evenly.
#[inline]
fn home() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static HOME: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    HOME.with(|home| {
        if home.get() == usize::MAX {
            home.set(NEXT.fetch_add(1, Relaxed) % usize::MAX);
        }
        home.get()
    })
}

/// A sleep's hold on the system's timers.
///
/// If the driver cannot be started (the system is out of threads) or the wheel is full, a sleep
/// wakes its own task at once, to ask the clock and try again at its next poll: it burns a core
/// until then, but ends on time and neither hangs nor panics.
pub(super) struct Arm {
    timers: &'static Timers,
    timer: Option<TimerId>,
}

impl Arm {
    #[inline]
    pub(super) const fn new(timers: &'static Timers) -> Self {
        Self { timers, timer: None }
    }

    pub(super) fn now(&self) -> Moment {
        self.timers.clock.now()
    }

    pub(super) fn poll(&mut self, deadline: Moment, context: &Context<'_>) -> Poll<()> {
        let now = self.now();
        if now >= deadline {
            self.disarm();
            return Poll::Ready(());
        }
        let waker = context.waker();
        if self.timer.is_none_or(|timer| !self.timers.renew(timer, waker)) {
            self.timer = self.timers.register(now, deadline, waker.clone());
            if self.timer.is_none() {
                waker.wake_by_ref();
            }
        }
        Poll::Pending
    }

    #[inline]
    fn disarm(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.timers.cancel(timer);
        }
    }
}

impl Drop for Arm {
    #[inline]
    fn drop(&mut self) {
        self.disarm();
    }
}
