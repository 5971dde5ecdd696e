//! What a call can meet.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use seawall::bulkhead::Limit;
use seawall::prelude::*;
use seawall::{breaker, bulkhead, limit, retry};
use seawall_benches::on_runtime;

/// A way for a call to go.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Makes a dependency for it; what is returned makes so many calls.
    pub(crate) prepare: fn() -> Box<dyn Fn(u32)>,
    /// The size of the call's future.
    pub(crate) future_bytes: fn() -> u64,
}

pub(crate) const CASES: [Case; 7] = [
    Case {
        name: "admitted",
        prepare: || ready(Limit::Fixed),
        future_bytes: || size_of_future(|c| size_of_val(&c.add_one(&1))),
    },
    Case {
        name: "admitted, adaptive limit",
        prepare: || ready(Limit::Adaptive),
        future_bytes: || size_of_future(|c| size_of_val(&c.add_one(&1))),
    },
    Case {
        name: "pending once",
        prepare: pending,
        future_bytes: || size_of_future(|c| size_of_val(&c.pend())),
    },
    Case {
        name: "waiting for a permit",
        prepare: waiting,
        future_bytes: || size_of_future(|c| size_of_val(&c.pend())),
    },
    Case {
        name: "refused by the breaker",
        prepare: || refused(RejectedBy::Breaker),
        future_bytes: || size_of_future(|c| size_of_val(&c.add_one(&1))),
    },
    Case {
        name: "refused by the bulkhead",
        prepare: || refused(RejectedBy::Bulkhead),
        future_bytes: || size_of_future(|c| size_of_val(&c.add_one(&1))),
    },
    Case {
        name: "refused by the rate limit",
        prepare: || refused(RejectedBy::RateLimit),
        future_bytes: || size_of_future(|c| size_of_val(&c.add_one(&1))),
    },
];

/// The service.
#[derive(Debug, Clone)]
struct Ready;

/// What can go wrong with it.
#[derive(Debug)]
struct Error;

impl From<Fault> for Error {
    fn from(_: Fault) -> Self {
        Self
    }
}

#[resilient]
trait Service {
    #[call(idempotent)]
    async fn add_one(&self, to: &u64) -> Result<u64, Error>;
    async fn pend(&self) -> Result<u64, Error>;
    async fn hang(&self) -> Result<u64, Error>;
}

impl Service for Ready {
    async fn add_one(&self, to: &u64) -> Result<u64, Error> {
        Ok(std::hint::black_box(*to) + 1)
    }
    async fn pend(&self) -> Result<u64, Error> {
        let mut is_first = true;
        poll_fn(|cx| {
            if std::mem::take(&mut is_first) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok(1))
        })
        .await
    }
    async fn hang(&self) -> Result<u64, Error> {
        std::future::pending().await
    }
}

type Client = ServiceClient<Ready>;

/// With every guard, of which this one has one place or token, and the others enough.
fn client(scarce: Option<RejectedBy>, max_wait: Duration) -> (Seawall, Client) {
    client_of(Limit::Fixed, scarce, max_wait)
}

fn client_of(found: Limit, scarce: Option<RejectedBy>, max_wait: Duration) -> (Seawall, Client) {
    let is = |by| scarce == Some(by);
    let permits = if is(RejectedBy::Bulkhead) { 1 } else { 1_000 };
    let (tokens, rate) = if is(RejectedBy::RateLimit) { (1, 0.001) } else { (1_000_000_000, 1e9) };
    let hour = Duration::from_secs(3_600);
    let policy = Policy::builder()
        .deadline(hour)
        .timeout(hour)
        .breaker(breaker::Config::builder().failure_rate(0.5).window(breaker::Window::Calls(100)))
        .bulkhead(
            bulkhead::Config::builder().limit(found).max_concurrent(permits).max_wait(max_wait),
        )
        .retry(retry::Config::builder().max_attempts(3))
        .rate_limit(limit::Config::token_bucket(tokens, rate).expect("valid"))
        .build()
        .expect("valid");
    let seawall = Seawall::builder().policy("service", policy).start().expect("starts");
    let client = on_runtime(seawall.spawn("service", Ready)).expect("spawned");
    (seawall, client)
}

fn size_of_future(size: fn(&Client) -> usize) -> u64 {
    let (_seawall, client) = client(None, Duration::ZERO);
    size(&client) as u64
}

/// It answers at once.
fn ready(found: Limit) -> Box<dyn Fn(u32)> {
    let (seawall, client) = client_of(found, None, Duration::ZERO);
    Box::new(move |calls| {
        let _seawall = &seawall;
        on_runtime(async {
            for call in 0..u64::from(calls) {
                assert!(client.add_one(&call).await.is_ok());
            }
        });
    })
}

fn pending() -> Box<dyn Fn(u32)> {
    let (seawall, client) = client(None, Duration::ZERO);
    Box::new(move |calls| {
        let _seawall = &seawall;
        on_runtime(async {
            for _ in 0..calls {
                assert!(client.pend().await.is_ok());
            }
        });
    })
}

/// Of two calls at a time, the second waits for the permit of the first.
fn waiting() -> Box<dyn Fn(u32)> {
    let (seawall, client) = client(Some(RejectedBy::Bulkhead), Duration::from_secs(60));
    Box::new(move |calls| {
        let _seawall = &seawall;
        on_runtime(async {
            for _ in 0..calls / 2 {
                let (one, other) = tokio::join!(client.pend(), client.pend());
                assert!(one.is_ok() && other.is_ok());
            }
        });
    })
}

fn refused(by: RejectedBy) -> Box<dyn Fn(u32)> {
    let (seawall, client) = client(Some(by), Duration::ZERO);
    match by {
        RejectedBy::Breaker => {
            let handle = seawall.dependency("service").expect("spawned");
            on_runtime(handle.force_open()).expect("opens");
        }
        RejectedBy::RateLimit => drop(on_runtime(client.add_one(&1))),
        _ => {
            // Holds the only permit for good.
            let client = Box::leak(Box::new(client.clone()));
            let mut call = Box::pin(client.hang());
            assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            std::mem::forget(call);
        }
    }
    Box::new(move |calls| {
        let _seawall = &seawall;
        on_runtime(async {
            for call in 0..u64::from(calls) {
                assert!(client.add_one(&call).await.is_err());
            }
        });
    })
}
