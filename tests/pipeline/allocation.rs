//! What a call costs the allocator.

use allocation_counter::measure;
use seawall::prelude::*;
use seawall::retry::BudgetConfig;
use seawall_tests::{Answer, Api, ApiClient, Step, Trouble, World};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::build::*;

struct Plain;

impl Api for Plain {
    async fn write(&self, key: &str) -> Answer {
        Ok(key.len() as u64)
    }
    async fn read(&self, key: &str) -> Answer {
        Ok(key.len() as u64)
    }
    async fn cached(&self, key: &str) -> Answer {
        Ok(key.len() as u64)
    }
    async fn both(&self, key: &str) -> Answer {
        Ok(key.len() as u64)
    }
}

/// Without a box or an `Arc`, which a test's own task would add.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("waits"),
    }
}

/// Every guard there is.
fn everything() -> seawall::policy::Builder {
    let breaker = seawall::breaker::Config::builder().failure_rate(0.5).min_calls(20);
    let budget = BudgetConfig::default();
    base().breaker(breaker).rate_limit(tokens(1_000_000)).retry(retries(3).budget(budget))
}

fn client(time: impl Into<Time>) -> (Seawall, ApiClient<Plain>) {
    let policy = everything().build().unwrap();
    let seawall = Seawall::builder().time(time).policy("api", policy).start().unwrap();
    let client = now(seawall.spawn("api", Plain)).unwrap();
    (seawall, client)
}

fn call_each(client: &ApiClient<Plain>, times: u32) {
    for _ in 0..times {
        assert_eq!(now(client.write("key")), Ok(3));
        assert_eq!(now(client.read("key")), Ok(3));
        assert_eq!(now(client.cached("key")), Ok(3));
        assert_eq!(now(client.both("key")), Ok(3));
    }
}

#[test]
fn an_admitted_call_allocates_nothing() {
    for time in [Time::system(), Time::from(Time::manual()), Time::tokio()] {
        let (_seawall, client) = client(time.clone());
        call_each(&client, 10);
        let cost = measure(|| call_each(&client, 1_000));
        assert_eq!((cost.count_total, cost.bytes_total), (0, 0), "{time:?}: {cost:?}");
    }
}

#[test]
fn nor_does_one_that_fails_or_is_refused() {
    let world =
        World::new(everything().build().unwrap(), vec![Step::Answer(Err(Trouble::Final)); 100]);
    for _ in 0..20 {
        now(world.client.write("")).unwrap_err();
    }
    assert_eq!(world.handle.state(), State::Open);
    now(world.client.write("")).unwrap_err();
    let cost = measure(|| {
        for _ in 0..1_000 {
            assert!(now(world.client.write("")).is_err());
        }
    });
    assert_eq!(cost.count_total, 0, "{cost:?}");
}

#[test]
fn a_call_that_pends_arms_its_timer_without_allocating_once_the_wheel_has_room() {
    let (seawall, _client) = client(Time::system());
    let hanging = now(seawall.spawn::<ApiClient<seawall_tests::Scripted>>(
        "hanging",
        seawall_tests::Scripted::new(vec![Step::Hang; 200]),
    ))
    .unwrap();
    let pend = |times: u32| {
        for _ in 0..times {
            let mut call = pin!(hanging.write(""));
            assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
    };
    pend(50);
    let cost = measure(|| pend(100));
    assert_eq!(cost.count_total, 0, "{cost:?}");
}
