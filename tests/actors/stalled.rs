//! The supervision thread stalled: an actor of the user's blocks it for 5 s. Calls do not notice.

use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;

use seawall::State;
use seawall::actor::actix::{Actor, Context, Handler, Message};
use seawall::actor::{ActorHandle, Control, ControlError};
use seawall::backpressure::Strategy;
use seawall::breaker::Mode;
use seawall::prelude::*;
use seawall_tests::{Api, Step, Task, Trouble, World, block_on, ready, refused};

use crate::build::*;

/// Blocks its thread until told otherwise.
struct Blocker(Arc<Mutex<mpsc::Receiver<()>>>);

struct Block(mpsc::Sender<()>);

impl Message for Block {
    type Result = ();
}

impl Actor for Blocker {
    type Context = Context<Self>;
}

impl Handler<Block> for Blocker {
    type Result = ();

    fn handle(&mut self, Block(begun): Block, _: &mut Self::Context) {
        begun.send(()).unwrap();
        self.0.lock().unwrap().recv().unwrap();
    }
}

/// Holds the supervision thread up until dropped.
struct Stall {
    release: mpsc::Sender<()>,
    _actor: ActorHandle<Blocker>,
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.release.send(()).unwrap();
    }
}

fn stall(world: &World) -> Stall {
    let (release, released) = mpsc::channel();
    let released = Arc::new(Mutex::new(released));
    let actor = world.seawall.actor("blocker", move || Blocker(Arc::clone(&released)));
    let (begun, begins) = mpsc::channel();
    {
        let mut send = Task::new(actor.send(Block(begun)));
        // The actor may not be up yet; then the message waits for it.
        seawall_tests::eventually("the thread is blocked", || {
            assert!(send.poll().is_pending());
            begins.try_recv().is_ok()
        });
    }
    Stall { release, _actor: actor }
}

fn broken() -> Step {
    Step::Answer(Err(Trouble::Broken))
}

fn world() -> World {
    let policy = base()
        .bulkhead(permits(1).max_wait(secs(3)))
        .mailbox(line(2, Strategy::Block { timeout: secs(3) }))
        .breaker(trips_after(3).first_open_for(secs(2)).open_for(secs(2)))
        .build()
        .unwrap();
    World::new(policy, [])
}

#[test]
fn a_stalled_supervision_thread_stops_no_call_and_wakes_every_waiter() {
    let world = world();
    let stalled = stall(&world);
    // 5 s in steps; at each one a queue forms behind one permit and is served in order.
    for step in 0..50 {
        world.service().then([Step::Later(1, Ok(1)), Step::Later(1, Ok(2)), Step::Later(1, Ok(3))]);
        let holder = Task::pending(world.client.write(""));
        let mut second = Task::pending(world.client.write(""));
        let mut third = Task::pending(world.client.write(""));
        world.time.advance(ms(100));
        assert_eq!(world.service().inside(), 1, "at step {step}");
        assert_eq!(holder.ready(), Ok(1));
        assert!(second.wakes() > 0 && second.poll().is_pending());
        assert_eq!(second.ready(), Ok(2));
        assert!(third.wakes() > 0 && third.poll().is_pending());
        assert_eq!(third.ready(), Ok(3));
    }
    world.assert_idle(150, "after 5 s");
    drop(stalled);
    assert!(block_on(world.handle.tell(Control::Snapshot)).is_ok());
}

#[test]
fn callers_open_the_breaker_flush_the_mailbox_and_move_it_on_without_the_actor() {
    let world = world();
    let stalled = stall(&world);
    world.service().then([broken(), broken(), Step::Later(1, Err(Trouble::Broken))]);
    ready(world.client.write("")).unwrap_err();
    ready(world.client.write("")).unwrap_err();
    let last_straw = Task::pending(world.client.write(""));
    let waiting: Vec<_> = (0..4).map(|_| Task::pending(world.client.write(""))).collect();
    last_straw.ready().unwrap_err();
    world.moves_to(State::Open);
    for call in waiting {
        assert!(call.wakes() > 0, "asleep behind an open breaker");
        assert_eq!(refused(call.ready()), (RejectedBy::Breaker, Some(secs(2))));
    }
    for _ in 0..19 {
        world.time.advance(ms(100));
        assert_eq!(refused(ready(world.client.write(""))).0, RejectedBy::Breaker);
    }
    world.time.advance(ms(100));
    world.service().then([broken()]);
    assert_eq!(ready(world.client.write("")), Err(Trouble::Broken), "the probe");
    world.moves_to(State::HalfOpen);
    world.moves_to(State::Open);
    world.time.advance(secs(2));
    assert_eq!(ready(world.client.write("")), Ok(7));
    world.moves_to(State::HalfOpen);
    world.moves_to(State::Closed);
    drop(stalled);
    assert_eq!(block_on(world.handle.tell(Control::Snapshot)).unwrap().state(), State::Closed);
}

#[test]
fn waits_and_timeouts_end_on_time_without_the_actor() {
    let world = world();
    let _stalled = stall(&world);
    world.service().then([Step::Hang, Step::Hang]);
    let mut holder = Task::pending(world.client.write(""));
    let mut waiting = Task::pending(world.client.write(""));
    world.time.advance(secs(1));
    assert!(holder.wakes() > 0);
    let answer = holder.poll();
    assert!(
        matches!(&answer, Poll::Ready(Err(Trouble::Fault(Fault::TimedOut { .. })))),
        "{answer:?}"
    );
    assert!(waiting.poll().is_pending(), "dispatched with the permit of the other");
    world.time.advance(secs(1));
    let answer = waiting.ready();
    assert!(matches!(answer, Err(Trouble::Fault(Fault::TimedOut { .. }))), "{answer:?}");
    world.assert_idle(2, "at the end");
}

#[test]
fn the_kill_switch_works_at_once_while_an_actor_stalls_the_supervision_thread() {
    let world = world();
    let stalled = stall(&world);
    world.service().then([Step::Later(1, Ok(1))]);
    let holder = Task::pending(world.client.write(""));
    let waiting = Task::pending(world.client.write(""));
    assert_eq!(ready(world.handle.force_open()).unwrap().state(), State::Open);
    assert!(waiting.wakes() > 0, "asleep behind a breaker that is held open");
    assert_eq!(refused(waiting.ready()), (RejectedBy::Breaker, None));
    assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Breaker, None));
    assert_eq!(holder.ready(), Ok(1));
    assert_eq!(ready(world.handle.force_closed()).unwrap().state(), State::Closed);
    assert_eq!(ready(world.handle.observe()).unwrap().breaker.mode, Mode::Observing);
    assert_eq!(ready(world.handle.disable()).unwrap().breaker.mode, Mode::Disabled);
    assert_eq!(ready(world.handle.reset()).unwrap().breaker.mode, Mode::Automatic);
    assert_eq!(ready(world.client.write("")), Ok(7));
    drop(stalled);
}

#[test]
fn a_stalled_actor_does_not_answer_in_time_and_says_so() {
    let world = world();
    let stalled = stall(&world);
    let told = Task::pending(world.handle.tell(Control::Snapshot));
    world.time.advance(secs(5));
    assert_eq!(told.ready().unwrap_err(), ControlError::NoAnswer);
    assert_eq!(world.snapshot().dependency, "api", "reading it needs no actor");
    drop(stalled);
    assert_eq!(block_on(world.handle.force_open()).unwrap().state(), State::Open);
}
