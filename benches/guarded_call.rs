//! The whole guarded call, answered at once: limiter, breaker, bulkhead, timeout, retry; ours with
//! metrics and latency, the glue without any.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use recloser::{AsyncRecloser, Recloser};
use seawall::prelude::*;
use seawall::{backpressure, breaker, bulkhead, limit, retry};
use seawall_benches::{Contender, Effort, compare, on_runtime};
use tokio::sync::Semaphore;

/// The service that everybody calls: it answers at once.
#[derive(Debug, Clone)]
pub struct Ready;

/// What can go wrong with it: nothing here.
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
}

impl Service for Ready {
    async fn add_one(&self, to: &u64) -> Result<u64, Error> {
        Ok(std::hint::black_box(*to) + 1)
    }
}

fn policy() -> Policy {
    Policy::builder()
        .breaker(
            breaker::Config::builder()
                .failure_rate(0.5)
                .window(breaker::Window::Calls(100))
                .build()
                .expect("valid"),
        )
        .bulkhead(bulkhead::Config::builder().max_concurrent(1_000).build().expect("valid"))
        .mailbox(backpressure::Config::default())
        .retry(retry::Config::builder().max_attempts(3).build().expect("valid"))
        .rate_limit(limit::Config::token_bucket(1_000_000_000, 1e9).expect("valid"))
        .build()
        .expect("valid")
}

/// One crate for each guard, in the same order.
struct Glue {
    limiter: DefaultDirectRateLimiter,
    permits: Semaphore,
    breaker: AsyncRecloser,
    backoff: ExponentialBuilder,
}

#[derive(Debug)]
enum GlueError {
    Limited,
    Closed,
    TimedOut,
    Breaker(recloser::Error<Infallible>),
}

impl Glue {
    fn new() -> Self {
        let per_second = NonZeroU32::new(1_000_000_000).expect("not zero");
        Self {
            limiter: RateLimiter::direct(Quota::per_second(per_second)),
            permits: Semaphore::new(1_000),
            breaker: Recloser::custom()
                .error_rate(0.5)
                .closed_len(100)
                .half_open_len(5)
                .open_wait(Duration::from_secs(60))
                .build()
                .into(),
            backoff: ExponentialBuilder::default().with_max_times(2).with_jitter(),
        }
    }

    async fn add_one(&self, service: &Ready, to: &u64) -> Result<u64, GlueError> {
        (|| async {
            self.limiter.check().map_err(|_| GlueError::Limited)?;
            let _permit = self.permits.acquire().await.map_err(|_| GlueError::Closed)?;
            let answer = self
                .breaker
                .call(async { Ok::<_, Infallible>(service.add_one(to).await.unwrap_or_default()) });
            match tokio::time::timeout(Duration::from_secs(1), answer).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(error)) => Err(GlueError::Breaker(error)),
                Err(_) => Err(GlueError::TimedOut),
            }
        })
        .retry(self.backoff)
        .await
    }
}

fn main() {
    let seawall = Seawall::builder().policy("service", policy()).start().expect("starts");
    let client: ServiceClient<Ready> =
        on_runtime(seawall.spawn("service", Ready)).expect("spawned");
    let glue = Glue::new();
    let contenders = [
        Contender::new("seawall, all guards, with metrics", |n| {
            on_runtime(async {
                for i in 0..u64::from(n) {
                    std::hint::black_box(client.add_one(&i).await.expect("answers"));
                }
            });
        }),
        Contender::new("glue: governor + Semaphore + timeout + recloser + backon", |n| {
            on_runtime(async {
                for i in 0..u64::from(n) {
                    std::hint::black_box(glue.add_one(&Ready, &i).await.expect("answers"));
                }
            });
        }),
        Contender::new("the bare call", |n| {
            on_runtime(async {
                for i in 0..u64::from(n) {
                    std::hint::black_box(Ready.add_one(&i).await.expect("answers"));
                }
            });
        }),
    ];
    compare("A whole guarded call, answered at once", Effort::from_args(), &contenders);
}
