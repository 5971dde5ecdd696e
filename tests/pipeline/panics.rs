//! A panic in the user's code reaches the caller, and leaves nothing behind.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use seawall::prelude::*;
use seawall::{CallOutcome, DependencyHandle, Event, Observer, Outcome, Snapshot, State, Time};
use seawall_tests::{
    Answer, Api, ApiClient, Scripted, Step, Task, Trouble, World, block_on, ready,
};

use super::build::*;

type Client = ApiClient<Scripted>;

fn broken() -> Step {
    Step::Answer(Err(Trouble::Broken))
}

/// Polls the call until the panic comes out, and gives its message.
fn panic_of(mut call: Task<'_, Answer>) -> String {
    for _ in 0..10 {
        match catch_unwind(AssertUnwindSafe(|| call.poll().is_ready())) {
            Ok(ready) => assert!(!ready, "should panic, but answers"),
            Err(panic) => return panic.downcast_ref::<&str>().unwrap().to_string(),
        }
    }
    panic!("neither panics nor answers");
}

/// One call that panics after `before` clean attempts; what is then counted.
#[track_caller]
fn panics(script: Vec<Step>, method: fn(&Client) -> Task<'_, Answer>, message: &str) -> Snapshot {
    let policy = base().rate_limit(tokens(5)).bulkhead(permits(1)).build().unwrap();
    let world = World::new(policy, script);
    assert_eq!(panic_of(method(&world.client)), message);
    world.assert_idle(1, message);
    assert_eq!(world.calls(CallOutcome::Panicked), 1, "{:?}", world.snapshot().methods);
    let after = world.snapshot();
    assert_eq!(ready(world.client.write("")), Ok(7), "the next call works");
    after
}

fn write(client: &Client) -> Task<'_, Answer> {
    Task::new(client.write(""))
}
fn read(client: &Client) -> Task<'_, Answer> {
    Task::new(client.read(""))
}
fn cached(client: &Client) -> Task<'_, Answer> {
    Task::new(client.cached("panic"))
}

/// The attempt panicked, and so says the breaker.
#[track_caller]
fn is_the_services_fault(after: &Snapshot) {
    assert_eq!(after.attempts(Outcome::Panicked), 1);
    assert_eq!(after.breaker.window_failures, 1, "{:?}", after.breaker);
}

#[test]
fn in_the_body_before_there_is_a_future() {
    is_the_services_fault(&panics(vec![Step::PanicInBody], write, "the body panics"));
}

#[test]
fn at_the_first_poll() {
    is_the_services_fault(&panics(vec![Step::PanicAt(0)], write, "the future panics"));
}

#[test]
fn at_a_later_poll() {
    is_the_services_fault(&panics(vec![Step::PanicAt(3)], read, "the future panics"));
}

#[test]
fn in_classify() {
    let bad = Step::Answer(Err(Trouble::BadClass));
    is_the_services_fault(&panics(vec![bad], write, "classify panics"));
}

#[test]
fn in_retry_after() {
    let bad = Step::Answer(Err(Trouble::BadHint));
    is_the_services_fault(&panics(vec![bad.clone()], write, "retry_after panics"));
    is_the_services_fault(&panics(vec![bad], read, "retry_after panics"));
}

#[test]
fn in_retry_if() {
    let bad = Step::Answer(Err(Trouble::BadRetry));
    let after = panics(vec![bad], read, "retry_if panics");
    assert_eq!(after.attempts(Outcome::Failure), 1, "the attempt had ended with an answer");
    assert_eq!(after.breaker.window_failures, 1);
}

#[test]
fn in_a_fallback() {
    let after = panics(vec![broken()], cached, "the fallback panics");
    assert_eq!(after.attempts(Outcome::Failure), 1);
    assert_eq!(after.breaker.window_failures, 1, "the fallback is not the service");
}

#[test]
fn in_a_fallback_that_has_waited() {
    let call: fn(&Client) -> Task<'_, Answer> = |client| Task::new(client.cached("panic later"));
    panics(vec![broken()], call, "the fallback panics");
}

#[test]
fn in_a_fallback_before_there_is_a_future() {
    let call: fn(&Client) -> Task<'_, Answer> = |client| Task::new(client.cached("panic in body"));
    let after = panics(vec![broken()], call, "the fallback panics");
    assert_eq!(after.attempts(Outcome::Failure), 1);
}

#[test]
fn in_the_destructor_of_an_attempt_whose_time_is_up() {
    let policy = base().bulkhead(permits(1)).build().unwrap();
    let world = World::new(policy, [Step::PanicWhenDropped]);
    let mut call = Task::pending(world.client.write(""));
    world.time.advance(secs(1));
    let panic = catch_unwind(AssertUnwindSafe(|| call.poll())).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the destructor panics"));
    drop(call);
    world.assert_idle(1, "after the destructor");
    assert_eq!(world.calls(CallOutcome::Panicked), 1, "{:?}", world.snapshot().methods);
    is_the_services_fault(&world.snapshot());
    assert_eq!(ready(world.client.write("")), Ok(7), "the next call works");
}

#[test]
fn enough_of_them_open_the_breaker() {
    let world = World::new(base().build().unwrap(), vec![Step::PanicAt(0); 3]);
    for _ in 0..3 {
        panic_of(write(&world.client));
    }
    assert_eq!(world.handle.state(), State::Open);
}

#[test]
fn as_a_probe_it_reopens_the_breaker_and_gives_its_place_back() {
    let world = World::new(base().build().unwrap(), vec![broken(); 3]);
    for _ in 0..3 {
        let _ = ready(world.client.write(""));
    }
    world.time.advance(secs(5));
    world.service().then([Step::PanicAt(0)]);
    panic_of(write(&world.client));
    assert_eq!(world.handle.state(), State::Open);
    world.assert_idle(4, "after the probe");
    world.time.advance(secs(5));
    assert_eq!(ready(world.client.write("")), Ok(7));
    assert_eq!(world.handle.state(), State::Closed);
}

/// Panics at everything it is told.
struct Hysterical;

impl Observer for Hysterical {
    fn on_event(&self, _: &Event) {
        panic!("the observer panics");
    }
}

fn with_hysterical_observers(script: Vec<Step>) -> (Client, DependencyHandle, Seawall, Told) {
    let (tell, told) = seawall_tests::Tell::new();
    let seawall = Seawall::builder()
        .time(Time::manual())
        .observer(Hysterical)
        .observer(tell)
        .policy("api", base().build().unwrap())
        .start()
        .unwrap();
    let client = ready(seawall.spawn("api", Scripted::new(script))).unwrap();
    let handle = seawall.dependency("api").unwrap();
    (client, handle, seawall, told)
}

type Told = std::sync::mpsc::Receiver<Event>;

#[test]
fn an_observer_that_panics_disturbs_neither_calls_nor_other_observers() {
    let (client, handle, _seawall, told) = with_hysterical_observers(vec![broken(); 3]);
    for _ in 0..3 {
        assert_eq!(ready(client.write("")), Err(Trouble::Broken));
    }
    assert_eq!(handle.state(), State::Open);
    assert!(matches!(told.try_recv(), Ok(Event::Transition { .. })), "the other one was not told");
    assert_eq!(handle.snapshot().calls(CallOutcome::Failure), 3);
}

/// The observer is told while the user's panic unwinds: two panics at once must not abort the process.
#[test]
fn an_observer_that_panics_while_the_call_panics_does_not_abort_the_process() {
    let (client, handle, _seawall, _told) = with_hysterical_observers(vec![Step::PanicAt(1); 3]);
    for _ in 0..3 {
        assert_eq!(panic_of(Task::new(client.write(""))), "the future panics");
    }
    assert_eq!(handle.state(), State::Open);
    assert_eq!((handle.snapshot().active, handle.snapshot().pending), (0, 0));
}

#[test]
fn a_caller_that_panics_for_reasons_of_its_own_cancels_its_calls() {
    let world = World::new(base().build().unwrap(), [Step::Hang]);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _call = Task::pending(world.client.write(""));
        panic!("the caller panics");
    }));
    assert!(panicked.is_err());
    world.assert_idle(1, "after the unwind");
    assert_eq!(world.calls(CallOutcome::Cancelled), 1, "the service did not panic");
    assert_eq!(world.snapshot().breaker.window_failures, 0);
}

#[test]
fn a_refused_call_may_panic_on_its_own_answer() {
    let world = World::new(base().build().unwrap(), [broken()]);
    let mut call = Task::new(async {
        let answer: Answer = world.client.write("").await;
        answer.unwrap()
    });
    assert!(catch_unwind(AssertUnwindSafe(|| call.poll())).is_err());
    drop(call);
    assert_eq!(world.calls(CallOutcome::Failure), 1);
    world.assert_idle(1, "after it");
}

struct BadWaker;

impl Wake for BadWaker {
    fn wake(self: Arc<Self>) {
        panic!("the waker panics");
    }
}

#[test]
fn a_waker_that_panics_leaves_nobody_else_asleep() {
    let world = World::new(base().bulkhead(permits(1)).build().unwrap(), [Step::Hang]);
    let _holder = Task::pending(world.client.write(""));
    let mut bad = pin!(world.client.write(""));
    let waker = Waker::from(Arc::new(BadWaker));
    assert!(bad.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let good = Task::pending(world.client.write(""));
    block_on(world.handle.force_open()).unwrap();
    assert!(good.wakes() > 0, "asleep behind an open breaker");
}
