//! Shutting down: what is in flight drains, what is not done in time is ended and told so.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use seawall::actor::ControlError;
use seawall::error::UnavailableCause;
use seawall::prelude::*;
use seawall::{CallOutcome, Outcome, SpawnError, Time};
use seawall_tests::{
    Answer, Api, ApiClient, Scripted, Step, Task, Trouble, World, block_on, ready,
};

use crate::build::*;

#[track_caller]
fn is_shut_down(answer: Answer) {
    assert!(
        matches!(
            &answer,
            Err(Trouble::Fault(Fault::Unavailable { cause: UnavailableCause::ShutDown, .. }))
        ),
        "{answer:?}"
    );
}

fn world(script: impl IntoIterator<Item = Step>) -> World {
    World::new(base().build().unwrap(), script)
}

#[test]
fn with_nothing_in_flight_it_is_over_at_once_and_later_calls_are_told() {
    let world = world([]);
    let report = ready(world.seawall.shutdown(secs(10)));
    assert!(report.is_clean());
    assert_eq!(report.dependencies.len(), 1);
    assert_eq!(report.dependencies[0].dependency, "api");
    is_shut_down(ready(world.client.write("")));
    is_shut_down(ready(world.client.read("")));
    assert_eq!(
        ready(world.client.cached("ready")),
        Ok(seawall_tests::SPARE),
        "degraded, but answered"
    );
    assert_eq!(world.calls(CallOutcome::Unavailable), 2);
    assert_eq!(world.service().seen(), 0);
    let spawned = ready(world.seawall.spawn::<ApiClient<_>>("other", Scripted::default()));
    assert_eq!(spawned.unwrap_err(), SpawnError::ShutDown { name: "other".into() });
    assert_eq!(block_on(world.handle.reset()).unwrap_err(), ControlError::Dismissed);
}

#[test]
fn calls_in_flight_drain_in_whatever_they_are_waiting_for() {
    let world =
        world([Step::Later(1, Ok(1)), Step::Answer(Err(Trouble::Broken)), Step::Later(2, Ok(2))]);
    let answering = Task::pending(world.client.write(""));
    let mut backing_off = Task::pending(world.client.read(""));
    let mut other = Task::pending(world.client.write(""));
    let mut waiting = Task::pending(world.client.write(""));
    let mut shutdown = Task::pending(world.seawall.shutdown(secs(5)));
    is_shut_down(ready(world.client.write("")));
    assert_eq!(answering.ready(), Ok(1));
    assert!(other.poll().is_pending());
    world.service().then([Step::Later(1, Ok(3))]);
    assert!(waiting.poll().is_pending(), "served, though no newcomer is");
    assert!(shutdown.poll().is_pending());
    assert_eq!(waiting.ready(), Ok(3));
    world.time.advance(ms(100));
    assert_eq!(other.ready(), Ok(2));
    assert!(shutdown.poll().is_pending(), "one is still backing off");
    world.service().then([Step::Later(1, Ok(4))]);
    assert!(backing_off.poll().is_pending());
    let woken = shutdown.wakes();
    assert_eq!(backing_off.ready(), Ok(4));
    assert!(shutdown.wakes() > woken, "the last one out wakes it");
    assert!(shutdown.ready().is_clean());
}

#[test]
fn a_call_that_goes_away_while_it_waits_for_its_retry_wakes_it() {
    let world = world([Step::Answer(Err(Trouble::Broken))]);
    let backing_off = Task::pending(world.client.read(""));
    let shutdown = Task::pending(world.seawall.shutdown(secs(5)));
    let woken = shutdown.wakes();
    drop(backing_off);
    assert!(shutdown.wakes() > woken, "it sleeps on");
    assert!(shutdown.ready().is_clean());
}

#[test]
fn an_attempt_that_it_ends_says_nothing_however_slow_it_was() {
    let slow = seawall::breaker::Config::builder().failures(3).slow_call(ms(200));
    let world = World::new(base().breaker(slow).build().unwrap(), [Step::Hang]);
    let call = Task::pending(world.client.write(""));
    let shutdown = Task::pending(world.seawall.shutdown(ms(500)));
    world.time.advance(ms(500));
    assert_eq!(shutdown.ready().cancelled(), 1);
    is_shut_down(call.ready());
    let now = world.snapshot();
    assert_eq!((now.attempts(Outcome::Cancelled), now.breaker.window_failures), (1, 0));
}

#[test]
fn it_does_not_wait_for_permits_that_are_kept_for_a_grace() {
    let grace = seawall::bulkhead::Config::builder().max_concurrent(2).grace(secs(60));
    let world = World::new(base().bulkhead(grace).build().unwrap(), [Step::Hang, Step::Hang]);
    let (dropped, mut last) =
        (Task::pending(world.client.write("")), Task::pending(world.client.write("")));
    world.time.advance(ms(10));
    drop(dropped);
    assert_eq!((world.snapshot().active, world.snapshot().kept_permits), (2, Some(1)));
    let mut shutdown = Task::pending(world.seawall.shutdown(secs(5)));
    world.time.advance(ms(10));
    assert!(shutdown.poll().is_pending() && last.poll().is_pending());
    let woken = shutdown.wakes();
    drop(last);
    assert!(shutdown.wakes() > woken);
    assert!(shutdown.ready().is_clean());
}

#[test]
fn what_is_not_done_in_time_is_woken_ended_and_reported() {
    let world = world([Step::Hang, Step::Hang]);
    let attempts =
        [Task::pending(world.client.write("")), Task::pending(world.client.cached("later"))];
    let waiting = Task::pending(world.client.write(""));
    let mut shutdown = Task::pending(world.seawall.shutdown(ms(500)));
    world.time.advance(ms(499));
    assert!(shutdown.poll().is_pending());
    world.time.advance(ms(1));
    let report = shutdown.ready();
    assert_eq!((report.cancelled(), report.is_clean()), (3, false));
    assert_eq!(report.dependencies[0].cancelled, 3);
    assert!(waiting.wakes() > 0);
    is_shut_down(waiting.ready());
    for (number, call) in attempts.into_iter().enumerate() {
        assert!(call.wakes() > 0, "call {number} sleeps on");
        // A fallback that waits is not waited for any more.
        is_shut_down(call.ready());
    }
    world.assert_idle(3, "at the end");
    assert_eq!(world.snapshot().attempts(Outcome::Cancelled), 2);
    assert_eq!(world.snapshot().breaker.window_failures, 0, "not the service's fault");
}

#[test]
fn backing_off_and_falling_back_end_too() {
    let world = world([Step::Answer(Err(Trouble::Broken)), Step::Answer(Err(Trouble::Broken))]);
    let backing_off = Task::pending(world.client.read(""));
    let falling_back = Task::pending(world.client.cached("never"));
    let shutdown = Task::pending(world.seawall.shutdown(ms(50)));
    world.time.advance(ms(50));
    assert_eq!(shutdown.ready().cancelled(), 2);
    assert!(backing_off.wakes() > 0 && falling_back.wakes() > 0);
    is_shut_down(backing_off.ready());
    assert_eq!(falling_back.ready(), Err(Trouble::Broken));
    world.assert_idle(2, "at the end");
}

#[test]
fn with_no_limit_at_all_everything_in_flight_is_ended_at_once() {
    let world = world([Step::Hang]);
    let call = Task::pending(world.client.write(""));
    assert_eq!(ready(world.seawall.shutdown(secs(0))).cancelled(), 1);
    is_shut_down(call.ready());
}

#[test]
fn a_second_shutdown_waits_for_the_first_and_says_the_same() {
    let world = world([Step::Hang]);
    let call = Task::pending(world.client.write(""));
    let mut first = Task::pending(world.seawall.shutdown(ms(500)));
    let second = Task::pending(world.seawall.shutdown(secs(60)));
    world.time.advance(ms(500));
    let Poll::Ready(report) = first.poll() else { panic!("over its limit") };
    assert_eq!(report.cancelled(), 1);
    assert!(second.wakes() > 0);
    assert_eq!(second.ready(), report);
    assert_eq!(ready(world.seawall.clone().shutdown(secs(1))), report, "and once more, later");
    is_shut_down(call.ready());
}

#[test]
fn a_shutdown_dropped_midway_is_carried_on_by_the_next() {
    let world = world([Step::Later(1, Ok(1))]);
    let call = Task::pending(world.client.write(""));
    let first = Task::pending(world.seawall.shutdown(secs(5)));
    let mut second = Task::pending(world.seawall.shutdown(secs(5)));
    drop(first);
    is_shut_down(ready(world.client.write("")));
    assert!(second.wakes() > 0, "nobody carries on");
    assert!(second.poll().is_pending());
    assert_eq!(call.ready(), Ok(1), "it still drains");
    assert!(second.ready().is_clean());
}

#[test]
fn dropped_midway_and_never_taken_up_again_it_takes_no_new_calls_but_ends_none() {
    let world = world([Step::Later(1, Ok(1))]);
    let call = Task::pending(world.client.write(""));
    drop(Task::pending(world.seawall.shutdown(secs(5))));
    world.time.advance(ms(900));
    assert_eq!(call.ready(), Ok(1));
    is_shut_down(ready(world.client.write("")));
}

/// Does its work within one poll, and then some.
struct Busy {
    entered: mpsc::Sender<()>,
    pends: bool,
    go_on: Arc<Mutex<mpsc::Receiver<()>>>,
}

#[seawall::resilient]
trait Work {
    async fn work(&self) -> Answer;
}

impl Work for Busy {
    async fn work(&self) -> Answer {
        self.entered.send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
        if self.pends {
            tokio::task::yield_now().await;
        }
        Ok(1)
    }
}

fn a_busy_call_is_in_flight(pends: bool) {
    let time = Time::manual();
    let seawall = Seawall::builder().time(&time).start().unwrap();
    let (entered, enters) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    let service = Busy { entered, pends, go_on: Arc::new(Mutex::new(goes_on)) };
    let client: WorkClient<_> = ready(seawall.spawn("work", service)).unwrap();
    let caller = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(client.work())
    });
    enters.recv().unwrap();
    let mut shutdown = Task::new(seawall.shutdown(secs(5)));
    let over = shutdown.poll();
    go_on.send(()).unwrap();
    let answer = caller.join().unwrap();
    assert!(over.is_pending(), "ended a call that it does not know of: {answer:?}");
    assert_eq!(answer, Ok(1));
    assert!(shutdown.wakes() > 0, "the last one out wakes it");
    assert!(shutdown.ready().is_clean());
}

#[test]
fn a_call_busy_in_its_first_poll_is_in_flight_too() {
    a_busy_call_is_in_flight(true);
}

#[test]
fn one_that_never_waits_wakes_the_shutdown_too() {
    a_busy_call_is_in_flight(false);
}
