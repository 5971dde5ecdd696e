//! Deadlines that calls inherit: of a scope, and of a client.

use std::time::Duration;

use seawall::deadline::{self, Deadline};
use seawall::prelude::*;
use seawall::{CallOutcome, Outcome, State, Time};
use seawall_tests::{Answer, Api, ApiClient, Step, Task, Trouble, World, ready};

use super::build::*;

fn on(world: &World, length: Duration) -> Deadline {
    Deadline::on(&Time::from(world.time.clone()), length)
}

fn exceeded(answer: Answer) -> Duration {
    match answer {
        Err(Trouble::Fault(Fault::DeadlineExceeded { after, .. })) => after,
        other => panic!("{other:?}"),
    }
}

fn world(steps: impl IntoIterator<Item = Step>) -> World {
    World::new(base().build().unwrap(), steps)
}

#[test]
fn a_call_in_a_scope_ends_with_it_and_says_how_long_it_had() {
    let world = world([Step::Hang]);
    let mut call = Task::pending(deadline::scope(on(&world, ms(150)), world.client.write("")));
    world.time.advance(ms(149));
    assert!(call.poll().is_pending());
    world.time.advance(ms(1));
    assert_eq!(exceeded(call.ready()), ms(150));
    world.assert_idle(1, "at the end");
}

#[test]
fn a_call_that_comes_when_nothing_is_left_does_not_reach_the_service() {
    let world = world([]);
    let late = on(&world, ms(100));
    world.time.advance(ms(100));
    exceeded(ready(deadline::scope(late, world.client.write(""))));
    assert_eq!((world.service().seen(), world.calls(CallOutcome::DeadlineExceeded)), (0, 1));
    let snapshot = world.snapshot();
    assert_eq!(snapshot.attempts(Outcome::TimedOut), 0);
}

#[test]
fn a_scope_never_makes_a_call_longer() {
    let world = world([Step::Hang]);
    let mut call = Task::pending(deadline::scope(on(&world, secs(60)), world.client.write("")));
    world.time.advance(secs(1));
    let answer = call.poll();
    assert!(
        matches!(answer, std::task::Poll::Ready(Err(Trouble::Fault(Fault::TimedOut { .. })))),
        "{answer:?}"
    );
}

#[test]
fn the_fallback_answers_within_the_callers_budget() {
    let world = world([Step::Hang]);
    let client = world.client.within(ms(150));
    let mut call = Task::pending(client.cached("ready"));
    // Of 150 ms the fallback keeps half.
    world.time.advance(ms(75));
    assert_eq!(call.poll(), std::task::Poll::Ready(Ok(seawall_tests::SPARE)));
    assert_eq!(world.calls(CallOutcome::Fallback), 1);
}

#[test]
fn a_retry_that_cannot_finish_is_not_begun() {
    // A backoff of 100 ms would leave 40.
    let world = world([Step::Answer(Err(Trouble::Broken))]);
    let answer = ready(deadline::scope(on(&world, ms(140)), world.client.read("")));
    assert_eq!(answer, Err(Trouble::Broken));
    assert_eq!(world.service().seen(), 1);
}

#[test]
fn a_client_within_a_time_is_the_same_client() {
    let world = world([Step::Hang, Step::Answer(Ok(1))]);
    let client = world.client.within(ms(200)).within(ms(500));
    let call = Task::pending(client.write(""));
    world.time.advance(ms(200));
    assert_eq!(exceeded(call.ready()), ms(200), "the shorter of the two");
    assert_eq!(ready(world.client.write("")), Ok(1));
    assert_eq!(world.service().seen(), 2);
}

/// Calls another client, and itself answers with what is left for that.
struct Front(ApiClient<seawall_tests::Scripted>);

#[resilient]
trait Gateway {
    async fn left(&self) -> std::io::Result<Option<Duration>>;
    async fn pass(&self) -> std::io::Result<Option<Duration>>;
}

impl Gateway for Front {
    async fn left(&self) -> std::io::Result<Option<Duration>> {
        Ok(deadline::left())
    }
    async fn pass(&self) -> std::io::Result<Option<Duration>> {
        match self.0.write("").await {
            Err(Trouble::Fault(Fault::DeadlineExceeded { after, .. })) => Ok(Some(after)),
            other => Err(std::io::Error::other(format!("{other:?}"))),
        }
    }
}

#[test]
fn what_a_service_calls_inherits_the_deadline_of_the_call() {
    let world = world([Step::Hang]);
    let front =
        ready(world.seawall.spawn::<GatewayClient<Front>>("front", Front(world.client.clone())));
    let front = front.unwrap();
    assert_eq!(ready(front.left()).unwrap(), None);
    assert_eq!(ready(front.within(ms(300)).left()).unwrap(), Some(ms(300)));
    assert_eq!(deadline::left(), None);
    let within = front.within(ms(300));
    let call = Task::pending(within.pass());
    world.time.advance(ms(300));
    // Both are over at the same moment; the outer one may be told first.
    let answer = call.ready();
    let told = answer.as_ref().map_or_else(ToString::to_string, |after| format!("{after:?}"));
    assert!(told.contains("300ms"), "{told}");
}

#[test]
fn budgets_in_which_nobody_could_answer_open_nothing_however_many_there_are() {
    let mut steps = vec![Step::Later(1, Ok(7)); 30];
    steps.extend(vec![Step::Hang; 100]);
    let world = World::new(base().breaker(trips_after(3)).build().unwrap(), steps);
    let spend = |budget: Duration| {
        let mut call = Task::pending(deadline::scope(on(&world, budget), world.client.write("")));
        world.time.advance(budget);
        if let std::task::Poll::Ready(answer) = call.poll() {
            exceeded(answer);
        }
    };
    for _ in 0..30 {
        let call = Task::pending(world.client.write(""));
        world.time.advance(ms(50));
        assert_eq!(call.ready(), Ok(7));
    }
    world.time.advance(secs(2));
    for _ in 0..20 {
        spend(ms(20));
    }
    assert_eq!(world.handle.state(), State::Closed, "it is known to need 50 ms");
    for _ in 0..20 {
        spend(Duration::from_micros(500));
    }
    assert_eq!(world.handle.state(), State::Closed);
    assert_eq!(world.snapshot().attempts(seawall::Outcome::TimedOut), 40);
}

#[test]
fn an_attempt_that_a_short_budget_ended_says_nothing_by_itself() {
    let world = World::new(base().breaker(trips_after(1)).build().unwrap(), [Step::Hang]);
    let call = Task::pending(deadline::scope(on(&world, ms(150)), world.client.write("")));
    world.time.advance(ms(150));
    exceeded(call.ready());
    assert_eq!(world.handle.state(), State::Closed);
    assert_eq!(world.snapshot().attempts(seawall::Outcome::TimedOut), 1);
}

#[test]
fn an_attempt_whose_timeout_is_all_the_time_there_is_times_out() {
    let policy = base().timeout(secs(1)).deadline(secs(1)).bulkhead(permits(2).max_wait(secs(1)));
    let world = World::new(policy.build().unwrap(), [Step::Hang]);
    let call = Task::pending(world.client.write(""));
    world.time.advance(secs(1));
    let answer = call.ready();
    assert!(matches!(answer, Err(Trouble::Fault(Fault::TimedOut { .. }))), "{answer:?}");
}

#[test]
fn a_call_that_is_dropped_while_it_waits_leaves_its_caller_the_deadline_that_it_had() {
    let world = world([Step::Hang]);
    let left = ready(deadline::scope(on(&world, secs(60)), async {
        let within = world.client.within(secs(2));
        drop(Task::pending(within.write("")));
        deadline::left()
    }));
    assert_eq!(left, Some(secs(60)));
}

async fn the_rest<S>(_: &S, _: &CallError<std::io::Error>) -> std::io::Result<Option<Duration>> {
    seawall_tests::yield_times(1).await;
    Ok(deadline::left())
}

#[resilient]
trait Backed {
    #[call(fallback = the_rest)]
    async fn backed(&self) -> std::io::Result<Option<Duration>>;
}

impl Backed for Front {
    async fn backed(&self) -> std::io::Result<Option<Duration>> {
        Err(std::io::ErrorKind::ConnectionReset.into())
    }
}

#[test]
fn what_a_fallback_calls_inherits_the_deadline_of_the_call_and_its_caller_does_not() {
    let world = world([]);
    let front = Front(world.client.clone());
    let client = ready(world.seawall.spawn::<BackedClient<Front>>("backed", front)).unwrap();
    let client = client.within(secs(2));
    // What is left for the caller itself after each poll of its call, and when that is over.
    let mut seen = Vec::new();
    let call = Task::pending(deadline::scope(on(&world, secs(60)), async {
        let mut call = std::pin::pin!(client.backed());
        let answer = std::future::poll_fn(|cx| {
            let polled = call.as_mut().poll(cx);
            seen.push(deadline::left());
            polled
        });
        let answer = answer.await;
        (answer, deadline::left())
    }));
    let answer = call.ready();
    assert_eq!((answer.0.unwrap(), answer.1), (Some(secs(2)), Some(secs(60))));
    assert_eq!(seen, [Some(secs(60)); 2]);
}
