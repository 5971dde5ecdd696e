use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use proptest::prelude::*;

use super::driver::Timers;
use super::wheel::{TimerKey, Wheel};
use super::{Arm, ManualTime, Sleep, Time, driver};
use crate::clock::{Clock, ManualClock, Moment};

const MS: Duration = Duration::from_millis(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (Arc::clone(&count), Waker::from(count))
    }
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Runs a closure when woken: on the thread that wakes.
struct Run<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Run<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn call_back(function: impl Fn() + Send + Sync + 'static) -> Waker {
    Waker::from(Arc::new(Run(function)))
}

fn poll(sleep: &mut Sleep, waker: &Waker) -> Poll<()> {
    Pin::new(sleep).poll(&mut Context::from_waker(waker))
}

/// Polls once with a waker that does nothing.
fn arm(sleep: &mut Sleep) {
    assert!(poll(sleep, Waker::noop()).is_pending());
}

/// The system's timers on a clock of the test's, with a driver that the test plays itself.
fn undriven() -> (&'static Timers, ManualClock) {
    let (clock, crank) = Clock::manual();
    let timers = Timers::new(clock, 4, |_| Ok(std::thread::current()));
    (Box::leak(Box::new(timers)), crank)
}

/// Plays the driver until nothing is due.
fn drive(timers: &Timers, now: Moment) {
    let mut fired = Vec::new();
    while timers.advance(&mut fired) <= now.as_nanos() / 1_000_000 {}
}

fn sleep_on(timers: &'static Timers, deadline: Moment) -> Sleep {
    Sleep { deadline, arm: Arm::System(driver::Arm::new(timers)) }
}

#[test]
fn what_callers_hold_is_send_and_sync_and_small() {
    fn is<T: Send + Sync + Unpin + 'static>() {}
    is::<Time>();
    is::<ManualTime>();
    is::<Sleep>();
    assert!(size_of::<Sleep>() <= 56, "{}", size_of::<Sleep>());
}

// The wheel against a list.

#[derive(Clone, Debug)]
enum Step {
    Insert {
        ahead: u64,
    },
    Cancel {
        which: usize,
    },
    Advance {
        by: u64,
    },
    /// To just before, at or after the next boundary of a slot of this level.
    Boundary {
        level: u32,
        off: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    // Lengths of every magnitude, often at a power of 64 or one off it.
    let length = prop_oneof![
        0u64..70,
        (0u32..8, -2i64..3)
            .prop_map(|(level, off)| (1u64 << (6 * level)).saturating_add_signed(off)),
        (0u32..45).prop_flat_map(|bits| 0..=(1u64 << bits)),
    ];
    prop_oneof![
        5 => length.clone().prop_map(|ahead| Step::Insert { ahead }),
        2 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        2 => length.prop_map(|by| Step::Advance { by }),
        2 => (0u32..7, -1i64..2).prop_map(|(level, off)| Step::Boundary { level, off }),
    ]
}

/// The naive model: every timer in a map from its number to its tick.
#[derive(Default)]
struct Model {
    waiting: BTreeMap<usize, u64>,
}

impl Model {
    fn due(&mut self, now: u64) -> Vec<(u64, usize)> {
        let due = self.waiting.iter().filter(|(_, tick)| **tick <= now);
        let mut due: Vec<_> = due.map(|(number, tick)| (*tick, *number)).collect();
        for (_, number) in &due {
            self.waiting.remove(number);
        }
        due.sort_unstable();
        due
    }
}

/// A waker that writes a number down.
fn writes(number: usize, into: &Arc<Mutex<Vec<usize>>>) -> Waker {
    let into = Arc::clone(into);
    call_back(move || into.lock().unwrap().push(number))
}

/// Turns the wheel, a few timers at a time, and returns the numbers of those that fired.
fn advance(wheel: &mut Wheel, now: u64, budget: usize, log: &Mutex<Vec<usize>>) -> Vec<usize> {
    let mut fired = Vec::new();
    while wheel.advance(now, budget, &mut fired) {
        assert_eq!(wheel.next().map(|next| next <= now), Some(true), "unfinished work is due now");
    }
    fired.into_iter().for_each(Waker::wake);
    std::mem::take(&mut log.lock().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_wheel_fires_exactly_what_a_list_would(
        steps in prop::collection::vec(step(), 1..120),
        budget in 1usize..6,
    ) {
        let (mut wheel, mut model, mut now) = (Wheel::new(), Model::default(), 0u64);
        let log = Arc::default();
        let mut keys: Vec<TimerKey> = Vec::new();
        for step in steps {
            let by = match step {
                Step::Insert { ahead } => {
                    let (number, tick) = (keys.len(), (now + ahead).max(now + 1));
                    let (key, advance_at) = wheel.insert(now, now + ahead, writes(number, &log)).unwrap();
                    prop_assert!(now < advance_at && advance_at <= tick, "{now} {advance_at} {tick}");
                    model.waiting.insert(number, tick);
                    keys.push(key);
                    continue;
                }
                Step::Cancel { which } if keys.is_empty() => { let _ = which; continue }
                Step::Cancel { which } => {
                    let number = which % keys.len();
                    let was_waiting = model.waiting.remove(&number).is_some();
                    prop_assert_eq!(wheel.cancel(keys[number]).is_some(), was_waiting);
                    continue;
                }
                Step::Advance { by } => by,
                Step::Boundary { level, off } => {
                    let span = 1u64 << (6 * level);
                    (span - now % span).saturating_add_signed(off)
                }
            };
            // The clock stays within what a u64 of nanoseconds holds.
            now = (now + by).min(u64::MAX / 1_000_000);
            let fired = advance(&mut wheel, now, budget, &log);
            let due = model.due(now);
            let ticks: BTreeMap<_, _> = due.iter().map(|(tick, number)| (*number, *tick)).collect();
            let in_order: Vec<_> = fired.iter().map(|number| ticks.get(number)).collect();
            prop_assert!(in_order.is_sorted(), "in order of tick");
            let mut fired = fired;
            fired.sort_unstable();
            prop_assert_eq!(fired, ticks.into_keys().collect::<Vec<_>>());
            prop_assert_eq!(wheel.live(), model.waiting.len());
            let first = model.waiting.values().min();
            prop_assert_eq!(wheel.next().is_some(), first.is_some());
            prop_assert!(wheel.next().zip(first).is_none_or(|(next, first)| now < next && next <= *first));
        }
        for key in keys {
            wheel.cancel(key);
        }
        prop_assert_eq!((wheel.live(), wheel.next()), (0, None));
    }

    #[test]
    fn inserts_and_cancels_between_batches_lose_nothing(
        ahead in prop::collection::vec(1u64..10_000, 1..60),
        cancels in prop::collection::vec(any::<usize>(), 0..30),
        budget in 1usize..4,
    ) {
        let (mut wheel, log, now) = (Wheel::new(), Arc::default(), 5_000);
        let mut expected: BTreeMap<usize, u64> = ahead.iter().copied().enumerate().collect();
        let mut keys: Vec<TimerKey> = Vec::new();
        for (number, tick) in &expected {
            keys.push(wheel.insert(0, *tick, writes(*number, &log)).unwrap().0);
        }
        let (mut fired, mut cancels) = (Vec::new(), cancels.into_iter());
        while wheel.advance(now, budget, &mut fired) {
            if let Some(which) = cancels.next() {
                let number = which % keys.len();
                if wheel.cancel(keys[number]).is_some() {
                    expected.remove(&number);
                }
                let number = keys.len();
                let tick = now + which as u64 % 100;
                expected.insert(number, tick);
                keys.push(wheel.insert(now, tick, writes(number, &log)).unwrap().0);
            }
        }
        wheel.advance(20_000, usize::MAX, &mut fired);
        fired.into_iter().for_each(Waker::wake);
        let mut log = log.lock().unwrap().clone();
        log.sort_unstable();
        prop_assert_eq!(log, expected.into_keys().collect::<Vec<_>>());
        prop_assert_eq!(wheel.live(), 0);
    }
}

#[test]
fn a_key_whose_timer_fired_cannot_cancel_the_next_one_in_its_place() {
    let mut wheel = Wheel::new();
    let (old, _) = wheel.insert(0, 1, Waker::noop().clone()).unwrap();
    let mut fired = Vec::new();
    assert!(!wheel.advance(1, 10, &mut fired));
    wheel.insert(1, 2, Waker::noop().clone()).unwrap();
    assert_eq!(wheel.room(), 1, "the place is used again");
    assert!(wheel.cancel(old).is_none());
    assert_eq!(wheel.live(), 1);
}

#[test]
fn a_burst_gives_its_memory_back() {
    let mut wheel = Wheel::new();
    let keys: Vec<_> = (0..100_000)
        .map(|tick| wheel.insert(0, tick * 7, Waker::noop().clone()).unwrap().0)
        .collect();
    assert_eq!((wheel.live(), wheel.room()), (100_000, 100_000));
    for key in keys {
        wheel.cancel(key);
    }
    assert_eq!((wheel.live(), wheel.room()), (0, 0));
    wheel.insert(0, 7, Waker::noop().clone()).unwrap();
    assert_eq!((wheel.live(), wheel.room()), (1, 1), "and goes on");
    // More than before: no place that is gone is used again.
    (0..100_000).for_each(|tick| _ = wheel.insert(0, tick * 7, Waker::noop().clone()).unwrap());
    let mut fired = Vec::new();
    assert!(!wheel.advance(700_000, usize::MAX, &mut fired));
    assert_eq!((fired.len(), wheel.live()), (100_001, 0));
}

#[test]
fn a_wheel_fires_no_more_than_a_batch_at_a_time() {
    let mut wheel = Wheel::new();
    (0..5).for_each(|_| _ = wheel.insert(0, 3, Waker::noop().clone()).unwrap());
    // Taking the slot apart and firing each are the same look.
    let fired: Vec<usize> = (0..3)
        .map(|_| {
            let mut fired = Vec::new();
            wheel.advance(3, 2, &mut fired);
            fired.len()
        })
        .collect();
    assert_eq!(fired, [2, 2, 1]);
}

#[test]
fn a_timer_armed_as_a_slot_comes_due_does_not_hide_an_earlier_one_in_it() {
    let mut wheel = Wheel::new();
    // Both are in the slot that stands for ticks 64 to 127, and it comes due at 64.
    wheel.insert(0, 70, Waker::noop().clone()).unwrap();
    wheel.insert(64, 100, Waker::noop().clone()).unwrap();
    assert!(wheel.next().unwrap() <= 70, "{:?}", wheel.next());
    let mut fired = Vec::new();
    assert!(!wheel.advance(70, usize::MAX, &mut fired));
    assert_eq!((fired.len(), wheel.live()), (1, 1));
}

#[test]
fn a_wheel_left_alone_for_a_year_places_by_the_present() {
    let mut wheel = Wheel::new();
    let now = 64 * 500_000_000;
    let (_, advance_at) = wheel.insert(now, now + 10, Waker::noop().clone()).unwrap();
    assert_eq!(advance_at, now + 10, "in the lowest level, not half a year up");
}

// The system's timers, the driver played by the test.

#[test]
fn a_sleep_costs_nothing_until_it_waits_and_nothing_once_dropped() {
    let (timers, _crank) = undriven();
    let mut sleep = sleep_on(timers, Moment::ZERO + 30_000 * MS);
    assert_eq!(timers.live(), 0);
    arm(&mut sleep);
    arm(&mut sleep);
    assert_eq!(timers.live(), 1);
    drop(sleep);
    assert_eq!(timers.live(), 0);
}

#[test]
fn a_hundred_thousand_timeouts_that_never_happen_take_the_room_of_one() {
    let (timers, _crank) = undriven();
    for _ in 0..100_000 {
        arm(&mut sleep_on(timers, Moment::ZERO + 30_000 * MS));
    }
    assert_eq!((timers.live(), timers.room()), (0, 1));
}

#[test]
fn a_timer_is_never_early_and_at_most_a_tick_late() {
    for nanos in [1u64, 999_999, 1_000_000, 1_000_001, 63_999_999, 64_000_001, 4_096_000_001] {
        let (timers, crank) = undriven();
        let (count, waker) = Count::new();
        let mut sleep = sleep_on(timers, Moment::from_nanos(nanos));
        assert!(poll(&mut sleep, &waker).is_pending());
        crank.set(Moment::from_nanos(nanos - 1));
        timers.advance(&mut Vec::new());
        assert_eq!(count.get(), 0, "{nanos}");
        crank.set(Moment::from_nanos(nanos) + MS);
        timers.advance(&mut Vec::new());
        assert_eq!(count.get(), 1, "{nanos}");
        assert!(poll(&mut sleep, &waker).is_ready());
        assert!(poll(&mut sleep, &waker).is_ready(), "over is over");
        assert!(sleep.is_elapsed());
    }
}

#[test]
fn more_than_a_batch_fires_and_a_waker_that_panics_takes_nobody_down() {
    let (timers, crank) = undriven();
    let (count, waker) = Count::new();
    let bad = call_back(|| std::panic::resume_unwind(Box::new("a bad waker")));
    let mut sleeps: Vec<_> = (0..3_000).map(|_| sleep_on(timers, Moment::ZERO + MS)).collect();
    for (number, sleep) in sleeps.iter_mut().enumerate() {
        assert!(poll(sleep, if number % 3 == 0 { &bad } else { &waker }).is_pending());
    }
    drive(timers, crank.advance(5 * MS));
    assert_eq!((count.get(), timers.live()), (2_000, 0));
}

#[test]
fn the_driver_is_told_when_to_come_and_comes_no_later_than_the_first_timer() {
    let (timers, crank) = undriven();
    let mut fired = Vec::new();
    assert_eq!(timers.advance(&mut fired), u64::MAX, "idle: nothing to come for");
    let mut late = sleep_on(timers, Moment::ZERO + 50 * MS);
    arm(&mut late);
    assert_eq!(timers.advance(&mut fired), 50);
    let mut early = sleep_on(timers, Moment::ZERO + 20 * MS);
    arm(&mut early);
    assert_eq!(timers.advance(&mut fired), 20);
    drop(early);
    assert_eq!(timers.advance(&mut fired), 20, "a visit is not called off");
    crank.advance(20 * MS);
    assert_eq!(timers.advance(&mut fired), 50);
}

#[test]
fn a_timer_that_fired_for_a_stopped_clock_is_armed_again() {
    let (timers, crank) = undriven();
    let (count, waker) = Count::new();
    let mut sleep = sleep_on(timers, Moment::ZERO + 10 * MS);
    assert!(poll(&mut sleep, &waker).is_pending());
    crank.set(Moment::ZERO + 11 * MS);
    timers.advance(&mut Vec::new());
    crank.set(Moment::ZERO + 5 * MS); // A clock that goes back under the sleeper's feet.
    assert!(poll(&mut sleep, &waker).is_pending());
    assert_eq!(timers.live(), 1);
    crank.set(Moment::ZERO + 20 * MS);
    timers.advance(&mut Vec::new());
    assert_eq!(count.get(), 2);
    assert!(poll(&mut sleep, &waker).is_ready());
}

#[test]
fn without_a_driver_a_sleep_asks_again_until_it_is_over() {
    let (clock, crank) = Clock::manual();
    let timers = Timers::new(clock, 1, |_| Err(io::Error::other("out of threads")));
    let timers: &'static Timers = Box::leak(Box::new(timers));
    let (count, waker) = Count::new();
    let mut sleep = sleep_on(timers, Moment::ZERO + MS);
    assert!(poll(&mut sleep, &waker).is_pending());
    assert!(poll(&mut sleep, &waker).is_pending());
    assert_eq!((count.get(), timers.live()), (2, 0));
    crank.advance(MS);
    assert!(poll(&mut sleep, &waker).is_ready());
}

#[test]
fn a_timer_whose_task_holds_other_sleeps_can_be_dropped() {
    // Dropping the waker drops the task, which drops a sleep in the same wheel: no lock may be held.
    let (timers, _crank) = undriven();
    let mut inner = sleep_on(timers, Moment::ZERO + MS);
    arm(&mut inner);
    let inner = Mutex::new(Some(inner));
    let waker = call_back(move || drop(inner.lock().unwrap().take()));
    let mut outer = sleep_on(timers, Moment::ZERO + MS);
    assert!(poll(&mut outer, &waker).is_pending());
    drop(waker);
    assert_eq!(timers.live(), 2);
    arm(&mut outer); // Another waker in its place, too, drops the first.
    assert_eq!(timers.live(), 1);
    drop(outer);
    assert_eq!(timers.live(), 0);
}

// Every kind of time alike.

#[test]
fn a_moved_sleep_wakes_the_last_task_that_polled_it() {
    let (timers, crank) = undriven();
    let manual = Time::manual();
    let deadline = Moment::ZERO + 3 * MS;
    let sleeps = [sleep_on(timers, deadline), manual.sleep_until(deadline)];
    let drive: [&dyn Fn(); 2] =
        [&|| drive(timers, crank.advance(3 * MS)), &|| manual.advance(3 * MS)];
    for (mut sleep, drive) in sleeps.into_iter().zip(drive) {
        let ((first, one), (second, two)) = (Count::new(), Count::new());
        assert!(poll(&mut sleep, &one).is_pending());
        assert!(poll(&mut sleep, &two).is_pending());
        drop(one);
        assert_eq!(Arc::strong_count(&first), 1, "the old waker is let go at once");
        drive();
        assert_eq!((first.get(), second.get()), (0, 1));
        assert!(poll(&mut sleep, &two).is_ready());
    }
}

#[test]
fn never_does_not_come_and_is_not_armed() {
    let (timers, crank) = undriven();
    let manual = Time::manual();
    crank.set(Moment::MAX);
    manual.advance(Duration::MAX);
    assert_eq!(manual.now(), Moment::MAX);
    for mut sleep in [
        sleep_on(timers, Moment::MAX),
        manual.sleep(Duration::MAX),
        Time::system().sleep_until(Moment::MAX),
        Time::tokio().sleep_until(Moment::MAX),
    ] {
        arm(&mut sleep);
        assert!(!sleep.is_elapsed());
    }
    assert_eq!((timers.live(), manual.armed()), (0, 0));
}

#[test]
fn a_deadline_in_the_past_is_over_at_the_first_poll() {
    let times = [Time::system(), Time::tokio(), Time::manual().into()];
    for time in times {
        assert!(poll(&mut time.sleep_until(Moment::ZERO), Waker::noop()).is_ready(), "{time:?}");
        assert!(poll(&mut time.sleep(Duration::ZERO), Waker::noop()).is_ready(), "{time:?}");
    }
}

// Time by hand.

#[test]
fn manual_timers_fire_in_order_with_the_clock_at_each_deadline() {
    let manual = Time::manual();
    let log: Arc<Mutex<Vec<(u32, Moment)>>> = Arc::default();
    let at = |nanos| Moment::from_nanos(nanos);
    let mut sleeps = Vec::new();
    for (number, deadline) in [(0, 500), (1, 20), (2, 500), (3, 21), (4, 501)] {
        let (log, clock) = (Arc::clone(&log), manual.clone());
        let waker = call_back(move || log.lock().unwrap().push((number, clock.now())));
        let mut sleep = manual.sleep_until(at(deadline));
        assert!(poll(&mut sleep, &waker).is_pending());
        sleeps.push(sleep);
    }
    assert_eq!((manual.armed(), manual.next_deadline()), (5, Some(at(20))));
    manual.advance(Duration::from_nanos(500));
    let expected = [(1, at(20)), (3, at(21)), (0, at(500)), (2, at(500))];
    assert_eq!(*log.lock().unwrap(), expected);
    assert_eq!((manual.armed(), manual.now()), (1, at(500)));
    drop(sleeps);
    assert_eq!((manual.armed(), manual.next_deadline()), (0, None));
}

#[test]
fn a_manual_waker_may_advance_and_sleep_itself() {
    let manual = Time::manual();
    let (count, waker) = Count::new();
    let (inner, kept) = (manual.clone(), Mutex::new(Vec::new()));
    let outer = call_back(move || {
        let mut next = inner.sleep(MS);
        assert!(poll(&mut next, &waker).is_pending());
        kept.lock().unwrap().push(next);
        inner.advance(10 * MS);
    });
    let mut sleep = manual.sleep(5 * MS);
    assert!(poll(&mut sleep, &outer).is_pending());
    manual.advance(6 * MS);
    assert_eq!((count.get(), manual.now()), (1, Moment::ZERO + 16 * MS));
}

#[test]
fn manual_advances_of_several_threads_add_up() {
    let manual = Time::manual();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1_000).for_each(|_| manual.advance(MS)));
        }
        scope.spawn(|| {
            for _ in 0..1_000 {
                let mut sleep = manual.sleep(Duration::from_nanos(1));
                let _ = poll(&mut sleep, Waker::noop());
            }
        });
    });
    assert_eq!((manual.now(), manual.armed()), (Moment::ZERO + 4_000 * MS, 0));
}

#[test]
fn a_manual_clock_jumps_a_century_at_once() {
    let manual = Time::manual();
    let (count, waker) = Count::new();
    let mut sleeps: Vec<_> = (1..=100).map(|year| manual.sleep(YEAR * year)).collect();
    sleeps.iter_mut().for_each(|sleep| assert!(poll(sleep, &waker).is_pending()));
    manual.advance(YEAR * 99);
    assert_eq!((count.get(), manual.armed()), (99, 1));
}

#[test]
fn a_jump_of_a_century_turns_the_wheels_at_once_too() {
    let (timers, crank) = undriven();
    let (count, waker) = Count::new();
    let mut sleeps: Vec<_> =
        (1..=100).map(|year| sleep_on(timers, Moment::ZERO + YEAR * year)).collect();
    sleeps.iter_mut().for_each(|sleep| assert!(poll(sleep, &waker).is_pending()));
    drive(timers, crank.advance(YEAR * 99));
    assert_eq!((count.get(), timers.live()), (99, 1));
}

// The system's, for real.

#[test]
fn system_sleeps_wake_their_tasks_and_leave_nothing_behind() {
    // Blocks on a channel that the waker writes to: no runtime, no clock but the one under test.
    let time = Time::system();
    let (sender, receiver) = mpsc::channel();
    let before = time.now();
    let mut sleeps: Vec<_> =
        [9, 1, 5, 30_000].iter().map(|ms| time.sleep_until(before + *ms * MS)).collect();
    for (number, sleep) in sleeps.iter_mut().enumerate() {
        let sender = Mutex::new(sender.clone());
        let waker = call_back(move || sender.lock().unwrap().send(number).unwrap());
        if poll(sleep, &waker).is_ready() {
            waker.wake(); // A machine this busy has let the deadline pass already.
        }
    }
    let mut woken: Vec<_> = (0..3).map(|_| receiver.recv().unwrap()).collect();
    assert!(time.now() >= before + 9 * MS);
    assert!(woken.iter().all(|number| sleeps[*number].is_elapsed()));
    woken.sort_unstable();
    assert_eq!(woken, [0, 1, 2]);
    assert!(!sleeps[3].is_elapsed());
}

/// Its waker blocks the driver's thread the way a blocking channel does: it parks, and takes the wake-up that the second
/// sleep meant for the driver.
#[test]
fn a_sleep_armed_while_a_waker_blocks_the_driver_ends_in_time() {
    let timers = Timers::new(Clock::system(), 1, driver::start_thread);
    let timers: &'static Timers = Box::leak(Box::new(timers));
    let now = timers.clock().now();
    let armed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (inside, is_inside) = mpsc::channel();
    let inside = Mutex::new(inside);
    let parks = {
        let armed = Arc::clone(&armed);
        call_back(move || {
            inside.lock().unwrap().send(()).unwrap();
            while !armed.load(Ordering::SeqCst) {
                std::thread::park();
            }
            // The wake-up of the second sleep, if it was not the one that ended the loop.
            std::thread::park_timeout(MS);
        })
    };
    let mut first = sleep_on(timers, now + MS);
    if poll(&mut first, &parks).is_ready() {
        return; // A machine this busy has let the deadline pass already.
    }
    is_inside.recv().unwrap();
    let (ended, has_ended) = mpsc::channel();
    let ended = Mutex::new(ended);
    let mut second = sleep_on(timers, timers.clock().now() + 20 * MS);
    let pending = poll(&mut second, &call_back(move || ended.lock().unwrap().send(()).unwrap()));
    armed.store(true, Ordering::SeqCst);
    timers.unpark_driver();
    if pending.is_pending() {
        has_ended.recv_timeout(Duration::from_secs(20)).expect("the second sleep never ended");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn system_sleeps_of_many_tasks_all_end_and_none_early() {
    let time = Time::system();
    let tasks: Vec<_> = (0..200u64)
        .map(|number| {
            let time = time.clone();
            tokio::spawn(async move {
                for round in 0..5 {
                    let sleep = time.sleep(Duration::from_micros((number * 37 + round) % 7_000));
                    let deadline = sleep.deadline();
                    // One that is dropped half the time while the driver may be firing it.
                    let mut rival = pin!(time.sleep(Duration::from_micros(number * 37 % 7_000)));
                    let mut sleep = pin!(sleep);
                    poll_fn(|context| {
                        let _ = rival.as_mut().poll(context);
                        sleep.as_mut().poll(context)
                    })
                    .await;
                    assert!(time.now() >= deadline);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

// tokio's.

#[tokio::test(start_paused = true)]
async fn tokio_time_follows_the_paused_clock() {
    let time = Time::tokio();
    let start = time.now();
    tokio::time::advance(Duration::from_secs(7)).await;
    assert_eq!(time.now(), start + Duration::from_secs(7));
    // A paused runtime with nothing else to do jumps to the next timer: ours must be one of tokio's.
    let sleep = time.sleep(YEAR);
    let deadline = sleep.deadline();
    sleep.await;
    assert!(time.now() >= deadline && time.now() <= deadline + 2 * MS);
    // Beyond the 30 years that tokio waits at most.
    let sleep = time.sleep(YEAR * 100);
    let deadline = sleep.deadline();
    sleep.await;
    assert!(time.now() >= deadline);
}

#[test]
fn tokio_time_moves_for_a_runtime_paused_before_it_was_first_asked() {
    let paused = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let (first, second) = (paused(), paused());
    for runtime in [second, first] {
        runtime.block_on(async {
            let time = Time::tokio();
            let start = time.now();
            time.sleep(90 * MS).await;
            assert!(time.now().since(start) >= 90 * MS);
        });
    }
}

#[test]
fn tokio_time_falls_back_where_tokio_has_no_timers() {
    let time = Time::tokio();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let before = time.now();
    runtime.block_on(time.sleep(2 * MS));
    assert!(time.now() >= before + 2 * MS);
    // And with no runtime at all: woken through a channel.
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let waker = call_back(move || sender.lock().unwrap().send(()).unwrap_or_default());
    let mut sleep = time.sleep(2 * MS);
    while poll(&mut sleep, &waker).is_pending() {
        receiver.recv().unwrap();
    }
    assert!(sleep.is_elapsed());
}

/// Polls a sleep, and nudges twice: each nudge wakes the task, and the sleep goes on.
fn is_woken_by_nudges(time: &Time) {
    let (count, waker) = Count::new();
    let mut sleep = time.sleep(YEAR);
    for nudges in 1..=2 {
        assert!(poll(&mut sleep, &waker).is_pending());
        time.nudge();
        assert!(count.get() >= nudges, "{nudges}");
    }
    assert!(poll(&mut sleep, &waker).is_pending());
}

#[test]
fn a_nudge_wakes_those_who_sleep_by_the_system_or_by_hand() {
    is_woken_by_nudges(&Time::system());
    is_woken_by_nudges(&Time::manual().into());
}

#[tokio::test(start_paused = true)]
async fn a_nudge_wakes_those_who_sleep_by_tokio() {
    is_woken_by_nudges(&Time::tokio());
}

#[test]
fn a_sleep_is_elapsed_at_its_deadline() {
    let manual = Time::manual();
    let sleep = Time::from(manual.clone()).sleep(MS);
    manual.advance(MS - Duration::from_nanos(1));
    assert!(!sleep.is_elapsed());
    manual.advance(Duration::from_nanos(1));
    assert!(sleep.is_elapsed());
}

/// Each look at a wheel is a look at the clock. A driver that waits looks a few times, and one that does not a million times.
#[test]
fn the_driver_sleeps_while_nothing_is_due() {
    static LOOKS: AtomicUsize = AtomicUsize::new(0);
    let counted = Clock::from_fn(|| {
        LOOKS.fetch_add(1, Ordering::Relaxed);
        Time::system().now()
    });
    let timers = Timers::new(counted, 1, driver::start_thread);
    let timers: &'static Timers = Box::leak(Box::new(timers));
    let (ended, has_ended) = mpsc::channel();
    let ended = Mutex::new(ended);
    let mut sleep = sleep_on(timers, timers.clock().now() + 50 * MS);
    let waker = call_back(move || ended.lock().unwrap().send(()).unwrap());
    if poll(&mut sleep, &waker).is_pending() {
        has_ended.recv_timeout(Duration::from_secs(20)).expect("the sleep never ended");
    }
    assert!(LOOKS.load(Ordering::Relaxed) < 1_000, "{LOOKS:?} looks");
}

#[test]
fn a_thread_that_runs_a_future_sleeps_until_it_is_woken() {
    let (hand, handed) = mpsc::channel::<Waker>();
    let is_done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let other = {
        let is_done = Arc::clone(&is_done);
        std::thread::spawn(move || {
            let waker = handed.recv().unwrap();
            (0..1_000).for_each(|_| std::thread::yield_now());
            is_done.store(true, Ordering::SeqCst);
            waker.wake();
        })
    };
    let mut polls = 0;
    super::block_on(poll_fn(|cx| {
        polls += 1;
        if polls == 1 {
            hand.send(cx.waker().clone()).unwrap();
        }
        if is_done.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }));
    other.join().unwrap();
    assert!(polls <= 2, "{polls} polls for one wake-up");
}

/// On the system's clock, because it is the machine that is late.
#[test]
fn an_end_that_is_noticed_late_waits_a_little_longer_for_an_answer_that_may_be_there() {
    let time = Time::system();
    let deadline = time.now() + MS;
    // Nobody looks at it before it is 30 ms late.
    super::block_on(time.sleep_until(deadline + 30 * MS));
    let noticed = time.now();
    super::block_on(time.limit(deadline));
    let waited = time.now().since(noticed);
    assert!(waited >= 20 * MS, "as much as it is late, and 20 ms at most: {waited:?}");
}
