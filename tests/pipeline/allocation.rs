//! What a call costs the allocator.

use allocation_counter::measure;
use seawall::clock::Moment;
use seawall::limit;
use seawall::prelude::*;
use seawall::retry::BudgetConfig;
use seawall::{State, Time, backpressure, bulkhead};
use seawall_tests::{Answer, Api, ApiClient, Step, Trouble, World};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

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
    everything_under(tokens(1_000_000).unwrap())
}

fn everything_under(limit: limit::Config) -> seawall::policy::Builder {
    let breaker = seawall::breaker::Config::builder().failure_rate(0.5).min_calls(20);
    let budget = BudgetConfig::default();
    base().breaker(breaker).rate_limit(limit).retry(retries(3).budget(budget))
}

fn client(time: impl Into<Time>) -> (Seawall, ApiClient<Plain>) {
    client_under(tokens(1_000_000).unwrap(), time)
}

fn client_under(limit: limit::Config, time: impl Into<Time>) -> (Seawall, ApiClient<Plain>) {
    let policy = everything_under(limit).build().unwrap();
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
fn a_call_that_notices_a_new_slice_of_the_budgets_window_allocates_nothing() {
    let time = Time::manual();
    let (_seawall, client) = client(time.clone());
    call_each(&client, 10);
    let cost = measure(|| {
        for _ in 0..30 {
            time.advance(std::time::Duration::from_secs(1));
            call_each(&client, 1);
        }
    });
    assert_eq!((cost.count_total, cost.bytes_total), (0, 0), "{cost:?}");
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
fn nor_does_it_under_any_other_limit_that_is_one_word_or_two() {
    let second = secs(1);
    for limit in [
        limit::Config::fixed_window(1_000_000, second),
        limit::Config::sliding_window(1_000_000, second),
        limit::Config::leaky_bucket(1_000_000, 1e6),
    ] {
        let limit = limit.unwrap();
        let time = Time::manual();
        let (_seawall, client) = client_under(limit, time.clone());
        call_each(&client, 10);
        let cost = measure(|| {
            // Through some windows, and within them.
            for _ in 0..500 {
                time.advance(ms(7));
                call_each(&client, 2);
            }
        });
        assert_eq!((cost.count_total, cost.bytes_total), (0, 0), "{limit:?}: {cost:?}");
    }
}

/// It remembers each call: so it allocates while a window has more calls in it than any before.
#[test]
fn under_a_sliding_log_it_allocates_only_while_a_window_holds_more_than_any_before() {
    let limit = limit::Config::sliding_log(1_000_000, ms(100)).unwrap();
    let time = Time::manual();
    let (_seawall, client) = client_under(limit, time.clone());
    let call = |times: u32| {
        for _ in 0..times {
            time.advance(ms(1));
            call_each(&client, 1);
        }
    };
    // A hundred moments in a window; all calls of a moment are one of 16 bytes.
    let warmed = measure(|| call(200));
    eprintln!("a sliding log's first window of 100 moments, and all that calls need: {warmed:?}");
    assert!(warmed.bytes_current < 64 * 1024, "nothing for the million: {warmed:?}");
    let steady = measure(|| call(1_000));
    assert_eq!((steady.count_total, steady.bytes_total), (0, 0), "{steady:?}");
    // By itself: nothing up front, and one allocation for each doubling.
    let quota = limit::Quota::new(u64::MAX, ms(100)).unwrap();
    let mut made = None;
    let built = measure(|| {
        made = Some(limit::RateLimiter::new(limit::SlidingLog::new(&quota), Moment::ZERO));
    });
    assert_eq!(built.count_total, 0, "{built:?}");
    let log = made.unwrap();
    let take = |from: u64, until: u64| {
        for n in from..until {
            assert!(log.try_take(Moment::from_nanos(n * 10_000), 1).is_ok());
        }
    };
    let grown = measure(|| take(0, 10_000));
    assert!(grown.count_total <= 14 && grown.bytes_current <= 16 * 16_384, "{grown:?}");
    let steady = measure(|| take(10_000, 50_000));
    assert_eq!(steady.count_total, 0, "{steady:?}");
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
fn nor_does_one_that_goes_by_its_dependencys_quota() {
    let policy = everything().quota(seawall::limit::PacerConfig::default()).build().unwrap();
    let seawall = Seawall::builder().policy("api", policy).start().unwrap();
    let client = now(seawall.spawn("api", Plain)).unwrap();
    call_each(&client, 10);
    let cost = measure(|| call_each(&client, 1_000));
    assert_eq!(cost.count_total, 0, "{cost:?}");
}

#[test]
fn telling_of_refusals_and_slow_calls_allocates_nothing_while_nobody_subscribes() {
    let slow = trips_after(3).slow_call(std::time::Duration::from_nanos(1));
    let policy = base().timeout(ms(1)).breaker(slow).build().unwrap();
    let world = World::new(policy, vec![Step::Hang; 100]);
    let hang = || {
        let mut call = pin!(world.client.write(""));
        let mut poll = || call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending());
        world.time.advance(ms(1));
        assert!(poll().is_ready());
        world.time.advance(ms(100));
    };
    let refuse = || {
        for _ in 0..300 {
            assert!(now(world.client.write("")).is_err());
            world.time.advance(ms(1));
        }
    };
    hang();
    let slow = measure(hang);
    hang();
    assert_eq!(world.handle.state(), State::Open);
    refuse();
    let refused = measure(refuse);
    assert_eq!((slow.count_total, refused.count_total), (0, 0), "{slow:?} {refused:?}");
    assert_eq!(world.handle.state(), State::Open);
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

#[test]
fn a_request_that_waits_in_a_bulkhead_of_its_own_allocates_nothing_once_the_queue_has_room() {
    let one = bulkhead::Config::builder().max_concurrent(1).max_wait(Duration::from_secs(60));
    let bulkhead = seawall::permit::Bulkhead::new(
        &one.build().unwrap(),
        &backpressure::Config::default(),
        Time::system(),
    );
    let wait = || {
        let (held, mut served) = (bulkhead.try_acquire(), pin!(bulkhead.acquire()));
        let mut dropped = Box::pin(bulkhead.acquire());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(served.as_mut().poll(&mut cx).is_pending());
        assert!(dropped.as_mut().poll(&mut cx).is_pending());
        drop((held, dropped));
        assert!(matches!(served.poll(&mut cx), Poll::Ready(Ok(_))));
    };
    (0..50).for_each(|_| wait());
    let cost = measure(|| (0..100).for_each(|_| wait()));
    assert_eq!(cost.count_total, 100, "the boxes of those that are dropped: {cost:?}");
}
