//! What travels with a deadline: which attempt of its caller a call is, and the lot of its root request.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use seawall::deadline::{self, Deadline, Origin};
use seawall::prelude::*;
use seawall::retry::{BudgetConfig, BudgetMode};
use seawall::{Policy, Time, resilient, retry};
use seawall_tests::{Api, Step, Task, Trouble, World, ready};

use super::build::*;

#[resilient]
trait Layer {
    #[call(idempotent)]
    async fn work(&self) -> io::Result<()>;
}

/// The last layer: it always fails.
#[derive(Default)]
struct Last {
    seen: AtomicU32,
}

impl Layer for Last {
    async fn work(&self) -> io::Result<()> {
        self.seen.fetch_add(1, Ordering::SeqCst);
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

/// A layer that calls the next.
struct Before<S>(LayerClient<S>);

impl<S: Layer + Send + Sync + 'static> Layer for Before<S> {
    async fn work(&self) -> io::Result<()> {
        self.0.work().await
    }
}

fn three_attempts() -> Policy {
    let retry = retry::Config::builder().max_attempts(3).base_delay(Duration::ZERO);
    base().breaker(trips_after(1000)).retry(retry).build().unwrap()
}

/// Requests that the last of three layers sees of one call of the first.
fn seen_by_the_last(calls: impl FnOnce(&LayerClient<Before<Before<Last>>>)) -> u32 {
    let time = Time::manual();
    let builder = ["a", "b", "c"].iter().fold(Seawall::builder().time(&time), |builder, name| {
        builder.policy(*name, three_attempts())
    });
    let seawall = builder.start().unwrap();
    let c: LayerClient<Last> = ready(seawall.spawn("c", Last::default())).unwrap();
    let b: LayerClient<Before<Last>> = ready(seawall.spawn("b", Before(c.clone()))).unwrap();
    let a = ready(seawall.spawn("a", Before(b))).unwrap();
    calls(&a);
    c.service().seen.load(Ordering::SeqCst)
}

#[test]
fn in_a_scope_three_layers_of_three_attempts_do_not_multiply() {
    let bare = seen_by_the_last(|a| drop(ready(a.work())));
    assert_eq!(bare, 27, "nothing travels where there is no scope");
    let scoped = seen_by_the_last(|a| drop(ready(deadline::scope(secs(5), a.work()))));
    // The first attempt of the first layer makes 3 + 1 + 1 of them, each of its two retries one.
    assert_eq!(scoped, 7);
    let of_a_retry = seen_by_the_last(|a| {
        let origin = Deadline::after(secs(5)).from_origin(Origin::of_attempt(2));
        drop(ready(deadline::scope(origin, a.work())));
    });
    assert_eq!(of_a_retry, 1, "the caller is a retry itself");
}

#[test]
fn what_the_service_calls_knows_that_it_is_a_retry_and_what_follows_does_not() {
    #[derive(Default)]
    struct Told(std::sync::Mutex<Vec<u32>>);
    impl Layer for Told {
        async fn work(&self) -> io::Result<()> {
            self.0.lock().unwrap().push(deadline::origin().attempt());
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let time = Time::manual();
    let seawall = Seawall::builder().time(&time).policy("a", three_attempts()).start().unwrap();
    let a: LayerClient<Told> = ready(seawall.spawn("a", Told::default())).unwrap();
    ready(deadline::scope(secs(5), async {
        assert!(a.work().await.is_err());
        assert_eq!(deadline::origin().attempt(), 1);
        assert!(a.work().await.is_err());
    }));
    assert_eq!(*a.service().0.lock().unwrap(), [1, 2, 3, 1, 2, 3]);
}

#[test]
fn nothing_is_hedged_within_a_retry() {
    let hedge = retry::HedgeConfig::builder().after(ms(50)).build().unwrap();
    let policy = base().bulkhead(permits(4)).retry(retries(1).hedge(hedge)).build().unwrap();
    let world = World::new(policy, vec![Step::Hang; 2]);
    let deadline = Deadline::on(&Time::from(world.time.clone()), secs(5));
    let retried = deadline.from_origin(Origin::of_attempt(2));
    let mut call = Task::pending(deadline::scope(retried, world.client.read("")));
    world.time.advance(ms(500));
    assert!(call.poll().is_pending());
    assert_eq!(world.service().seen(), 1);
}

#[test]
fn one_lot_decides_about_all_calls_of_a_root_request() {
    let budget = BudgetConfig::builder().mode(BudgetMode::AcceptRatio).build().unwrap();
    let policy =
        base().breaker(trips_after(1000)).retry(retries(1).budget(budget)).build().unwrap();
    let world = World::new(policy, vec![Step::Answer(Err(Trouble::Broken)); 1000]);
    let in_root_request = |lot: f64, calls: usize| {
        let root = Deadline::after(secs(5)).from_origin(Origin::default().with_lot(lot));
        let before = world.service().seen();
        ready(deadline::scope(root, async {
            for _ in 0..calls {
                assert!(world.client.write("").await.is_err());
            }
        }));
        (world.service().seen() - before) as usize
    };
    assert_eq!(in_root_request(0.999, 10), 10, "refused is at most 10 of 11");
    // 10 requests, none accepted: of the next 10 of 11 are refused, by the lot and not by chance.
    assert_eq!(in_root_request(0.5, 4), 0);
    assert_eq!(in_root_request(0.999, 4), 4);
}
