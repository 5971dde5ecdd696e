//! Other stacks of guards. What each has of the five is in its name.

use std::future::{Ready, ready};
use std::time::Duration;

use layered::{Execute, Stack};
use seatbelt::breaker::Breaker;
use seatbelt::retry::Retry;
use seatbelt::timeout::Timeout;
use seatbelt::{RecoveryInfo, ResilienceContext};
use tick::Clock;
use tower::{BoxError, Service, ServiceBuilder};

use crate::service::{self, Service as _};

async fn add_one(to: u64) -> Result<u64, String> {
    service::Ready.add_one(&to).await.map_err(|_| String::new())
}

async fn add_later(to: u64) -> Result<u64, String> {
    service::Ready.add_later(&to).await.map_err(|_| String::new())
}

fn judged(answer: &Result<u64, String>) -> RecoveryInfo {
    match answer {
        Ok(_) => RecoveryInfo::never(),
        Err(_) => RecoveryInfo::retry(),
    }
}

/// Retry, breaker and timeout, as its documentation puts them together.
macro_rules! seatbelt {
    ($clock:expr, $work:expr) => {{
        let context = ResilienceContext::new($clock).name("service");
        (
            Retry::layer("retry", &context)
                .clone_input()
                .recovery_with(|answer: &Result<u64, String>, _| judged(answer)),
            Breaker::layer("breaker", &context)
                .recovery_with(|answer: &Result<u64, String>, _| judged(answer))
                .rejected_input_error(|_, _| String::from("open")),
            Timeout::layer("timeout", &context)
                .timeout_error(|_| String::from("too late"))
                .timeout(Duration::from_secs(1)),
            Execute::new($work),
        )
            .into_service()
    }};
}

pub(crate) fn seatbelt(clock: &Clock) -> impl layered::Service<u64, Out = Result<u64, String>> {
    seatbelt!(clock, add_one)
}

pub(crate) fn seatbelt_later(
    clock: &Clock,
) -> impl layered::Service<u64, Out = Result<u64, String>> {
    seatbelt!(clock, add_later)
}

/// Retry, concurrency limit and timeout, as `ServiceBuilder` puts them together; no breaker, and no limit that clones of a
/// service could share.
pub(crate) fn tower() -> impl Service<u64, Response = u64, Error = BoxError> {
    ServiceBuilder::new()
        .retry(Twice(2))
        .concurrency_limit(1_000)
        .timeout(Duration::from_secs(1))
        .service_fn(add_one)
}

/// Retries twice at most, at once: nothing fails here.
#[derive(Clone)]
struct Twice(u32);

impl tower::retry::Policy<u64, u64, BoxError> for Twice {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, BoxError>) -> Option<Ready<()>> {
        if result.is_ok() || self.0 == 0 {
            return None;
        }
        self.0 -= 1;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}
