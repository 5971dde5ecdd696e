use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use super::*;
use crate::limit::{
    AnyAlgorithm, Config, FixedWindow, LeakyBucket, MAX_RESERVATION, Quota, Rate, TokenBucket,
};
use crate::time::ManualTime;

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
    let refusal = paced.wait_within(1, SECOND / 4).unwrap_err();
    assert_eq!(refusal.retry_after, Some(SECOND * 3 / 4), "then it would be within a quarter");
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
    assert_eq!(paced.wait_within(1, day / 4), Err(Refusal { retry_after: Some(day * 3 / 4) }));
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
fn a_caller_for_whom_there_is_enough_waits_behind_one_for_whom_there_is_not() {
    let time = Time::manual();
    let bucket = TokenBucket::new(&Rate::new(10, 0.001).unwrap());
    let paced = Paced::new(RateLimiter::new(bucket, Moment::ZERO), Time::from(&time));
    assert!(paced.limiter().try_take(Moment::ZERO, 5).is_ok());
    let ready = async |cost| paced.until_ready_for(cost).await.unwrap();
    let mut tasks = [
        Task::pending(Box::pin(ready(10)) as Pin<Box<dyn Future<Output = ()>>>),
        Task::pending(Box::pin(ready(1))),
        Task::pending(Box::pin(paced.until_ready())),
    ];
    let mut short = Task::pending(paced.until_ready_within(1, SECOND));
    assert_eq!(paced.wait_for(0), Ok(()), "takes nothing, so nobody is passed");
    assert_eq!(paced.wait_for(11), Err(Refusal { retry_after: None }));
    time.advance(SECOND);
    let late = Refusal { retry_after: Some(Duration::ZERO) };
    assert_eq!(short.poll(), Poll::Ready(Err(late)), "not never: it is there, but for others");
    let mut ready_at = [0; 3];
    for second in (100..8_000).step_by(100) {
        time.advance(100 * SECOND);
        for (task, ready_at) in tasks.iter_mut().zip(&mut ready_at) {
            if *ready_at == 0 && task.poll().is_ready() {
                *ready_at = second;
            }
        }
    }
    assert_eq!(ready_at, [5_000, 6_000, 7_000], "as many as there are when they are there");
}

#[test]
fn a_long_queue_is_known_to_be_too_long_at_once() {
    let time = Time::manual();
    let leaky = LeakyBucket::new(&Rate::new(1_000, 1.0).unwrap());
    let paced = Paced::new(RateLimiter::new(leaky, Moment::ZERO), Time::from(&time));
    assert_eq!(paced.wait_for(5), Ok(()));
    let refusal = paced.wait_within(1, 2 * SECOND).unwrap_err();
    assert_eq!(refusal.retry_after, Some(3 * SECOND));
}

/// Waiters of all kinds, one after the other, and some that give up: nobody hangs, nobody passes anybody, and
/// who is told that it is too late is told when it would not be.
#[test]
fn of_a_thousand_lines_nobody_hangs_and_nobody_is_passed() {
    for seed in 0..1_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let limit = random.u64(1..12);
        let hours = Duration::from_secs(random.u64(1..20_000));
        let rate = limit as f64 / hours.as_secs_f64();
        let config = match seed % 5 {
            0 => Config::fixed_window(limit, hours),
            1 => Config::sliding_log(limit, hours),
            2 => Config::sliding_window(limit, hours),
            3 => Config::token_bucket(limit, rate),
            _ => Config::leaky_bucket(limit, rate),
        };
        let time = Time::manual();
        let limiter = RateLimiter::new(AnyAlgorithm::new(&config.unwrap()), Moment::ZERO);
        let paced = Paced::new(limiter, Time::from(&time));
        let mut line = Vec::new();
        for _ in 0..random.usize(1..30) {
            let cost = random.u64(0..=limit + 1);
            let max_wait =
                if random.bool() { hours.mul_f64(random.f64() * 20.0) } else { Duration::MAX };
            let waiter = Task(Box::pin(paced.until_ready_within(cost, max_wait)), Arc::default());
            waiter.1.0.store(1, Ordering::SeqCst);
            line.push((cost, waiter));
            settle(&mut line, limit, &mut random);
            if random.u8(..) < 100 {
                time.advance(hours.mul_f64(random.f64()));
                settle(&mut line, limit, &mut random);
            }
        }
        for _ in 0..2_000 {
            time.advance(hours / 4);
            settle(&mut line, limit, &mut random);
        }
        assert!(line.is_empty(), "seed {seed}: {} of {limit} hang", line.len());
        assert_eq!(paced.in_line.load(Ordering::SeqCst), 0);
    }
}

/// Polls the one that has been woken, until nobody is. The one that is ready leaves, and must have been first of those who
/// have to wait; now and then somebody gives up.
fn settle(
    line: &mut Vec<(u64, Task<'_, Result<(), Refusal>>)>,
    limit: u64,
    random: &mut fastrand::Rng,
) {
    if random.u8(..) < 10 && !line.is_empty() {
        line.remove(random.usize(0..line.len()));
    }
    while let Some(at) = line.iter().position(|(_, task)| task.is_woken()) {
        let (cost, task) = &mut line[at];
        task.1.0.store(0, Ordering::SeqCst);
        let Poll::Ready(answer) = task.poll() else { continue };
        match answer {
            Ok(()) => assert!(at == 0 || *cost == 0, "somebody was passed"),
            Err(refusal) => assert_eq!(refusal.retry_after.is_none(), *cost > limit),
        }
        line.remove(at);
    }
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
