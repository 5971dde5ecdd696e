//! What everybody calls, and our client of it.

use std::future::poll_fn;
use std::task::Poll;

use seawall::bulkhead::Limit;
use seawall::prelude::*;
use seawall_benches::{all_guards_with, on_runtime};

/// The service: it answers at once, or after it was polled twice.
#[derive(Debug, Clone)]
pub(crate) struct Ready;

/// What can go wrong with it: nothing here.
#[derive(Debug)]
pub(crate) struct Error;

impl From<Fault> for Error {
    fn from(_: Fault) -> Self {
        Self
    }
}

/// What the service offers.
#[resilient]
pub(crate) trait Service {
    /// Adds one.
    #[call(idempotent)]
    async fn add_one(&self, to: &u64) -> Result<u64, Error>;
    /// Adds one, the second time that it is polled.
    #[call(idempotent)]
    async fn add_later(&self, to: &u64) -> Result<u64, Error>;
}

impl Service for Ready {
    async fn add_one(&self, to: &u64) -> Result<u64, Error> {
        Ok(std::hint::black_box(*to) + 1)
    }
    async fn add_later(&self, to: &u64) -> Result<u64, Error> {
        let mut is_first = true;
        poll_fn(|_| if std::mem::take(&mut is_first) { Poll::Pending } else { Poll::Ready(()) })
            .await;
        Ok(std::hint::black_box(*to) + 1)
    }
}

/// So many dependencies with every guard, and a number of permits that is found so.
pub(crate) fn clients(count: usize, limit: Limit) -> (Seawall, Vec<ServiceClient<Ready>>) {
    let name = |index: usize| format!("service-{index}");
    let builder = (0..count).fold(Seawall::builder(), |builder, index| {
        builder.policy(name(index).as_str(), all_guards_with(limit))
    });
    let seawall = builder.start().expect("starts");
    let clients = on_runtime(async {
        let mut clients = Vec::with_capacity(count);
        for index in 0..count {
            clients.push(seawall.spawn(name(index).as_str(), Ready).await.expect("spawned"));
        }
        clients
    });
    (seawall, clients)
}
