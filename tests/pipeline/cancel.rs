//! A call dropped at every one of its awaits leaves nothing behind.
//!
//! Each shape of call is driven step by step: polled, and between two polls the world moves on (time
//! to the next timer, or the service by one poll). Then the same again, dropped after 0, 1, 2 … polls,
//! until it is polled to its end.

use std::task::Poll;

use seawall::backpressure::Strategy;
use seawall::limit::{self, Config};
use seawall::prelude::*;
use seawall::{CallOutcome, State};
use seawall_tests::{Answer, Api, ApiClient, Scripted, Step, Task, Trouble, World, ready, refused};

use super::build::*;

type Client = ApiClient<Scripted>;

/// Tokens at the start of every shape; none come in.
const TOKENS: u64 = 12;

/// A way for a call to go.
struct Shape {
    name: &'static str,
    policy: seawall::policy::Builder,
    script: Vec<Step>,
    /// Breaks the service first, so that the call is the probe.
    as_probe: bool,
    /// Other calls that hold permits while this one runs, and end one by one as time moves.
    holding: u32,
    method: fn(&Client) -> Task<'_, Answer>,
    /// How it ends when it is not dropped.
    end: CallOutcome,
}

fn write(client: &Client) -> Task<'_, Answer> {
    Task::new(client.write("ready"))
}
fn read(client: &Client) -> Task<'_, Answer> {
    Task::new(client.read("ready"))
}
fn cached_later(client: &Client) -> Task<'_, Answer> {
    Task::new(client.cached("later"))
}
fn cached_never(client: &Client) -> Task<'_, Answer> {
    Task::new(client.cached("never"))
}
fn both_later(client: &Client) -> Task<'_, Answer> {
    Task::new(client.both("later"))
}

fn shape(name: &'static str, script: impl Into<Vec<Step>>, end: CallOutcome) -> Shape {
    Shape {
        name,
        policy: base(),
        script: script.into(),
        as_probe: false,
        holding: 0,
        method: write,
        end,
    }
}

fn broken(polls: u32) -> Step {
    Step::Later(polls, Err(Trouble::Broken))
}

fn shapes() -> Vec<Shape> {
    let good = || Step::Later(3, Ok(1));
    vec![
        shape("answered at once", [], CallOutcome::Success),
        shape("pending attempt", [good()], CallOutcome::Success),
        shape("attempt that times out", [Step::Hang], CallOutcome::TimedOut),
        Shape { holding: 2, ..shape("waiting in the mailbox", [good()], CallOutcome::Success) },
        Shape {
            holding: 3,
            policy: base().mailbox(line(1, Strategy::Block { timeout: secs(3) })),
            ..shape("blocked behind a full mailbox", [good()], CallOutcome::Success)
        },
        Shape {
            holding: 2,
            policy: base().bulkhead(permits(2).max_wait(ms(50))),
            ..shape("waiting in vain", [good()], CallOutcome::Rejected)
        },
        Shape {
            method: read,
            ..shape("backing off twice", [broken(2), broken(0), good()], CallOutcome::Success)
        },
        Shape {
            method: read,
            policy: base().breaker(trips_after(10)),
            ..shape("in vain", [Step::Hang, broken(1), Step::Hang], CallOutcome::TimedOut)
        },
        Shape { method: cached_later, ..shape("falling back", [broken(1)], CallOutcome::Fallback) },
        Shape {
            method: cached_never,
            ..shape("falling back in vain", [broken(1)], CallOutcome::Failure)
        },
        Shape { as_probe: true, ..shape("half-open probe", [good()], CallOutcome::Success) },
        Shape {
            as_probe: true,
            ..shape("half-open probe that fails", [broken(2)], CallOutcome::Failure)
        },
        Shape {
            holding: 2,
            method: both_later,
            ..shape(
                "waiting, failing, backing off, failing, falling back",
                [broken(1), broken(1), broken(1)],
                CallOutcome::Fallback,
            )
        },
    ]
}

#[test]
fn a_call_dropped_at_any_await_leaves_nothing_behind() {
    for number in 0..shapes().len() {
        for polls in 0.. {
            // Built anew each time: a world is used once.
            let shape = shapes().remove(number);
            let what = format!("{}, dropped after {polls} polls", shape.name);
            assert!(polls < 100, "{what}: never ends");
            if run(shape, polls, &what) {
                break;
            }
        }
    }
}

/// True when the call came to its own end.
fn run(shape: Shape, polls: usize, what: &str) -> bool {
    // Of a window: a bucket's token that was held for a while is whole again only as much later.
    let limit = Config::fixed_window(TOKENS, limit::MAX_WINDOW);
    let policy = shape.policy.rate_limit(limit).build().unwrap();
    let world = World::new(policy, []);
    let mut counted = 0;
    if shape.as_probe {
        world.service().then(vec![broken(0); 3]);
        for _ in 0..3 {
            ready(world.client.write("")).unwrap_err();
        }
        counted += 3;
        assert_eq!(world.handle.state(), State::Open);
        world.time.advance(secs(5));
    }
    world.service().then(vec![Step::Hang; shape.holding as usize]);
    let other = || Task::pending(world.client.write(""));
    let mut holding: Vec<_> = (0..shape.holding).map(|_| other()).collect();
    counted += u64::from(shape.holding);
    // Those that wait with it come to the service before it does.
    world.service().then(shape.script.iter().cloned());

    let mut call = (shape.method)(&world.client);
    let mut ended = false;
    for step in 0..polls {
        if let Poll::Ready(answer) = call.poll() {
            let end = world.snapshot().calls(shape.end);
            assert_eq!(end, u64::from(shape.as_probe && shape.end == CallOutcome::Failure) * 3 + 1);
            drop(answer);
            ended = true;
            break;
        }
        // By turns: a timer, and those who hold permits.
        if step % 2 == 0 {
            if let Some(next) = world.time.next_deadline() {
                let by = next.since(world.time.now());
                world.time.advance(by.min(ms(400)));
            }
        } else if shape.end != CallOutcome::Rejected {
            drop((!holding.is_empty()).then(|| holding.remove(0)));
            holding.iter_mut().for_each(|call| drop(call.poll()));
        }
    }
    counted += u64::from(polls > 0);
    drop(call);
    drop(holding);
    world.assert_idle(counted, what);
    still_works(&world, what);
    ended
}

/// A following call gets through, as the probe if need be; and the tokens are those that were spent.
#[track_caller]
fn still_works(world: &World, what: &str) {
    world.service().forget_script();
    if world.handle.state() == State::Open {
        world.time.advance(secs(5));
    }
    let before = world.service().seen();
    assert!(ready(world.client.write("")).is_ok(), "{what}: the next call");
    assert_eq!(world.service().seen(), before + 1);
    assert_eq!(world.handle.state(), State::Closed, "{what}: the breaker");
    let mut left = TOKENS - u64::from(world.service().seen());
    loop {
        match ready(world.client.write("")) {
            Ok(_) => left -= 1,
            refusal => {
                assert_eq!(refused(refusal).0, RejectedBy::RateLimit, "{what}");
                break;
            }
        }
    }
    assert_eq!(left, 0, "{what}: tokens that were neither spent nor given back");
}
