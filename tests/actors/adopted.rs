//! Users' own actors under the same root.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use seawall::Time;
use seawall::actor::actix::{Actor, ActorContext, Context, Handler, Message};
use seawall::actor::{ActorError, RestartPolicy};
use seawall::prelude::*;
use seawall_tests::{Task, block_on, eventually, ready};

use crate::build::*;

/// Does nothing.
pub(crate) struct Idle;

impl Actor for Idle {
    type Context = Context<Self>;
}

/// Counts what it is told to, as long as it lives.
struct Counter {
    count: u32,
    alive: Arc<AtomicU32>,
}

impl Counter {
    fn new(alive: &Arc<AtomicU32>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self { count: 0, alive: Arc::clone(alive) }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Actor for Counter {
    type Context = Context<Self>;
}

struct Add(u32);
impl Message for Add {
    type Result = u32;
}
impl Handler<Add> for Counter {
    type Result = u32;
    fn handle(&mut self, Add(by): Add, _: &mut Self::Context) -> u32 {
        self.count += by;
        self.count
    }
}

struct Die;
impl Message for Die {
    type Result = ();
}
impl Handler<Die> for Counter {
    type Result = ();
    fn handle(&mut self, _: Die, _: &mut Self::Context) {
        panic!("told to die");
    }
}

struct Retire;
impl Message for Retire {
    type Result = ();
}
impl Handler<Retire> for Counter {
    type Result = ();
    fn handle(&mut self, _: Retire, context: &mut Self::Context) {
        context.stop();
    }
}

/// By manual time, rebuilding at once.
fn start() -> (Seawall, seawall::ManualTime) {
    let time = Time::manual();
    let restart = RestartPolicy::builder().backoff(Duration::ZERO, Duration::ZERO);
    let seawall = Seawall::builder().time(&time).restart(restart.build().unwrap());
    (seawall.start().unwrap(), time)
}

fn counter(seawall: &Seawall) -> (seawall::actor::ActorHandle<Counter>, Arc<AtomicU32>) {
    let alive = Arc::new(AtomicU32::new(0));
    let lives = Arc::clone(&alive);
    (seawall.actor("counter", move || Counter::new(&lives)), alive)
}

#[test]
fn it_answers() {
    let (seawall, _) = start();
    let (counter, _) = counter(&seawall);
    assert_eq!(counter.name(), "counter");
    assert_eq!(block_on(counter.send(Add(2))), Ok(2));
    assert_eq!(block_on(counter.clone().send(Add(3))), Ok(5));
    assert_eq!(counter.restarts(), 0);
}

#[test]
fn a_message_that_kills_it_says_so_and_the_next_one_meets_a_new_actor() {
    let (seawall, _) = start();
    let (counter, alive) = counter(&seawall);
    for deaths in 1..=5 {
        assert_eq!(block_on(counter.send(Add(2))), Ok(2), "begins with a clean sheet");
        assert_eq!(block_on(counter.send(Die)), Err(ActorError::Died));
        assert_eq!(block_on(counter.send(Add(1))), Ok(1));
        assert_eq!(block_on(counter.send(Die)), Err(ActorError::Died));
        eventually("it is rebuilt", || counter.restarts() == deaths * 2);
    }
    assert_eq!(alive.load(Ordering::SeqCst), 1, "never two at once");
}

#[test]
fn one_that_stops_of_its_own_accord_stays_stopped() {
    let (seawall, _) = start();
    let (counter, alive) = counter(&seawall);
    assert_eq!(block_on(counter.send(Retire)), Ok(()));
    eventually("it is gone", || alive.load(Ordering::SeqCst) == 0);
    assert_eq!(block_on(counter.send(Add(1))), Err(ActorError::Stopped));
    assert_eq!(counter.restarts(), 0);
}

#[test]
fn a_factory_that_panics_is_asked_again() {
    let (seawall, _) = start();
    let tries = Arc::new(AtomicU32::new(0));
    let tried = Arc::clone(&tries);
    let counter = seawall.actor("counter", move || {
        assert!(tried.fetch_add(1, Ordering::SeqCst) >= 3, "not yet");
        Counter::new(&Arc::default())
    });
    assert_eq!(block_on(counter.send(Add(1))), Ok(1));
    assert_eq!(tries.load(Ordering::SeqCst), 4);
}

#[test]
fn a_message_to_one_that_cannot_be_built_is_given_up_in_bounded_time() {
    let (seawall, time) = start();
    let may_live = Arc::new(AtomicBool::new(false));
    let allowed = Arc::clone(&may_live);
    let counter = seawall.actor("counter", move || {
        assert!(allowed.load(Ordering::SeqCst), "never");
        Counter::new(&Arc::default())
    });
    let send = Task::pending(counter.send(Add(1)));
    time.advance(secs(5));
    assert_eq!(send.ready(), Err(ActorError::NoAnswer));
    // It is left alone after ten tries within a minute, and tried again half a minute later.
    may_live.store(true, Ordering::SeqCst);
    let mut send = Task::new(counter.send(Add(1)));
    eventually("it is built after all", || {
        time.advance(ms(100));
        match send.poll() {
            // More than one, if it has what was given up before: that may still be done.
            std::task::Poll::Ready(Ok(count)) => count >= 1,
            std::task::Poll::Ready(Err(error)) => {
                assert_eq!(error, ActorError::NoAnswer);
                send = Task::new(counter.send(Add(1)));
                false
            }
            std::task::Poll::Pending => false,
        }
    });
}

#[test]
fn dropping_the_last_handle_stops_it() {
    let (seawall, _) = start();
    let (counter, alive) = counter(&seawall);
    assert_eq!(block_on(counter.send(Add(1))), Ok(1));
    let clone = counter.clone();
    drop(counter);
    assert_eq!(block_on(clone.send(Add(1))), Ok(2));
    drop(clone);
    eventually("it is gone", || alive.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_shutdown_stops_it() {
    let (seawall, _) = start();
    let (counter, alive) = counter(&seawall);
    assert_eq!(block_on(counter.send(Add(1))), Ok(1));
    ready(seawall.shutdown(secs(1)));
    eventually("it is gone", || alive.load(Ordering::SeqCst) == 0);
    assert_eq!(block_on(counter.send(Add(1))), Err(ActorError::Stopped));
    let late = seawall.actor("late", || Idle);
    assert_eq!(late.restarts(), 0);
}

#[test]
fn one_started_after_a_shutdown_is_stopped_from_the_start() {
    let (seawall, _) = start();
    ready(seawall.shutdown(secs(1)));
    let (late, alive) = counter(&seawall);
    assert_eq!(block_on(late.send(Add(1))), Err(ActorError::Stopped));
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn its_death_is_nobody_elses() {
    let (seawall, _) = start();
    let ((one, _), (two, _)) = (counter(&seawall), counter(&seawall));
    assert_eq!(block_on(two.send(Add(1))), Ok(1));
    assert_eq!(block_on(one.send(Die)), Err(ActorError::Died));
    assert_eq!(block_on(two.send(Add(1))), Ok(2));
    assert_eq!(two.restarts(), 0);
}
