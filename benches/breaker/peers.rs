//! Circuit breakers behind one face, each driven through the cheapest call that it has in public.

use std::fmt;
use std::future::{Ready, poll_fn, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use circuitbreaker_rs::{
    BreakerError, BreakerPolicy, CircuitBreaker as Rs, DefaultPolicy, HookRegistry, MetricSink,
    TimeBasedPolicy,
};
use failsafe::{CircuitBreaker as _, Config, FailurePolicy, StateMachine, backoff, failure_policy};
use recloser::Recloser;
use seawall::breaker::{self, CircuitBreaker, Window};
use seawall::clock::{Clock, Moment};
use seawall::outcome::Outcome;
use seawall_benches::on_runtime;
use tower::Service;
use tower_resilience_circuitbreaker as tower_breaker;

/// How long they stay open: longer than any bench.
const OPEN_FOR: Duration = Duration::from_secs(3600);
/// From here on they open.
const RATE: f64 = 0.5;
/// Not with fewer calls than these in the window, where a breaker has such a setting.
pub(crate) const MIN_CALLS: u32 = 20;
/// The window of those that have none, or have it by time only.
const LENGTH: Duration = Duration::from_secs(30);

/// The failure that everybody counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for Down {}

/// The guarded work: next to none.
#[inline]
fn work(i: u32, fails: bool) -> Result<u32, Down> {
    if fails { Err(Down) } else { Ok(black_box(i)) }
}

/// A circuit breaker.
pub(crate) trait Peer: Sync {
    /// Calls so often through it, all of them successes or all failures; how many it let through.
    fn calls(&self, n: u32, fails: bool) -> u32;
}

/// How ours is told the time.
#[derive(Clone, Copy)]
pub(crate) enum Told {
    /// By somebody who had read the clock anyway, as Seawall's own pipeline has.
    Anyway,
    /// The clock is read once a call, and the same moment told twice.
    Once,
    /// The clock is read before the call and after it.
    Twice,
    /// As twice, in a future that a runtime polls.
    Awaited,
}

struct Ours {
    breaker: CircuitBreaker,
    clock: Clock,
    told: Told,
}

pub(crate) fn ours(told: Told, window: Window) -> Box<dyn Peer> {
    let config = breaker::Config::builder()
        .failure_rate(RATE)
        .min_calls(MIN_CALLS)
        .window(window)
        // Else the first opening lasts a second, and the bench longer.
        .first_open_for(OPEN_FOR)
        .open_for(OPEN_FOR)
        .build()
        .expect("valid");
    let clock = Clock::system();
    Box::new(Ours { breaker: CircuitBreaker::new(config, clock.now()), clock, told })
}

impl Ours {
    /// One call, told `before` and, when it has been answered, `after`. Whether it was let through.
    #[inline]
    fn through(
        &self,
        (i, fails): (u32, bool),
        before: Moment,
        after: impl FnOnce() -> Moment,
    ) -> bool {
        let (Ok(admission), _) = self.breaker.admit(before) else { return false };
        let outcome = outcome(black_box(work(i, fails)));
        self.breaker.record(admission, outcome, after());
        true
    }

    #[inline]
    async fn awaited(&self, (i, fails): (u32, bool)) -> bool {
        let before = self.clock.now();
        let (Ok(admission), _) = self.breaker.admit(before) else { return false };
        let outcome = outcome(black_box(ready(work(i, fails)).await));
        self.breaker.record(admission, outcome, self.clock.now());
        true
    }
}

#[inline]
fn outcome(answer: Result<u32, Down>) -> Outcome {
    match answer {
        Ok(_) => Outcome::Success,
        Err(Down) => Outcome::Failure,
    }
}

impl Peer for Ours {
    fn calls(&self, n: u32, fails: bool) -> u32 {
        let clock = &self.clock;
        let mut through = 0;
        match self.told {
            Told::Anyway => {
                let now = clock.now();
                for i in 0..n {
                    through += u32::from(self.through((i, fails), now, || now));
                }
            }
            Told::Once => {
                for i in 0..n {
                    let now = clock.now();
                    through += u32::from(self.through((i, fails), now, || now));
                }
            }
            Told::Twice => {
                for i in 0..n {
                    through += u32::from(self.through((i, fails), clock.now(), || clock.now()));
                }
            }
            Told::Awaited => on_runtime(async {
                for i in 0..n {
                    through += u32::from(self.awaited((i, fails)).await);
                }
            }),
        }
        through
    }
}

/// A ring of the last N outcomes behind a spin lock. It judges once the ring is full.
pub(crate) fn recloser(window: Window) -> Box<dyn Peer> {
    let length = match window {
        Window::Calls(calls) => calls as usize,
        Window::Time(_) => 100,
    };
    Box::new(
        Recloser::custom().error_rate(RATE as f32).closed_len(length).open_wait(OPEN_FOR).build(),
    )
}

impl Peer for Recloser {
    fn calls(&self, n: u32, fails: bool) -> u32 {
        let mut through = 0;
        for i in 0..n {
            let answer = black_box(self.call(|| work(i, fails)));
            through += u32::from(!matches!(answer, Err(recloser::Error::Rejected)));
        }
        through
    }
}

/// Five failures in a row.
pub(crate) fn failsafe_consecutive(_: Window) -> Box<dyn Peer> {
    let policy = failure_policy::consecutive_failures(5, backoff::constant(OPEN_FOR));
    Box::new(Config::new().failure_policy(policy).build())
}

/// An average that forgets exponentially; its window is in whole seconds.
pub(crate) fn failsafe_average(window: Window) -> Box<dyn Peer> {
    let length = length_of(window);
    let backoff = backoff::constant(OPEN_FOR);
    let policy =
        failure_policy::success_rate_over_time_window(1.0 - RATE, MIN_CALLS, length, backoff);
    Box::new(Config::new().failure_policy(policy).build())
}

impl<P: FailurePolicy + Send> Peer for StateMachine<P, ()> {
    fn calls(&self, n: u32, fails: bool) -> u32 {
        let mut through = 0;
        for i in 0..n {
            let answer = black_box(self.call(|| work(i, fails)));
            through += u32::from(!matches!(answer, Err(failsafe::Error::Rejected)));
        }
        through
    }
}

/// A rate of failures; its five failures in a row are put out of reach.
pub(crate) fn rs_rate(_: Window) -> Box<dyn Peer> {
    let policy = DefaultPolicy::new(RATE, u64::from(MIN_CALLS), u64::MAX, 3);
    Box::new(rs(policy))
}

/// Its policy by time.
pub(crate) fn rs_time(window: Window) -> Box<dyn Peer> {
    let min = u64::from(MIN_CALLS);
    Box::new(rs(TimeBasedPolicy::new(length_of(window), 10, RATE, min, OPEN_FOR, 3)))
}

fn rs<P: BreakerPolicy>(policy: P) -> Rs<P, Down> {
    Rs::new(policy, OPEN_FOR, 5, Arc::new(Unmeasured), Arc::new(HookRegistry::new()))
}

/// Costs nothing.
struct Unmeasured;

impl MetricSink for Unmeasured {
    fn record_state_transition(&self, _: &str, _: &str) {}
    fn record_call(&self, _: bool, _: Duration) {}
    fn record_probe_attempt(&self, _: bool) {}
    fn record_error_rate(&self, _: f64) {}
}

impl<P: BreakerPolicy> Peer for Rs<P, Down> {
    fn calls(&self, n: u32, fails: bool) -> u32 {
        let mut through = 0;
        for i in 0..n {
            let answer = black_box(self.call(|| work(i, fails)));
            through += u32::from(!matches!(answer, Err(BreakerError::Open)));
        }
        through
    }
}

/// A Tower layer, polled in a runtime: it has no other call.
struct Tower(tower_breaker::CircuitBreaker<Answers, tower_breaker::DefaultClassifier>);

pub(crate) fn tower(window: Window) -> Box<dyn Peer> {
    use tower_breaker::SlidingWindowType::{CountBased, TimeBased};
    let builder = tower_breaker::CircuitBreakerLayer::builder()
        .failure_rate_threshold(RATE)
        .wait_duration_in_open(OPEN_FOR);
    let builder = match window {
        Window::Calls(calls) => {
            builder.sliding_window_type(CountBased).sliding_window_size(calls as usize)
        }
        Window::Time(length) => {
            builder.sliding_window_type(TimeBased).sliding_window_duration(length)
        }
    };
    let layer = builder.minimum_number_of_calls(MIN_CALLS as usize).build().expect("valid");
    Box::new(Tower(layer.layer_fn(Answers)))
}

impl Peer for Tower {
    fn calls(&self, n: u32, fails: bool) -> u32 {
        let mut service = self.0.clone();
        on_runtime(async {
            let mut through = 0;
            for i in 0..n {
                let _ = poll_fn(|cx| service.poll_ready(cx)).await;
                let answer = black_box(service.call((i, fails)).await);
                through += u32::from(!matches!(
                    answer,
                    Err(tower_breaker::CircuitBreakerError::OpenCircuit)
                ));
            }
            through
        })
    }
}

/// The guarded work, as a Tower service.
#[derive(Clone)]
struct Answers;

impl Service<(u32, bool)> for Answers {
    type Response = u32;
    type Error = Down;
    type Future = Ready<Result<u32, Down>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Down>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (i, fails): (u32, bool)) -> Self::Future {
        ready(work(i, fails))
    }
}

fn length_of(window: Window) -> Duration {
    match window {
        Window::Calls(_) => LENGTH,
        Window::Time(length) => length,
    }
}
