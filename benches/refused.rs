//! Refusals, through the generated client: what a process does most when a dependency is in trouble. Ours with metrics
//! and events; the glue, in the same order of guards, without any.

use std::num::NonZeroU32;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use recloser::{AsyncRecloser, Recloser};
use seawall::prelude::*;
use seawall::{backpressure, breaker, bulkhead, limit};
use seawall_benches::{Contender, Effort, compare, on_runtime};
use tokio::sync::Semaphore;

/// The service: it answers at once, or never.
#[derive(Debug, Clone)]
pub struct Ready;

/// What can go wrong with it.
#[derive(Debug)]
pub struct Error;

impl From<Fault> for Error {
    fn from(_: Fault) -> Self {
        Self
    }
}

/// What the service offers.
#[resilient]
pub trait Service {
    /// Adds one.
    #[call(idempotent)]
    async fn add_one(&self, to: &u64) -> Result<u64, Error>;
    /// Never answers.
    async fn hang(&self) -> Result<u64, Error>;
}

impl Service for Ready {
    async fn add_one(&self, to: &u64) -> Result<u64, Error> {
        Ok(std::hint::black_box(*to) + 1)
    }
    async fn hang(&self) -> Result<u64, Error> {
        std::future::pending().await
    }
}

fn policy(refuses_by: RejectedBy) -> Policy {
    let tokens = if refuses_by == RejectedBy::RateLimit { 1 } else { 1_000_000_000 };
    let per_second = if refuses_by == RejectedBy::RateLimit { 0.001 } else { 1e9 };
    let permits = match refuses_by {
        RejectedBy::Bulkhead | RejectedBy::QueueFull | RejectedBy::Dropped => 1,
        _ => 1_000,
    };
    let wait = if refuses_by == RejectedBy::Bulkhead { 0 } else { 60 };
    let on_full = match refuses_by {
        RejectedBy::Dropped => backpressure::Strategy::DropNewest,
        _ => backpressure::Strategy::Error,
    };
    Policy::builder()
        .deadline(Duration::from_secs(3600))
        .timeout(Duration::from_secs(3600))
        .breaker(
            breaker::Config::builder()
                .failure_rate(0.5)
                .window(breaker::Window::Calls(100))
                .build()
                .expect("valid"),
        )
        .bulkhead(
            bulkhead::Config::builder()
                .max_concurrent(permits)
                .max_wait(Duration::from_secs(wait))
                .build()
                .expect("valid"),
        )
        .mailbox(
            backpressure::Config::builder().capacity(1).on_full(on_full).build().expect("valid"),
        )
        .rate_limit(limit::Config::token_bucket(tokens, per_second).expect("valid"))
        .build()
        .expect("valid")
}

/// A client whose every further call is refused by this guard.
fn refusing(seawall: &Seawall, by: RejectedBy) -> ServiceClient<Ready> {
    let client: ServiceClient<Ready> =
        on_runtime(seawall.spawn(by.as_str(), Ready)).expect("spawned");
    match by {
        RejectedBy::Breaker => {
            let handle = seawall.dependency(by.as_str()).expect("spawned");
            on_runtime(handle.force_open()).expect("opens");
        }
        RejectedBy::RateLimit => drop(on_runtime(client.add_one(&1))),
        RejectedBy::Bulkhead => hold(&client, 1),
        _ => hold(&client, 2),
    }
    client
}

/// Leaves this many calls pending for good: with the permit, then in the mailbox.
fn hold(client: &ServiceClient<Ready>, calls: u32) {
    for _ in 0..calls {
        let client = Box::leak(Box::new(client.clone()));
        let mut call = Box::pin(client.hang());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
        std::mem::forget(call);
    }
}

/// One crate for each guard: breaker, then token, then permit.
struct Glue {
    limiter: DefaultDirectRateLimiter,
    permits: Semaphore,
    breaker: AsyncRecloser,
}

#[derive(Debug)]
enum GlueError {
    Open,
    Limited,
    Full,
    Failed,
}

impl Glue {
    fn new(per_second: u32, permits: usize, fails: bool) -> Self {
        let glue = Self {
            limiter: RateLimiter::direct(Quota::per_second(
                NonZeroU32::new(per_second).expect("not zero"),
            )),
            permits: Semaphore::new(permits),
            breaker: Recloser::custom()
                .error_rate(0.5)
                .closed_len(10)
                .half_open_len(5)
                .open_wait(Duration::from_secs(3600))
                .build()
                .into(),
        };
        if fails {
            for _ in 0..20 {
                let failing = glue.breaker.call(async { Err::<(), ()>(()) });
                let _ = on_runtime(failing);
            }
        }
        glue
    }

    async fn add_one(&self, service: &Ready, to: &u64) -> Result<u64, GlueError> {
        let call = self.breaker.call(async {
            self.limiter.check().map_err(|_| GlueError::Limited)?;
            let _permit = self.permits.try_acquire().map_err(|_| GlueError::Full)?;
            service.add_one(to).await.map_err(|_| GlueError::Failed)
        });
        match call.await {
            Ok(answer) => Ok(answer),
            Err(recloser::Error::Rejected) => Err(GlueError::Open),
            Err(recloser::Error::Inner(error)) => Err(error),
        }
    }
}

/// The same without a breaker to hear of it, and with retries that leave a refusal alone: all that a team glues together which does not
/// want its own refusals to open the breaker.
async fn retried(glue: &Glue, service: &Ready, to: &u64) -> Result<u64, GlueError> {
    (|| async {
        glue.limiter.check().map_err(|_| GlueError::Limited)?;
        let _permit = glue.permits.try_acquire().map_err(|_| GlueError::Full)?;
        service.add_one(to).await.map_err(|_| GlueError::Failed)
    })
    .retry(ExponentialBuilder::default().with_max_times(2).with_jitter())
    .when(|error| matches!(error, GlueError::Failed))
    .await
}

/// As a careful team does it for a refusal by the bulkhead alone: no breaker hears of it.
async fn full(permits: &Semaphore, service: &Ready, to: &u64) -> Result<u64, GlueError> {
    let _permit = permits.try_acquire().map_err(|_| GlueError::Full)?;
    service.add_one(to).await.map_err(|_| GlueError::Failed)
}

fn ours<'a>(name: &'static str, client: &'a ServiceClient<Ready>) -> Contender<'a> {
    Contender::new(name, move |n| {
        on_runtime(async {
            for i in 0..u64::from(n) {
                assert!(std::hint::black_box(client.add_one(&i).await).is_err());
            }
        });
    })
}

fn main() {
    let every = [
        RejectedBy::Breaker,
        RejectedBy::RateLimit,
        RejectedBy::Bulkhead,
        RejectedBy::QueueFull,
        RejectedBy::Dropped,
    ];
    let builder = every
        .iter()
        .fold(Seawall::builder(), |builder, &by| builder.policy(by.as_str(), policy(by)));
    let seawall = builder.start().expect("starts");
    let clients = every.map(|by| refusing(&seawall, by));
    let effort = Effort::from_args();

    by_breaker(effort, &clients[0]);
    by_bulkhead(effort, &clients[2..]);
    by_rate_limit(effort, &clients[1]);
}

fn by_breaker(effort: Effort, client: &ServiceClient<Ready>) {
    let open = Glue::new(1_000_000_000, 1_000, true);
    compare(
        "Refused by an open breaker",
        effort,
        &[
            ours("seawall, with metrics", client),
            Contender::new("glue: recloser, breaker first", |n| {
                on_runtime(async {
                    for i in 0..u64::from(n) {
                        let answer = std::hint::black_box(open.add_one(&Ready, &i).await);
                        assert!(matches!(answer, Err(GlueError::Open)));
                    }
                });
            }),
        ],
    );
}

/// Without a wait, and with a full mailbox of either kind.
fn by_bulkhead(effort: Effort, clients: &[ServiceClient<Ready>]) {
    let permits = Semaphore::new(0);
    let none_free = Glue::new(1_000_000_000, 0, false);
    compare(
        "Refused by a full bulkhead, without waiting",
        effort,
        &[
            ours("seawall, with metrics", &clients[0]),
            Contender::new("glue: governor, Semaphore::try_acquire, backon", |n| {
                on_runtime(async {
                    for i in 0..u64::from(n) {
                        let answer = std::hint::black_box(retried(&none_free, &Ready, &i).await);
                        assert!(matches!(answer, Err(GlueError::Full)));
                    }
                });
            }),
            Contender::new("Semaphore::try_acquire alone", |n| {
                on_runtime(async {
                    for i in 0..u64::from(n) {
                        let answer = std::hint::black_box(full(&permits, &Ready, &i).await);
                        assert!(matches!(answer, Err(GlueError::Full)));
                    }
                });
            }),
            ours("seawall, full mailbox (error)", &clients[1]),
            ours("seawall, full mailbox (drop_newest)", &clients[2]),
        ],
    );
}

fn by_rate_limit(effort: Effort, client: &ServiceClient<Ready>) {
    let mut limited_glue = Glue::new(1, 1_000, false);
    limited_glue.limiter =
        RateLimiter::direct(Quota::with_period(Duration::from_secs(3600)).expect("not zero"));
    let _ = limited_glue.limiter.check();
    compare(
        "Refused by the rate limit",
        effort,
        &[
            ours("seawall, with metrics", client),
            Contender::new("glue: governor, Semaphore::try_acquire, backon", |n| {
                on_runtime(async {
                    for i in 0..u64::from(n) {
                        let answer = std::hint::black_box(retried(&limited_glue, &Ready, &i).await);
                        assert!(matches!(answer, Err(GlueError::Limited)));
                    }
                });
            }),
            Contender::new("governor alone", |n| {
                on_runtime(async {
                    for i in 0..u64::from(n) {
                        let answer =
                            std::hint::black_box(limited(&limited_glue.limiter, &Ready, &i).await);
                        assert!(matches!(answer, Err(GlueError::Limited)));
                    }
                });
            }),
        ],
    );
}

async fn limited(
    limiter: &DefaultDirectRateLimiter,
    service: &Ready,
    to: &u64,
) -> Result<u64, GlueError> {
    limiter.check().map_err(|_| GlueError::Limited)?;
    service.add_one(to).await.map_err(|_| GlueError::Failed)
}
