//! The event stream: what is told, to whom, and until when.

use std::task::Poll;
use std::time::Duration;

use seawall::clock::Moment;
use seawall::event::SAMPLE_EVERY;
use seawall::prelude::*;
use seawall::telemetry::{EventStream, Received, TryRecvError};
use seawall::{CallOutcome, Event, Outcome, StartError, State};
use seawall_tests::{Api, SPARE, Step, Task, Trouble, World, block_on, ready, refused};

use crate::build::*;

fn world(script: impl IntoIterator<Item = Step>) -> World {
    World::new(base().build().unwrap(), script)
}

fn broken() -> Step {
    Step::Answer(Err(Trouble::Broken))
}

fn trip(world: &World) {
    world.service().then(vec![broken(); 3]);
    for _ in 0..3 {
        ready(world.client.write("")).unwrap_err();
    }
}

/// All but attempts that failed, which have tests of their own.
fn everything(stream: &mut EventStream) -> Vec<Event> {
    let mut all = Vec::new();
    while let Ok(Received { event, lost, .. }) = stream.try_recv() {
        assert_eq!(lost, 0);
        if !matches!(event, Event::AttemptFailed { .. }) {
            all.push(event);
        }
    }
    all
}

/// In a few words.
fn words(event: &Event) -> String {
    match event {
        Event::Transition { transition, .. } => format!("to {}", transition.to),
        Event::CommandExecuted { command, .. } => format!("told to {command}"),
        Event::Refused { by, .. } => format!("refused by {}", by.as_str()),
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn each_subscriber_hears_orders_moves_and_refusals_in_the_order_in_which_they_came() {
    let world = world([]);
    let mut streams = [world.seawall.events(), world.seawall.events()];
    trip(&world);
    ready(world.client.write("")).unwrap_err();
    block_on(world.handle.reset()).unwrap();
    block_on(world.handle.force_open()).unwrap();
    block_on(world.handle.force_closed()).unwrap();
    block_on(world.handle.disable()).unwrap();
    block_on(world.handle.observe()).unwrap();
    for stream in &mut streams {
        let told: Vec<_> = everything(stream).iter().map(words).collect();
        assert_eq!(
            told,
            [
                "to open",
                "refused by breaker",
                "told to reset",
                "to closed",
                "told to force_open",
                "to open",
                "told to force_closed",
                "to closed",
                "told to disable",
                "told to observe",
            ]
        );
    }
    assert!(everything(&mut world.seawall.events()).is_empty(), "nothing from before");
}

#[test]
fn a_million_refusals_tell_one_a_second_and_leave_none_out() {
    const REFUSALS: u64 = 1_000_000;
    let world = world([]);
    block_on(world.handle.force_open()).unwrap();
    let mut stream = world.seawall.events();
    for at in 0..REFUSALS {
        // Ten seconds in all.
        if at % 100 == 0 {
            world.time.advance(Duration::from_millis(1));
        }
        assert_eq!(refused(ready(world.client.write(""))), (RejectedBy::Breaker, None));
    }
    let told = everything(&mut stream);
    assert_eq!(told.len(), 10);
    let mut accounted = 0;
    for pair in told.windows(2) {
        assert!(pair[1].at().since(pair[0].at()) >= SAMPLE_EVERY);
    }
    for event in &told {
        let Event::Refused { by, unreported, .. } = event else { unreachable!("{event:?}") };
        assert_eq!(*by, RejectedBy::Breaker);
        accounted += unreported + 1;
    }
    world.time.advance(SAMPLE_EVERY);
    ready(world.client.write("")).unwrap_err();
    let [Event::Refused { unreported, .. }] = everything(&mut stream)[..] else {
        unreachable!("the rest is told with the next one");
    };
    assert_eq!(accounted + unreported + 1, REFUSALS + 1);
    assert_eq!(world.snapshot().rejections(RejectedBy::Breaker), REFUSALS + 1);
}

#[test]
fn each_guard_is_sampled_by_itself() {
    let policy = base().rate_limit(tokens(3)).build().unwrap();
    let world = World::new(policy, vec![broken(); 3]);
    let mut stream = world.seawall.events();
    ready(world.client.write("")).unwrap_err();
    ready(world.client.write("")).unwrap_err();
    assert_eq!(ready(world.client.write("")), Err(Trouble::Broken));
    ready(world.client.write("")).unwrap_err();
    block_on(world.handle.reset()).unwrap();
    ready(world.client.write("")).unwrap_err();
    let told: Vec<_> = everything(&mut stream).iter().map(words).collect();
    let expected =
        ["to open", "refused by breaker", "told to reset", "to closed", "refused by rate_limit"];
    assert_eq!(told, expected);
}

#[test]
fn attempts_that_fail_or_time_out_are_told_of_at_once_and_then_once_a_second_by_outcome() {
    let policy = base().breaker(trips_after(1_000)).build().unwrap();
    let mut steps = vec![broken(); 20];
    steps.extend(vec![Step::Hang; 3]);
    steps.extend(vec![broken(); 1]);
    let world = World::new(policy, steps);
    let mut stream = world.seawall.events();
    for _ in 0..20 {
        ready(world.client.write("")).unwrap_err();
    }
    for _ in 0..3 {
        let mut hung = Task::pending(world.client.write(""));
        world.time.advance(secs(1));
        assert!(hung.poll().is_ready());
    }
    ready(world.client.write("")).unwrap_err();
    let mut told = Vec::new();
    while let Ok(Received { event, .. }) = stream.try_recv() {
        if let Event::AttemptFailed { method, outcome, took, unreported, .. } = event {
            told.push((method, outcome, took, unreported));
        }
    }
    let [second, zero] = [secs(1), Duration::ZERO];
    assert_eq!(
        told,
        [
            ("write", Outcome::Failure, zero, 0),
            ("write", Outcome::TimedOut, second, 0),
            ("write", Outcome::TimedOut, second, 0),
            ("write", Outcome::TimedOut, second, 0),
            ("write", Outcome::Failure, zero, 19),
        ]
    );
}

#[test]
fn fallbacks_are_told_of_with_why_they_answered() {
    let policy = base().breaker(trips_after(2)).build().unwrap();
    let world = World::new(policy, vec![broken(), Step::Hang]);
    let mut stream = world.seawall.events();
    assert_eq!(ready(world.client.cached("ready")), Ok(SPARE));
    world.time.advance(SAMPLE_EVERY);
    let mut hung = Task::pending(world.client.cached("ready"));
    world.time.advance(secs(1));
    assert_eq!(hung.poll(), Poll::Ready(Ok(SPARE)));
    assert_eq!(ready(world.client.cached("ready")), Ok(SPARE), "not told of: in the same second");
    world.time.advance(SAMPLE_EVERY);
    assert_eq!(ready(world.client.cached("ready")), Ok(SPARE));
    let mut told = Vec::new();
    while let Ok(Received { event, .. }) = stream.try_recv() {
        if let Event::FellBack { method, instead_of, refused_by, unreported, .. } = event {
            told.push((method, instead_of, refused_by, unreported));
        }
    }
    assert_eq!(
        told,
        [
            ("cached", CallOutcome::Failure, None, 0),
            ("cached", CallOutcome::TimedOut, None, 0),
            ("cached", CallOutcome::Rejected, Some(RejectedBy::Breaker), 1),
        ]
    );
}

#[test]
fn slow_calls_are_told_of_with_how_they_ended() {
    let policy = base().breaker(trips_after(9).slow_call(ms(200))).build().unwrap();
    let world = World::new(policy, vec![Step::Later(1, Ok(1)), Step::Hang, Step::Later(1, Ok(2))]);
    let mut stream = world.seawall.events();
    let mut late = Task::pending(world.client.write(""));
    world.time.advance(ms(200));
    assert_eq!(late.poll(), Poll::Ready(Ok(1)));
    let mut hung = Task::pending(world.client.write(""));
    world.time.advance(secs(1));
    assert!(matches!(hung.poll(), Poll::Ready(Err(Trouble::Fault(Fault::TimedOut { .. })))));
    let quick = Task::pending(world.client.write(""));
    world.time.advance(ms(199));
    assert_eq!(quick.ready(), Ok(2));
    let event = |at: u64, took, outcome| Event::SlowCall {
        at: Moment::from_nanos(at * 1_000_000),
        dependency: "api".into(),
        method: "write",
        took: ms(took),
        outcome,
        unreported: 0,
    };
    let expected = [event(200, 200, Outcome::Success), event(1_200, 1_000, Outcome::TimedOut)];
    assert_eq!(everything(&mut stream), expected);
}

#[test]
fn slow_calls_are_sampled_for_each_method() {
    let policy = base().breaker(trips_after(9).slow_call(Duration::from_nanos(1))).build().unwrap();
    let world = World::new(policy, vec![Step::Later(1, Ok(1)); 30]);
    let mut stream = world.seawall.events();
    for _ in 0..10 {
        for call in [Task::pending(world.client.write("")), Task::pending(world.client.cached(""))]
        {
            world.time.advance(ms(1));
            assert_eq!(call.ready(), Ok(1));
        }
    }
    world.time.advance(SAMPLE_EVERY);
    let last = Task::pending(world.client.write(""));
    world.time.advance(ms(1));
    assert_eq!(last.ready(), Ok(1));
    let told: Vec<_> = everything(&mut stream)
        .into_iter()
        .map(|event| match event {
            Event::SlowCall { method, unreported, .. } => (method, unreported),
            other => unreachable!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [("write", 0), ("cached", 0), ("write", 9)]);
}

#[test]
fn a_slow_subscriber_loses_a_counted_part_and_holds_nobody_up() {
    let world = World::with(base().build().unwrap(), [], |builder| builder.event_capacity(10));
    let (mut slow, mut quick) = (world.seawall.events(), world.seawall.events());
    let mut heard = 0;
    for _ in 0..100 {
        block_on(world.handle.reset()).unwrap();
        heard += everything(&mut quick).len();
    }
    assert_eq!(heard, 100);
    let first = slow.try_recv().unwrap();
    assert_eq!(first.lost, 90);
    assert_eq!(everything(&mut slow).len(), 9);
    assert_eq!(slow.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_stream_ends_after_the_last_event_of_a_shutdown() {
    let world = world([]);
    let mut stream = world.seawall.events();
    trip(&world);
    let mut waiting = world.seawall.events();
    let mut next = Task::pending(waiting.recv());
    ready(world.seawall.shutdown(secs(1)));
    assert_eq!(next.poll(), Poll::Ready(None));
    drop(next);
    assert!(matches!(
        block_on(stream.recv()),
        Some(Received { event: Event::AttemptFailed { .. }, .. })
    ));
    assert!(matches!(
        block_on(stream.recv()),
        Some(Received { event: Event::Transition { .. }, .. })
    ));
    assert_eq!(block_on(stream.recv()), None);
    assert_eq!(block_on(world.seawall.events().recv()), None, "nothing is left to be heard");
}

#[test]
fn a_stream_keeps_nothing_running_and_ends_with_the_last_client() {
    let World { seawall, client, handle, .. } = world([]);
    let mut stream = seawall.events();
    let mut next = Task::pending(stream.recv());
    drop(seawall);
    assert!(next.poll().is_pending(), "the client keeps it running");
    drop(client);
    assert_eq!(next.poll(), Poll::Ready(None), "though an operator still has a handle");
    assert_eq!(handle.state(), State::Closed);
}

#[test]
fn a_capacity_out_of_bounds_starts_nothing() {
    let error = Seawall::builder().event_capacity(0).start().unwrap_err();
    assert!(matches!(error, StartError::Settings(_)), "{error:?}");
    assert_eq!(error.to_string(), "event_capacity = 0: must be from 1 to 1048576");
}
