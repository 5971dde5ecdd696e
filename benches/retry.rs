//! What it costs to be ready to retry, where no retry is needed; and a timeout on what pends, where it does not end anything.
//!
//! `failsafe` is no contender: it has backoffs for its breaker, and retries nothing.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, Ready, poll_fn, ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use layered::{Execute, Service as _, Stack};
use seatbelt::retry::Retry as SeatbeltRetry;
use seatbelt::{RecoveryInfo, ResilienceContext};
use seawall::Time;
use seawall::retry::{Budget, BudgetConfig, Config};
use seawall_benches::{Contender, Effort, compare, on_runtime};
use tokio_retry::strategy::{ExponentialBackoff, jitter};
use tower::retry::backoff::{ExponentialBackoffMaker, MakeBackoff};
use tower::retry::budget::{Budget as _, TpsBudget};
use tower::util::rng::HasherRng;
use tower::{Service, service_fn};

/// The operation: it answers at once, and well.
fn operation(number: u64) -> Ready<Result<u64, Infallible>> {
    ready(Ok(black_box(number) + 1))
}

/// The same for peers that want an error of their own.
fn fallible(number: u64) -> Ready<Result<u64, String>> {
    ready(Ok(black_box(number) + 1))
}

/// tower's policy with a budget: what its documentation shows.
#[derive(Clone)]
struct Budgeted {
    budget: std::sync::Arc<TpsBudget>,
    backoff: tower::retry::backoff::ExponentialBackoff<HasherRng>,
}

impl tower::retry::Policy<u64, u64, String> for Budgeted {
    type Future = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, String>) -> Option<Self::Future> {
        match result {
            Ok(_) => {
                self.budget.deposit();
                None
            }
            Err(_) if !self.budget.withdraw() => None,
            Err(_) => {
                let pause = tower::retry::backoff::Backoff::next_backoff(&mut self.backoff);
                Some(Box::pin(pause))
            }
        }
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

fn tower_retry() -> Budgeted {
    let (from, to) = (Duration::from_millis(100), Duration::from_secs(60));
    let mut maker =
        ExponentialBackoffMaker::new(from, to, 0.5, HasherRng::default()).expect("a sound backoff");
    Budgeted { budget: std::sync::Arc::new(TpsBudget::default()), backoff: maker.make_backoff() }
}

fn each(calls: u32) -> std::ops::Range<u64> {
    0..u64::from(calls)
}

fn ours<'a>(config: &'a Config, budget: &'a Budget) -> Vec<Contender<'a>> {
    vec![
        Contender::new("bare loop", |calls| {
            on_runtime(async {
                for call in each(calls) {
                    let mut attempts = 0;
                    let answer = loop {
                        attempts += 1;
                        match operation(call).await {
                            Err(_) if attempts < 3 => {}
                            answer => break answer,
                        }
                    };
                    assert!(black_box(answer).is_ok());
                }
            });
        }),
        Contender::new("seawall::retry", |calls| {
            on_runtime(async {
                for call in each(calls) {
                    assert!(seawall::retry(config, || operation(call)).run().await.is_ok());
                }
            });
        }),
        Contender::new("seawall::retry, with a budget", |calls| {
            on_runtime(async {
                for call in each(calls) {
                    let retrying = seawall::retry(config, || operation(call)).budget(budget);
                    assert!(retrying.run().await.is_ok());
                }
            });
        }),
    ]
}

fn peers() -> Vec<Contender<'static>> {
    vec![
        Contender::new("backon", |calls| {
            on_runtime(async {
                for call in each(calls) {
                    let backoff = ExponentialBuilder::default().with_jitter().with_max_times(2);
                    assert!((|| operation(call)).retry(backoff).await.is_ok());
                }
            });
        }),
        Contender::new("tokio-retry", |calls| {
            on_runtime(async {
                for call in each(calls) {
                    let backoff = ExponentialBackoff::from_millis(100).map(jitter).take(2);
                    assert!(tokio_retry::Retry::start(backoff, || operation(call)).await.is_ok());
                }
            });
        }),
        Contender::new("tower::retry, with a budget", |calls| {
            on_runtime(async {
                let mut service = tower::retry::Retry::new(tower_retry(), service_fn(fallible));
                for call in each(calls) {
                    poll_fn(|cx| Service::<u64>::poll_ready(&mut service, cx))
                        .await
                        .expect("ready");
                    assert!(service.call(call).await.is_ok());
                }
            });
        }),
        Contender::new("seatbelt", |calls| {
            on_runtime(async {
                let context = ResilienceContext::new(tick::Clock::new_tokio());
                let service = (
                    SeatbeltRetry::layer("retry", &context).clone_input().recovery_with(
                        |answer: &Result<u64, String>, _| match answer {
                            Ok(_) => RecoveryInfo::never(),
                            Err(_) => RecoveryInfo::retry(),
                        },
                    ),
                    Execute::new(fallible),
                )
                    .into_service();
                for call in each(calls) {
                    assert!(service.execute(call).await.is_ok());
                }
            });
        }),
    ]
}

fn without_a_failure(effort: Effort) {
    let config = Config::builder().max_attempts(3).build().expect("valid");
    let budget = Budget::new(&BudgetConfig::default());
    let mut contenders = ours(&config, &budget);
    contenders.extend(peers());
    compare("no retry is needed: an operation that answers at once", effort, &contenders);
}

/// Pends once.
async fn once() -> u64 {
    let pended = Cell::new(false);
    poll_fn(|_| if pended.replace(true) { Poll::Ready(7) } else { Poll::Pending }).await
}

/// Polls it twice, by hand: what an executor does in between is not measured.
fn twice<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(work.as_mut().poll(&mut cx).is_pending());
    match work.as_mut().poll(&mut cx) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("it pends once"),
    }
}

/// What a guarded attempt does: nothing until it pends, then a sleep of ours beside it.
async fn limited(time: &Time, length: Duration) -> Option<u64> {
    let mut work = pin!(once());
    let mut limit = None;
    poll_fn(|cx| {
        if let Poll::Ready(answer) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        let limit = limit.get_or_insert_with(|| time.sleep(length));
        Pin::new(limit).poll(cx).map(|()| None)
    })
    .await
}

fn pending(effort: Effort) {
    const LENGTH: Duration = Duration::from_secs(1);
    let time = Time::system();
    let contenders = [
        Contender::new("tokio::time::timeout", |calls| {
            on_runtime(async {
                for _ in 0..calls {
                    assert!(twice(tokio::time::timeout(LENGTH, once())).is_ok());
                }
            });
        }),
        Contender::new("seawall: a sleep of Time::system", |calls| {
            on_runtime(async {
                for _ in 0..calls {
                    assert!(twice(limited(&time, LENGTH)).is_some());
                }
            });
        }),
        Contender::new("neither", |calls| {
            on_runtime(async {
                for _ in 0..calls {
                    black_box(twice(once()));
                }
            });
        }),
    ];
    compare("a timeout of 1 s on what pends once", effort, &contenders);
}

fn main() {
    let effort = Effort::from_args();
    without_a_failure(effort);
    pending(effort);
}
