//! The glue that a careful team writes by hand: one crate for each guard, in the same order as ours (limiter, permits, breaker,
//! timeout, retry), with no metrics.

use std::convert::Infallible;
use std::future::Future;
use std::num::NonZeroU32;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use recloser::{AsyncRecloser, Recloser};
use tokio::sync::Semaphore;

/// The guards.
#[derive(Debug)]
pub struct Glue {
    limiter: DefaultDirectRateLimiter,
    permits: Semaphore,
    breaker: AsyncRecloser,
    backoff: ExponentialBuilder,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum GlueError {
    /// No token.
    Limited,
    /// The semaphore is closed.
    Closed,
    /// A second has gone by.
    TimedOut,
    /// The breaker is open.
    Breaker(recloser::Error<Infallible>),
}

impl Glue {
    /// With room for every call.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "it has settings")]
    pub fn new() -> Self {
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

    /// One call of what answers: it never fails.
    ///
    /// # Errors
    /// A guard refused it, or it took longer than a second.
    #[inline]
    pub async fn call<T, F: Future<Output = T>>(
        &self,
        work: impl Fn() -> F,
    ) -> Result<T, GlueError> {
        (|| async {
            self.limiter.check().map_err(|_| GlueError::Limited)?;
            let _permit = self.permits.acquire().await.map_err(|_| GlueError::Closed)?;
            let answer = self.breaker.call(async { Ok::<_, Infallible>(work().await) });
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
