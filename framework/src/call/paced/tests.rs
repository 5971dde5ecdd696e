use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use super::*;
use crate::call::timer::ManualTime;
use crate::limit::{AnyAlgorithm, Config, FixedWindow, LeakyBucket, Quota, Rate};

#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A future, polled by hand.
struct Task<'a, T>(Pin<Box<dyn Future<Output = T> + 'a>>, Arc<Woken>);

impl<'a, T> Task<'a, T> {
    fn pending(future: impl Future<Output = T> + 'a) -> Self {
        let mut task = Self(Box::pin(future), Arc::default());
        assert!(task.poll().is_pending());
        task
    }
    fn poll(&mut self) -> Poll<T> {
        self.0.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.1))))
    }
    fn is_woken(&self) -> bool {
        self.1.0.load(Ordering::SeqCst) > 0
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn windows(limit: u64, window: Duration) -> (Paced<FixedWindow>, ManualTime) {
    let time = Time::manual();
    let limiter =
        RateLimiter::new(FixedWindow::new(&Quota::new(limit, window).unwrap()), Moment::ZERO);
    (Paced::new(limiter, Time::from(&time)), time)
}

#[test]
fn turns_come_in_the_order_they_were_asked_for() {
    let (paced, time) = windows(1, SECOND);
    assert!(Task(Box::pin(paced.until_ready()), Arc::default()).poll().is_ready());
    let mut tasks = [Task::pending(paced.until_ready()), Task::pending(paced.until_ready())];
    time.advance(SECOND);
    assert!(tasks[0].is_woken() && tasks[0].poll().is_ready());
    assert!(tasks[1].poll().is_pending());
    time.advance(SECOND);
    assert!(tasks[1].poll().is_ready());
}

#[test]
fn a_wait_that_is_dropped_gives_its_turn_back() {
    let (paced, time) = windows(1, SECOND);
    paced.wait();
    for _ in 0..5 {
        drop(Task::pending(paced.until_ready()));
    }
    let mut task = Task::pending(paced.until_ready());
    time.advance(SECOND);
    assert!(task.poll().is_ready());
}

#[test]
fn what_takes_too_long_is_refused_at_once() {
    let (paced, _) = windows(2, SECOND);
    assert_eq!(paced.wait_for(2), Ok(()));
    assert_eq!(paced.wait_within(1, SECOND / 2), Err(Refusal { retry_after: Some(SECOND) }));
    assert_eq!(paced.wait_within(0, Duration::ZERO), Ok(()));
    assert_eq!(paced.wait_for(3), Err(Refusal { retry_after: None }));
    assert_eq!(paced.limiter().try_take(Moment::from_nanos(1_000_000_000), 2), Ok(()));
}

#[test]
fn beyond_what_can_be_reserved_there_is_a_line_that_nobody_passes() {
    let day = Duration::from_secs(24 * 3600);
    let (paced, time) = windows(2, day);
    assert_eq!(paced.wait_for(2), Ok(()));
    let mut large = Task::pending(paced.until_ready_for(2));
    let mut small = Task::pending(paced.until_ready_for(1));
    let mut short = Task::pending(paced.until_ready_within(1, day + SECOND));
    assert_eq!(paced.wait_within(1, day / 2), Err(Refusal { retry_after: Some(day) }));
    let dropped = Task::pending(paced.until_ready());
    time.advance(day - MAX_RESERVATION);
    assert!(large.is_woken() && large.poll().is_pending(), "it has a turn now");
    assert!(small.is_woken() && small.poll().is_pending());
    drop(dropped);
    time.advance(MAX_RESERVATION);
    assert!(large.poll().is_ready());
    assert!(small.poll().is_pending() && short.poll().is_pending());
    time.advance(SECOND);
    assert!(matches!(short.poll(), Poll::Ready(Err(_))));
    time.advance(day - MAX_RESERVATION);
    assert!(small.is_woken() && small.poll().is_pending());
    time.advance(MAX_RESERVATION);
    assert!(small.poll().is_ready());
    drop(short);
    assert_eq!(paced.in_line.load(Ordering::SeqCst), 0);
}

#[test]
fn a_full_queue_is_waited_for_too() {
    let time = Time::manual();
    let leaky = LeakyBucket::new(&Rate::new(2, 1.0).unwrap());
    let paced = Paced::new(RateLimiter::new(leaky, Moment::ZERO), Time::from(&time));
    paced.wait();
    let mut tasks: Vec<_> = (0..4).map(|_| Task::pending(paced.until_ready())).collect();
    for turn in 0..4 {
        time.advance(SECOND + Duration::from_nanos(20));
        for task in &mut tasks[turn + 1..] {
            assert!(task.poll().is_pending(), "not before its turn, {turn}");
        }
        assert!(tasks[turn].poll().is_ready(), "turn {turn}");
    }
}

#[test]
fn a_thread_waits_by_the_systems_timers() {
    let time = Time::system();
    let config = Config::token_bucket(1, 200.0).unwrap();
    let limiter = RateLimiter::new(AnyAlgorithm::new(&config), time.now());
    let paced = Paced::new(limiter, time.clone());
    let started = time.now();
    for _ in 0..5 {
        paced.wait();
    }
    assert!(time.now().since(started) >= Duration::from_millis(20));
}
