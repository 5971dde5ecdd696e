//! Limits that find themselves, at work: through whole calls, in virtual time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::server::{Running, ServerError};
use super::{Client, Distribution, Load, Server, TaskContext, Trouble, World};
use crate::clock::Moment;
use crate::error::CallError;
use crate::policy::{Policy, PolicyFile};
use crate::simulation::report::ServerReport;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn adaptive(more: &str) -> Policy {
    let text = format!(
        "[it]\ntimeout = '1s'\ndeadline = '2s'\nbreaker = {{ mode = 'disabled' }}\n\
         bulkhead = {{ max_concurrent = 500, max_wait = '200ms', limit = 'adaptive' }}\n{more}"
    );
    PolicyFile::parse(&text, "test.toml").unwrap().policy("it")
}

/// Calls that come whether or not they are answered, until the world is dropped.
async fn send(
    context: TaskContext,
    client: Rc<Client>,
    server: Rc<Running>,
    (load, good): (Load, Rc<Cell<u64>>),
) {
    let entropy = context.next_entropy();
    while let Some(next) = load.next(context.now(), Moment::MAX, &entropy) {
        context.sleep_until(next).await;
        let (client, server, good) = (Rc::clone(&client), Rc::clone(&server), Rc::clone(&good));
        context.spawn(async move {
            let answer: Result<(), CallError<ServerError>> = client.call(|| server.request()).await;
            good.set(good.get() + u64::from(answer.is_ok()));
        });
    }
}

/// A client of this server under this load. The limit at the end of each second, and the good answers of it.
fn limits(server: Server, load: Load, seconds: u64) -> Vec<(u32, u64)> {
    let world = World::new(7);
    let context = world.context();
    let running = Running::start(server, Vec::new(), ServerReport::new(secs(1)), &context);
    let client = Rc::new(Client::new(&context, "it", adaptive("")));
    let good = Rc::new(Cell::new(0));
    world.spawn(send(context, Rc::clone(&client), running, (load, Rc::clone(&good))));
    (1..=seconds)
        .map(|second| {
            world.run_until(Moment::ZERO + secs(second));
            (client.snapshot().limit, good.replace(0))
        })
        .collect()
}

fn ms(milliseconds: u64) -> Distribution {
    Distribution::constant(Duration::from_millis(milliseconds))
}

#[test]
fn it_begins_safe_and_finds_what_the_server_has_at_once() {
    // Ten workers of 20 ms do 500/s; twice as many come.
    let found = limits(Server::new(10, ms(20)), Load::poisson(1000.0), 30);
    let settled = &found[10..];
    assert!(settled.iter().all(|(limit, _)| (6..=24).contains(limit)), "{found:?}");
    let good: u64 = settled.iter().map(|(_, good)| good).sum();
    assert!(
        good as f64 >= 0.97 * 500.0 * settled.len() as f64,
        "{good} of {}",
        500 * settled.len()
    );
}

#[test]
fn times_that_vary_are_not_taken_for_a_queue() {
    // Four workers of 20 ms in the mean do 200/s. The shortest answers take next to nothing.
    let work = Distribution::exponential(Duration::from_millis(20));
    let found = limits(Server::new(4, work), Load::poisson(300.0), 120);
    let good: u64 = found[20..].iter().map(|(_, good)| good).sum();
    assert!(good as f64 >= 0.95 * 200.0 * 100.0, "{good} of 20000: {found:?}");
}

#[test]
fn it_does_not_grow_while_it_is_not_used() {
    let found = limits(Server::new(100, ms(10)), Load::poisson(20.0), 60);
    assert!(
        found.iter().all(|(limit, _)| *limit == 5),
        "one at once is no reason for more: {found:?}"
    );
}

#[test]
fn when_nothing_is_answered_it_is_at_the_floor_and_it_comes_back() {
    let frozen = Server::new(10, ms(20)).trouble(Trouble::Freezes, secs(10)..secs(30));
    let found = limits(frozen, Load::poisson(1000.0), 50);
    assert!(found[24..30].iter().all(|(limit, _)| *limit == 1), "{found:?}");
    // What the freeze has left in the queue is soon done.
    let back = &found[35..];
    assert!(back.iter().all(|(_, good)| *good >= 450), "{found:?}");
}

#[test]
fn it_follows_a_step_of_the_capacity_within_five_seconds() {
    let slower = Server::new(40, ms(20)).trouble(Trouble::Speed(0.25), secs(20)..secs(40));
    let found = limits(slower, Load::poisson(4000.0), 60);
    let good = |from: usize, to: usize| -> f64 {
        found[from..to].iter().map(|(_, good)| *good as f64).sum::<f64>() / (to - from) as f64
    };
    assert!(good(10, 20) >= 0.95 * 2000.0, "{found:?}");
    assert!(good(25, 40) >= 0.95 * 500.0, "{found:?}");
    assert!(good(45, 60) >= 0.95 * 2000.0, "{found:?}");
}
