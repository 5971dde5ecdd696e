use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::builder::thread_name;
use super::*;
use crate::error::{Fault, RejectedBy, UnavailableCause};
use crate::time::{ManualTime, Time};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

type Answer<T> = Result<T, PoolError>;
type Boxed<T> = Pin<Box<dyn Future<Output = Answer<T>> + Send>>;

/// Work that tells when it starts and returns when it is let go.
struct Gate {
    started: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
}

impl Gate {
    fn new() -> (Self, impl FnOnce() + Send + 'static) {
        let (start, started) = mpsc::channel();
        let (go, gone) = mpsc::channel();
        let work = move || {
            // The holder of the gate may be gone: then there is nothing to tell or to wait for.
            let _ = start.send(());
            let _ = gone.recv();
        };
        (Self { started, go }, work)
    }

    /// Returns once the work runs.
    fn wait(&self) {
        self.started.recv().unwrap();
    }

    fn open(&self) {
        self.go.send(()).unwrap();
    }
}

fn pool(threads: u32, queue: u32) -> (BlockingPool, ManualTime) {
    let time = Time::manual();
    let pool = BlockingPool::builder("ledger").threads(threads).queue(queue).time(&time).build();
    (pool.unwrap(), time)
}

/// A thread that is busy until its gate opens, with the future that waits for it.
fn occupy(pool: &BlockingPool) -> (Gate, Boxed<()>) {
    let (gate, work) = Gate::new();
    let mut future: Boxed<()> = Box::pin(pool.run(work));
    assert!(poll(&mut future).is_pending());
    gate.wait();
    (gate, future)
}

fn poll<T>(future: &mut Boxed<T>) -> Poll<Answer<T>> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Hands `work` in and asks nothing more.
fn start<T: Send + 'static>(
    pool: &BlockingPool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Boxed<T> {
    let mut future: Boxed<T> = Box::pin(pool.run(work));
    assert!(poll(&mut future).is_pending());
    future
}

fn is_full<T>(answer: &Poll<Answer<T>>) -> bool {
    matches!(answer, Poll::Ready(Err(PoolError::BulkheadFull { .. })))
}

/// Every work is somewhere, and once.
fn balanced(counts: PoolCounts) -> bool {
    let now = u64::from(counts.active) + u64::from(counts.queued);
    let over = counts.completed + counts.panicked + counts.rejected + counts.withdrawn;
    counts.received == now + over
}

#[test]
fn what_callers_hold_is_send_and_sync() {
    fn is<T: Send + Sync + 'static>() {}
    fn is_send<T: Send + 'static>(_: &T) {}
    is::<BlockingPool>();
    is::<PoolBuilder>();
    is::<PoolError>();
    is::<PoolBuildError>();
    let (pool, _) = pool(1, 1);
    is_send(&pool.run(|| ()));
    is_send(&pool.shutdown(SECOND));
}

#[test]
fn the_defaults_are_the_bulkheads() {
    let pool = BlockingPool::builder("ledger").build().unwrap();
    assert_eq!(pool.threads(), 25);
    assert_eq!(pool.name(), "ledger");
    let config = crate::bulkhead::Config::builder().max_concurrent(3).build().unwrap();
    let pool = BlockingPool::builder("ledger").bulkhead(&config).build().unwrap();
    assert_eq!(pool.threads(), 3);
}

#[test]
fn blocking_work_runs_on_the_pools_own_threads_and_answers() {
    let (pool, _) = pool(2, 4);
    let name = pool.run_blocking(|| thread::current().name().map(str::to_owned)).unwrap();
    assert!(name.unwrap().starts_with("bh-ledger-"));
    assert_eq!(pool.completed(), 1);
    assert_eq!(pool.active(), 0);
}

#[tokio::test]
async fn async_callers_wait_without_blocking_their_thread() {
    let (pool, _) = pool(1, 4);
    let (gate, work) = Gate::new();
    let first = tokio::spawn(pool.run(work));
    let second = tokio::spawn(pool.run(|| 7));
    // This runtime has one thread: had the first blocked it, nobody could open the gate.
    tokio::task::yield_now().await;
    gate.wait();
    gate.open();
    first.await.unwrap().unwrap();
    assert_eq!(second.await.unwrap(), Ok(7));
}

#[test]
fn a_thread_is_free_before_its_caller_hears_of_the_end() {
    // With no queue at all, a caller that comes back at once must never be refused.
    let (pool, _) = pool(1, 0);
    for i in 0..2_000 {
        assert_eq!(pool.run_blocking(move || i), Ok(i));
    }
    assert_eq!(pool.rejected(), 0);
}

#[test]
fn no_more_works_run_at_once_than_there_are_threads() {
    let (pool, _) = pool(3, 1_000);
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let (running, most) = (Arc::clone(&running), Arc::clone(&most));
                    let work = move || {
                        most.fetch_max(
                            running.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                    };
                    pool.run_blocking(work).unwrap();
                }
            });
        }
    });
    assert!(most.load(Ordering::SeqCst) <= 3);
    let expected = PoolCounts { received: 800, completed: 800, ..PoolCounts::default() };
    assert_eq!(pool.counts(), expected);
}

#[test]
fn all_threads_run_at_once() {
    let (pool, _) = pool(4, 0);
    let meet = Arc::new(Barrier::new(5));
    let works: Vec<_> = (0..4)
        .map(|_| {
            let meet = Arc::clone(&meet);
            start(&pool, move || meet.wait().is_leader())
        })
        .collect();
    meet.wait(); // Hangs unless all four are at it together.
    drop(works);
}

#[test]
fn a_full_line_refuses_and_says_who_and_how_many() {
    let (pool, _) = pool(1, 1);
    let (gate, busy) = occupy(&pool);
    let waiting = start(&pool, || ());
    let refused = pool.run_blocking(|| ()).unwrap_err();
    assert_eq!(refused, PoolError::BulkheadFull { dependency: "ledger".into(), threads: 1 });
    assert_eq!(refused.to_string(), "ledger: bulkhead full (1 threads busy)");
    let fault = refused.fault();
    assert!(matches!(fault, Some(Fault::Rejected { by: RejectedBy::Bulkhead, .. })));
    assert_eq!((pool.active(), pool.queued(), pool.rejected()), (1, 1, 1));
    gate.open();
    assert_eq!(block_on(busy), Ok(()));
    assert_eq!(block_on(waiting), Ok(()));
    assert_eq!((pool.active(), pool.queued(), pool.completed()), (0, 0, 2));
}

#[test]
fn work_that_waits_longer_than_max_wait_is_refused_and_never_run() {
    let (pool, time) = pool(1, 4);
    let (gate, busy) = occupy(&pool);
    let ran = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ran);
    let mut late = start(&pool, move || flag.store(true, Ordering::SeqCst));
    time.advance(30 * SECOND - MS);
    assert!(poll(&mut late).is_pending());
    time.advance(MS);
    assert!(is_full(&poll(&mut late)));
    gate.open();
    block_on(busy).unwrap();
    pool.run_blocking(|| ()).unwrap();
    assert!(!ran.load(Ordering::SeqCst));
    assert_eq!((pool.rejected(), pool.completed()), (1, 2));
}

#[test]
fn a_blocked_caller_is_woken_when_its_wait_is_over() {
    let (pool, time) = pool(1, 4);
    let (gate, _busy) = occupy(&pool);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.run_blocking(|| ()));
        while time.armed() == 0 {
            thread::yield_now();
        }
        time.advance(30 * SECOND);
        assert!(matches!(waiter.join().unwrap(), Err(PoolError::BulkheadFull { .. })));
    });
    gate.open();
}

#[test]
fn work_that_waited_too_long_is_not_started_even_if_its_caller_has_not_looked() {
    let (pool, time) = pool(1, 4);
    let (gate, busy) = occupy(&pool);
    let ran = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ran);
    let mut late = start(&pool, move || flag.store(true, Ordering::SeqCst));
    time.advance(31 * SECOND); // Its waker does nothing, so nobody polls it.
    gate.open();
    block_on(busy).unwrap();
    pool.run_blocking(|| ()).unwrap();
    assert!(is_full(&poll(&mut late)));
    assert!(!ran.load(Ordering::SeqCst));
    assert_eq!((pool.rejected(), pool.queued()), (1, 0));
}

#[test]
fn no_wait_means_no_line() {
    let pool = BlockingPool::builder("p").threads(1).max_wait(Duration::ZERO).build().unwrap();
    let (gate, _busy) = occupy(&pool);
    assert!(is_full(&poll(&mut (Box::pin(pool.run(|| ())) as Boxed<()>))));
    gate.open();
}

#[test]
fn a_wait_without_end_is_allowed() {
    let time = Time::manual();
    let builder = BlockingPool::builder("p").threads(1).max_wait(Duration::MAX).time(&time);
    let pool = builder.build().unwrap();
    let (gate, busy) = occupy(&pool);
    let waiting = start(&pool, || 1);
    time.advance(Duration::from_secs(1 << 33));
    gate.open();
    block_on(busy).unwrap();
    assert_eq!(block_on(waiting), Ok(1));
}

#[test]
fn a_panic_is_caught_counted_and_told_and_the_thread_survives() {
    let (pool, _) = pool(1, 4);
    let home = pool.run_blocking(|| thread::current().id()).unwrap();
    let told = |message: Option<&str>| {
        Err(PoolError::Panicked {
            dependency: "ledger".into(),
            message: message.map(str::to_owned),
        })
    };
    assert_eq!(pool.run_blocking(|| -> () { panic!("disk on fire") }), told(Some("disk on fire")));
    let number = 7;
    let text = pool.run_blocking(move || -> () { panic!("disk {number} on fire") });
    assert_eq!(text, told(Some("disk 7 on fire")));
    assert_eq!(pool.run_blocking(|| -> () { std::panic::panic_any(7) }), told(None));
    assert_eq!(text.unwrap_err().to_string(), "ledger: blocking work panicked: disk 7 on fire");
    assert_eq!(pool.run_blocking(|| thread::current().id()), Ok(home));
    assert_eq!((pool.panicked(), pool.completed(), pool.active()), (3, 2, 0));
}

/// Panics when it is dropped.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn a_payload_or_an_unwanted_result_that_panics_when_dropped_costs_no_thread() {
    let (pool, _) = pool(1, 4);
    let told = pool.run_blocking(|| -> () { std::panic::panic_any(Grenade) });
    assert!(matches!(told, Err(PoolError::Panicked { message: None, .. })));
    let (gate, work) = Gate::new();
    let unwanted = start(&pool, move || {
        work();
        Grenade
    });
    gate.wait();
    drop(unwanted);
    gate.open();
    assert_eq!(pool.run_blocking(|| 5), Ok(5));
    assert_eq!((pool.panicked(), pool.completed()), (2, 1));
}

#[test]
fn a_waker_that_panics_costs_no_thread() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("no");
        }
    }
    let (pool, _) = pool(1, 4);
    let (gate, work) = Gate::new();
    let mut future: Boxed<()> = Box::pin(pool.run(work));
    let waker = Waker::from(Arc::new(Bad));
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    gate.open();
    assert_eq!(pool.run_blocking(|| 5), Ok(5));
    assert_eq!(poll(&mut future), Poll::Ready(Ok(())));
}

#[test]
fn a_future_dropped_before_its_work_starts_takes_it_back() {
    let (pool, _) = pool(1, 2);
    let (gate, busy) = occupy(&pool);
    let ran = Arc::new(AtomicBool::new(false));
    let held = Arc::clone(&ran);
    let waiting = start(&pool, move || held.store(true, Ordering::SeqCst));
    assert_eq!(Arc::strong_count(&ran), 2);
    drop(waiting);
    assert_eq!(Arc::strong_count(&ran), 1, "what the work holds is dropped with the future");
    assert_eq!(pool.queued(), 0);
    gate.open();
    block_on(busy).unwrap();
    pool.run_blocking(|| ()).unwrap();
    assert!(!ran.load(Ordering::SeqCst));
    assert_eq!(pool.counts().withdrawn, 1);
}

#[test]
fn cancelled_waiters_leave_no_trace_in_the_line() {
    // A queue of one, and ten thousand callers who give up: the next one still finds room.
    let (pool, time) = pool(1, 1);
    let (gate, busy) = occupy(&pool);
    for _ in 0..10_000 {
        drop(start(&pool, || ()));
    }
    assert_eq!(time.armed(), 0, "nor a timer");
    let waiting = start(&pool, || 3);
    gate.open();
    block_on(busy).unwrap();
    assert_eq!(block_on(waiting), Ok(3));
    assert_eq!(pool.rejected(), 0);
}

#[test]
fn a_future_never_polled_does_nothing() {
    let (pool, _) = pool(1, 1);
    drop(pool.run(|| ()));
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[test]
fn a_thread_counts_until_its_work_has_really_ended() {
    let (pool, _) = pool(1, 0);
    let (gate, busy) = occupy(&pool);
    drop(busy);
    assert_eq!(pool.active(), 1, "the caller is gone, the work is not");
    assert!(is_full(&poll(&mut (Box::pin(pool.run(|| ())) as Boxed<()>))));
    gate.open();
    while pool.active() > 0 {
        thread::yield_now();
    }
    assert_eq!(pool.completed(), 1);
    assert_eq!(pool.run_blocking(|| 1), Ok(1));
}

#[test]
fn works_that_nobody_waits_for_are_counted_until_they_return() {
    let (pool, _) = pool(2, 0);
    let ((gate, busy), (other, wanted)) = (occupy(&pool), occupy(&pool));
    drop(busy);
    assert_eq!((pool.active(), pool.counts().abandoned), (2, 1));
    other.open();
    assert_eq!(block_on(wanted), Ok(()));
    assert_eq!((pool.active(), pool.counts().abandoned), (1, 1));
    gate.open();
    while pool.active() > 0 {
        thread::yield_now();
    }
    assert_eq!(pool.counts().abandoned, 0);
}

#[test]
fn an_end_that_nobody_has_fetched_is_not_abandoned_work() {
    let (pool, _) = pool(1, 0);
    let (gate, busy) = occupy(&pool);
    gate.open();
    while pool.active() > 0 {
        thread::yield_now();
    }
    drop(busy);
    assert_eq!((pool.completed(), pool.counts().abandoned), (1, 0));
}

#[test]
fn a_view_keeps_no_thread_alive() {
    let (pool, _) = pool(2, 0);
    let view = pool.view();
    assert_eq!((&**view.name(), view.threads(), view.has_ended()), ("ledger", 2, false));
    let ended = pool.shutdown_blocking(SECOND);
    assert_eq!(ended, PoolShutdown::default());
    assert_eq!((view.threads(), view.has_ended()), (0, true));
}

#[test]
fn first_come_first_served() {
    let (pool, _) = pool(1, 100);
    let (gate, busy) = occupy(&pool);
    let order = Arc::new(Mutex::new(Vec::new()));
    let works: Vec<_> = (0..50)
        .map(|i| {
            let order = Arc::clone(&order);
            start(&pool, move || order.lock().unwrap().push(i))
        })
        .collect();
    gate.open();
    block_on(busy).unwrap();
    for work in works {
        block_on(work).unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
}

#[test]
fn one_dependency_that_hangs_leaves_the_others_alone() {
    let (hung, _) = pool(2, 1);
    let (healthy, _) = pool(2, 1);
    let (first, second) = (occupy(&hung), occupy(&hung));
    let third = start(&hung, || ());
    assert!(is_full(&poll(&mut (Box::pin(hung.run(|| ())) as Boxed<()>))));
    for i in 0..100 {
        assert_eq!(healthy.run_blocking(move || i), Ok(i));
    }
    drop(third);
    first.0.open();
    second.0.open();
}

// The end.

/// Told when the thread it lives in ends.
struct Last(mpsc::Sender<()>);

impl Drop for Last {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

thread_local! {
    static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
}

/// Leaves a note in each thread of the pool; the receiver hears of each one's end.
fn watch_ends(pool: &BlockingPool) -> mpsc::Receiver<()> {
    let (ended, ends) = mpsc::channel();
    let meet = Arc::new(Barrier::new(pool.threads() as usize));
    let works: Vec<_> = (0..pool.threads())
        .map(|_| {
            let (meet, last) = (Arc::clone(&meet), Last(ended.clone()));
            start(pool, move || {
                LAST.with_borrow_mut(|task| *task = Some(last));
                meet.wait();
            })
        })
        .collect();
    for work in works {
        block_on(work).unwrap();
    }
    ends
}

#[test]
fn dropping_the_last_clone_ends_the_threads_and_waits_for_nobody() {
    let (pool, _) = pool(3, 4);
    let ends = watch_ends(&pool);
    let clone = pool.clone();
    let (gate, busy) = occupy(&pool);
    drop(busy);
    drop(pool);
    assert_eq!(clone.run_blocking(|| 1), Ok(1), "a clone keeps them");
    drop(clone); // Returns although one thread is still busy.
    ends.recv().unwrap();
    ends.recv().unwrap();
    assert!(ends.try_recv().is_err());
    gate.open();
    ends.recv().unwrap();
    assert!(ends.recv().is_err());
}

#[test]
fn what_somebody_waits_for_outlives_the_last_handle() {
    let (pool, _) = pool(1, 4);
    let ends = watch_ends(&pool);
    let (gate, busy) = occupy(&pool);
    let waiting = start(&pool, || 3);
    drop(pool);
    gate.open();
    block_on(busy).unwrap();
    assert_eq!(block_on(waiting), Ok(3));
    ends.recv().unwrap();
}

#[test]
fn the_last_clone_may_go_with_the_work_that_holds_it() {
    let (pool, _) = pool(1, 4);
    let ends = watch_ends(&pool);
    let held = pool.clone();
    let (gate, work) = Gate::new();
    let future = start(&pool, move || {
        work();
        drop(held); // On the pool's own thread.
    });
    gate.wait();
    drop((pool, future));
    gate.open();
    ends.recv().unwrap();
}

/// A shutdown within a second, under way: it has closed the pool and waits.
fn closing<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    pool: &BlockingPool,
    time: &ManualTime,
) -> thread::ScopedJoinHandle<'scope, PoolShutdown> {
    let armed = time.armed();
    let pool = pool.clone();
    let shutdown = scope.spawn(move || pool.shutdown_blocking(SECOND));
    while time.armed() == armed {
        thread::yield_now();
    }
    shutdown
}

#[test]
fn shutdown_lets_everything_end_within_the_limit() {
    let (pool, time) = pool(2, 4);
    let ends = watch_ends(&pool);
    let (first, second) = (occupy(&pool), occupy(&pool));
    let waiting = start(&pool, || 3);
    thread::scope(|scope| {
        let shutdown = closing(scope, &pool, &time);
        let refused = pool.run_blocking(|| ()).unwrap_err();
        assert_eq!(refused, PoolError::ShutDown { dependency: "ledger".into() });
        assert!(!shutdown.is_finished(), "two run and one waits");
        first.0.open();
        second.0.open();
        assert_eq!(shutdown.join().unwrap(), PoolShutdown::default());
    });
    assert_eq!(block_on(waiting), Ok(3));
    assert!(ends.recv().is_ok() && ends.recv().is_ok());
    assert_eq!(pool.shutdown_blocking(SECOND), PoolShutdown::default(), "again");
    let refused = pool.run_blocking(|| ()).unwrap_err();
    let cause = UnavailableCause::ShutDown;
    assert!(matches!(refused.fault(), Some(Fault::Unavailable { cause: c, .. }) if c == cause));
    assert!(balanced(pool.counts()));
}

#[test]
fn shutdown_turns_away_what_waits_and_says_what_still_runs_at_the_limit() {
    let (pool, time) = pool(1, 4);
    let (gate, busy) = occupy(&pool);
    let ran = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ran);
    let mut waiting = start(&pool, move || flag.store(true, Ordering::SeqCst));
    thread::scope(|scope| {
        let shutdown = closing(scope, &pool, &time);
        time.advance(SECOND);
        let ended = shutdown.join().unwrap();
        assert_eq!(ended, PoolShutdown { withdrawn: 1, running: 1 });
    });
    assert!(matches!(poll(&mut waiting), Poll::Ready(Err(PoolError::ShutDown { .. }))));
    gate.open();
    assert_eq!(block_on(busy), Ok(()), "what ran may end");
    assert_eq!(pool.shutdown_blocking(SECOND), PoolShutdown::default());
    assert!(!ran.load(Ordering::SeqCst));
    assert!(balanced(pool.counts()));
}

#[test]
fn no_time_at_all_still_shuts_down() {
    let (pool, _) = pool(1, 4);
    let (gate, _busy) = occupy(&pool);
    let _waiting = start(&pool, || ());
    let ended = pool.shutdown_blocking(Duration::ZERO);
    assert_eq!(ended, PoolShutdown { withdrawn: 1, running: 1 });
    gate.open();
}

// The start.

#[test]
fn every_mistake_at_once_and_nothing_started() {
    fn never(_: String, _: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        panic!("started")
    }
    let build = BlockingPool::builder("").threads(0).queue(1_000_001).start(never).build();
    let Err(PoolBuildError::Invalid { source, .. }) = build else { panic!("{build:?}") };
    let keys: Vec<_> = source.as_slice().iter().map(|mistake| mistake.key).collect();
    assert_eq!(keys, ["name", "threads", "queue"]);
    assert!(BlockingPool::builder("p").threads(MAX_THREADS + 1).start(never).build().is_err());
}

#[test]
fn a_thread_that_does_not_start_is_an_error_and_the_others_go_home() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    fn third_time_unlucky(_: String, life: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        if STARTED.fetch_add(1, Ordering::SeqCst) == 2 {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, "no threads left"));
        }
        thread::spawn(|| {
            life();
            ENDED.fetch_add(1, Ordering::SeqCst);
        });
        Ok(())
    }
    let build = BlockingPool::builder("p").threads(5).start(third_time_unlucky).build();
    let error = build.unwrap_err();
    assert_eq!(error.to_string(), "p: cannot start thread 3 of 5: no threads left");
    while ENDED.load(Ordering::SeqCst) < 2 {
        thread::yield_now();
    }
}

#[test]
fn threads_are_named_after_the_dependency_as_far_as_linux_shows() {
    assert_eq!(thread_name("db", 3), "bulkhead-db-3");
    assert_eq!(thread_name("payments", 3), "bh-payments-3");
    assert_eq!(thread_name("notification-service", 12), "bh-notificat-12");
    assert_eq!(thread_name("zahlungsgebühren", 4_095), "bh-zahlung-4095");
    assert_eq!(thread_name("gebühren-straße", 1), "bh-gebühren--1");
    assert_eq!(thread_name("a\0b\n", 1), "bulkhead-a_b_-1");
}

proptest! {
    #[test]
    fn a_threads_name_is_short_and_ends_with_its_number(name in ".{0,40}", index in 0..MAX_THREADS) {
        let made = thread_name(&name, index);
        prop_assert!(made.len() <= 15 && !made.contains('\0'));
        let tail = format!("-{index}");
        prop_assert!(made.ends_with(&tail));
    }
}

// Against a list.

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Hand in work that returns or panics.
    Run { panics: bool },
    /// Drop the future of one that was handed in.
    Cancel { which: usize },
    /// Let one end that runs.
    End { which: usize },
    /// Time passes; everybody looks at the clock.
    Pass { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<bool>().prop_map(|panics| Step::Run { panics }),
        3 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        4 => any::<usize>().prop_map(|which| Step::End { which }),
        2 => (0u64..80).prop_map(|ms| Step::Pass { ms }),
    ]
}

/// One work in the model: what a careful reader of the documentation would write down.
struct Item {
    gate: Gate,
    future: Option<Boxed<()>>,
    panics: bool,
    give_up_at_ms: u64,
}

/// Two lists and six numbers.
struct Model {
    pool: BlockingPool,
    time: ManualTime,
    now_ms: u64,
    threads: usize,
    queue: usize,
    running: Vec<Item>,
    waiting: Vec<Item>,
    counts: PoolCounts,
}

impl Model {
    const MAX_WAIT_MS: u64 = 100;

    fn new(threads: u32, queue: u32) -> Self {
        let time = Time::manual();
        let max_wait = Duration::from_millis(Self::MAX_WAIT_MS);
        let builder = BlockingPool::builder("m").threads(threads).queue(queue).max_wait(max_wait);
        Self {
            pool: builder.time(&time).build().unwrap(),
            time,
            now_ms: 0,
            threads: threads as usize,
            queue: queue as usize,
            running: Vec::new(),
            waiting: Vec::new(),
            counts: PoolCounts::default(),
        }
    }

    fn run(&mut self, panics: bool) {
        let (gate, wait) = Gate::new();
        let mut future: Boxed<()> = Box::pin(self.pool.run(move || {
            wait();
            // Not `panic!`: hundreds of reports would hide a real one.
            if panics {
                std::panic::resume_unwind(Box::new("meant"));
            }
        }));
        let answer = poll(&mut future);
        let give_up_at_ms = self.now_ms + Self::MAX_WAIT_MS;
        let item = Item { gate, future: Some(future), panics, give_up_at_ms };
        self.counts.received += 1;
        if self.running.len() < self.threads {
            assert!(answer.is_pending());
            item.gate.wait();
            self.running.push(item);
        } else if self.waiting.len() < self.queue {
            assert!(answer.is_pending());
            self.waiting.push(item);
        } else {
            assert!(is_full(&answer));
            self.counts.rejected += 1;
        }
    }

    fn cancel(&mut self, which: usize) {
        let all = self.running.len() + self.waiting.len();
        if all == 0 {
            return;
        }
        let at = which % all;
        if at < self.running.len() {
            self.running[at].future = None; // It runs on.
        } else {
            let item = self.waiting.remove(at - self.running.len());
            drop(item.future);
            assert!(item.gate.started.recv().is_err(), "its work is gone");
            self.counts.withdrawn += 1;
        }
    }

    fn end(&mut self, which: usize) {
        if self.running.is_empty() {
            return;
        }
        let item = self.running.remove(which % self.running.len());
        item.gate.open();
        // The work's end of the channel is dropped while it unwinds, or returns.
        assert!(item.gate.started.recv().is_err());
        if item.panics {
            self.counts.panicked += 1;
        } else {
            self.counts.completed += 1;
        }
        if let Some(future) = item.future {
            let panicked = matches!(block_on(future), Err(PoolError::Panicked { .. }));
            assert_eq!(panicked, item.panics);
        }
        if !self.waiting.is_empty() {
            let next = self.waiting.remove(0);
            next.gate.wait();
            self.running.push(next);
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        self.time.advance(Duration::from_millis(ms));
        let now = self.now_ms;
        for item in &mut self.running {
            if let Some(future) = &mut item.future {
                assert!(poll(future).is_pending());
            }
        }
        for mut item in std::mem::take(&mut self.waiting) {
            let answer = item.future.as_mut().map(poll);
            if item.give_up_at_ms <= now {
                assert!(answer.as_ref().is_some_and(is_full));
                self.counts.rejected += 1;
            } else {
                assert!(answer.is_some_and(|answer| answer.is_pending()));
                self.waiting.push(item);
            }
        }
    }

    /// The pool comes to the same numbers: soon, for an abandoned work's end is not announced.
    fn agrees(&mut self) {
        self.counts.active = self.running.len() as u32;
        let abandoned = self.running.iter().filter(|item| item.future.is_none());
        self.counts.abandoned = abandoned.count() as u32;
        self.counts.queued = self.waiting.len() as u32;
        for _ in 0..1_000_000 {
            let counts = self.pool.counts();
            assert!(balanced(counts), "{counts:?}");
            if counts == self.counts {
                return;
            }
            thread::yield_now();
        }
        assert_eq!(self.pool.counts(), self.counts);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn a_pool_does_what_a_list_says(
        threads in 1u32..4,
        queue in 0u32..4,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut model = Model::new(threads, queue);
        for step in steps {
            match step {
                Step::Run { panics } => model.run(panics),
                Step::Cancel { which } => model.cancel(which),
                Step::End { which } => model.end(which),
                Step::Pass { ms } => model.pass(ms),
            }
            model.agrees();
        }
        while !model.running.is_empty() {
            model.end(0);
        }
        model.agrees();
        let ended = model.pool.shutdown_blocking(Duration::from_secs(3600));
        prop_assert_eq!(ended, PoolShutdown::default());
    }
}

/// Many callers at once who cancel, wait, panic and come too late; meanwhile each count adds up, and at
/// the end each work has run exactly as often as its caller was told.
#[test]
fn nothing_is_lost_or_run_twice_under_load() {
    const CALLERS: usize = 8;
    const EACH: usize = 400;
    let (pool, time) = pool(2, 3);
    let runs: Arc<Vec<AtomicUsize>> =
        Arc::new((0..CALLERS * EACH).map(|_| AtomicUsize::new(0)).collect());
    let told = Mutex::new(BTreeSet::new());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let counts = pool.counts();
                assert!(balanced(counts) && counts.active <= 2 && counts.queued <= 5, "{counts:?}");
                time.advance(10 * MS); // Some waits come to an end.
                thread::yield_now();
            }
        });
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (pool, runs, told) = (&pool, &runs, &told);
                scope.spawn(move || {
                    for i in 0..EACH {
                        let id = caller * EACH + i;
                        let runs = Arc::clone(runs);
                        let work = move || {
                            runs[id].fetch_add(1, Ordering::SeqCst);
                            if id.is_multiple_of(7) {
                                std::panic::resume_unwind(Box::new("meant"));
                            }
                        };
                        match id % 3 {
                            0 => {
                                let mut future: Boxed<()> = Box::pin(pool.run(work));
                                let _ = poll(&mut future);
                                drop(future);
                            }
                            _ => match pool.run_blocking(work) {
                                Ok(()) | Err(PoolError::Panicked { .. }) => {
                                    told.lock().unwrap().insert(id);
                                }
                                Err(refused) => assert!(refused.fault().is_some()),
                            },
                        }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        watcher.join().unwrap();
    });
    assert_eq!(pool.shutdown_blocking(Duration::from_secs(3600)), PoolShutdown::default());
    let counts = pool.counts();
    assert!(balanced(counts) && counts.active == 0 && counts.queued == 0);
    let ran: usize = runs.iter().map(|runs| runs.load(Ordering::SeqCst)).sum();
    assert_eq!(ran as u64, counts.completed + counts.panicked);
    let told = told.into_inner().unwrap();
    for (id, runs) in runs.iter().enumerate() {
        let runs = runs.load(Ordering::SeqCst);
        assert!(runs <= 1, "work {id} ran {runs} times");
        if id % 3 != 0 {
            assert_eq!(runs == 1, told.contains(&id), "work {id}");
        }
    }
}

#[test]
fn threads_by_the_systems_time_need_no_runtime() {
    let pool = BlockingPool::builder("p").threads(1).queue(1).max_wait(MS).build().unwrap();
    let (gate, _busy) = occupy(&pool);
    let late = pool.run_blocking(|| ());
    assert!(matches!(late, Err(PoolError::BulkheadFull { .. })));
    gate.open();
}
