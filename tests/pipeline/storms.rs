//! Anything in any order: calls of every kind, outcomes, hangs, panics, callers that leave, time, other
//! policies, orders by hand. At the end nothing is held, and the breaker is not stuck.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;
use seawall::breaker::{Config, Enforcement, HalfOpenMode, Window, adaptive};
use seawall::prelude::*;
use seawall::{Command, State};
use seawall_tests::{Answer, Api, Step, Task, Trouble, World, block_on, ready};

use super::build::*;

#[derive(Clone, Debug)]
enum Act {
    /// A call of this method begins, is polled once, and finds the service so.
    Begin(usize, Step),
    /// One that has begun is polled.
    Poll(usize),
    /// Or dropped.
    Leave(usize),
    Advance(Duration),
    Reload(usize),
    Command(Command),
}

fn steps() -> impl Strategy<Value = Step> {
    let answer = || {
        prop_oneof![
            6 => Just(Ok(1)),
            6 => Just(Err(Trouble::Broken)),
            1 => Just(Err(Trouble::Final)),
            1 => Just(Err(Trouble::Busy(secs(7)))),
            1 => Just(Err(Trouble::Expected)),
            1 => Just(Err(Trouble::NotFound)),
            1 => Just(Err(Trouble::BadClass)),
            1 => Just(Err(Trouble::BadRetry)),
            1 => Just(Err(Trouble::BadHint)),
        ]
    };
    prop_oneof![
        8 => answer().prop_map(Step::Answer),
        4 => (1u32..4, answer()).prop_map(|(polls, answer)| Step::Later(polls, answer)),
        4 => Just(Step::Hang),
        1 => Just(Step::PanicInBody),
        1 => (0u32..3).prop_map(Step::PanicAt),
        1 => Just(Step::PanicWhenDropped),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let times = prop_oneof![
        4 => 1u64..400,
        3 => 400u64..3_000,
        2 => 3_000u64..12_000,
        1 => 12_000u64..40_000,
    ];
    let act = prop_oneof![
        10 => (0..4usize, steps()).prop_map(|(method, step)| Act::Begin(method, step)),
        5 => (0..8usize).prop_map(Act::Poll),
        3 => (0..8usize).prop_map(Act::Leave),
        5 => times.prop_map(|millis| Act::Advance(ms(millis))),
        1 => (0..policies().len()).prop_map(Act::Reload),
        1 => prop::sample::select(Command::ALL.to_vec()).prop_map(Act::Command),
    ];
    prop::collection::vec(act, 1..80)
}

/// No opening lasts longer, whatever the policy, and no probe is waited for longer.
const LONGEST: Duration = secs(30);

fn policies() -> Vec<seawall::policy::Builder> {
    let rate = || {
        Config::builder().failure_rate(0.5).min_calls(3).first_open_for(secs(3)).open_for(secs(3))
    };
    let normal = adaptive::Config::builder().min_calls(3).alpha(0.01).build().unwrap();
    let by = |breaker: seawall::breaker::Builder| base().breaker(breaker.max_open_for(LONGEST));
    vec![
        by(trips_after(3)),
        by(trips_after(1).probe_life(secs(2))).bulkhead(permits(1)),
        by(trips_after(2).open_growth(2.0).open_jitter(0.5)).bulkhead(permits(3)),
        by(rate().window(Window::Calls(10)).half_open_calls(2)),
        by(rate()
            .window(Window::Time(secs(10)))
            .half_open(HalfOpenMode::AllProbes)
            .half_open_calls(3)),
        by(rate().half_open(HalfOpenMode::Early).slow_call(ms(500)).slow_call_rate(0.5)),
        by(trips_after(2).ramp(0.1, secs(20))),
        by(Config::builder().adaptive(normal).first_open_for(secs(2)).open_for(secs(2))),
        by(trips_after(1).enforcement(Enforcement::Observe)),
        by(trips_after(1).enforcement(Enforcement::Disabled)),
        by(trips_after(3).half_open(HalfOpenMode::OneProbe))
            .mailbox(line(1, seawall::backpressure::Strategy::Error)),
    ]
}

/// A call that is under way. Whatever panics in it, panics to its caller.
type Call<'a> = Task<'a, Answer>;

/// The call, if it goes on.
fn poll(mut call: Call<'_>) -> Option<Call<'_>> {
    let polled = catch_unwind(AssertUnwindSafe(|| call.poll()));
    match polled {
        Ok(Poll::Pending) => Some(call),
        Ok(Poll::Ready(_)) | Err(_) => {
            leave(call);
            None
        }
    }
}

fn leave(call: Call<'_>) {
    // What its destructor panics with is its caller's.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(call)));
}

fn advance(world: &World, by: Duration) {
    world.time.advance(by);
}

fn begin(world: &World, method: usize) -> Call<'_> {
    match method {
        0 => Task::new(world.client.write("")),
        1 => Task::new(world.client.read("")),
        2 => Task::new(world.client.cached("later")),
        _ => Task::new(world.client.both("ready")),
    }
}

fn execute(world: &World, command: Command) {
    let handle = &world.handle;
    let done = match command {
        Command::ForceOpen => block_on(handle.force_open()),
        Command::ForceClosed => block_on(handle.force_closed()),
        Command::Disable => block_on(handle.disable()),
        Command::Observe => block_on(handle.observe()),
        _ => block_on(handle.reset()),
    };
    done.unwrap();
}

/// Every call comes to an end by itself, by its deadline at the latest.
fn wait_for_all(world: &World, mut calls: Vec<Call<'_>>) {
    for _ in 0..100 {
        calls = calls.into_iter().filter_map(poll).collect();
        if calls.is_empty() {
            return;
        }
        advance(world, ms(500));
    }
    unreachable!("{} calls hang\n{:#?}", calls.len(), world.snapshot());
}

fn play(world: &World, acts: Vec<Act>, they_wait: bool) -> u64 {
    let policies: Vec<_> = policies().into_iter().map(|it| it.build().unwrap()).collect();
    let (mut calls, mut begun) = (Vec::new(), 0);
    for act in acts {
        match act {
            Act::Begin(method, step) => {
                world.service().then([step]);
                begun += 1;
                calls.extend(poll(begin(world, method)));
            }
            Act::Poll(which) if !calls.is_empty() => {
                let call = calls.remove(which % calls.len());
                calls.extend(poll(call));
            }
            Act::Leave(which) if !calls.is_empty() => leave(calls.remove(which % calls.len())),
            Act::Poll(_) | Act::Leave(_) => {}
            Act::Advance(by) => advance(world, by),
            Act::Reload(which) => {
                world.handle.set_policy(policies[which].clone());
            }
            Act::Command(what) => execute(world, what),
        }
        let now = world.snapshot();
        assert!(now.breaker.probes <= 5, "{now:#?}");
    }
    if they_wait {
        wait_for_all(world, calls);
    } else {
        calls.into_iter().for_each(leave);
    }
    begun
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_is_held_and_a_healthy_service_is_served_again(
        first in 0..policies().len(),
        acts in acts(),
        they_wait in any::<bool>(),
    ) {
        let is_held = acts.iter().rev().find_map(|act| match act {
            Act::Command(command) => Some(*command != Command::Reset),
            _ => None,
        });
        let world = World::new(policies().remove(first).build().unwrap(), []);
        let mut begun = play(&world, acts, they_wait);
        world.assert_idle(begun, "at the end");
        // The service is well. The one that gave an order takes it back; nobody else has to do a thing.
        world.service().forget_script();
        if is_held == Some(true) {
            execute(&world, Command::Reset);
        }
        // Open times, and the lives of probes, are over. Refused it may be twice more: a success may be the
        // one that makes those calls enough of which others failed; and after it there may be a ramp.
        advance(&world, LONGEST + ms(1));
        let (mut refusals, mut served) = (0, 0);
        while served < 8 {
            begun += 1;
            match ready(world.client.write("")) {
                Ok(7) => served += 1,
                Err(Trouble::Fault(Fault::Rejected { by: RejectedBy::Breaker, .. })) => {
                    (refusals, served) = (refusals + 1, 0);
                    prop_assert!(refusals <= 2, "{:#?}", world.snapshot());
                    advance(&world, LONGEST + ms(1));
                }
                other => prop_assert!(false, "{other:?}\n{:#?}", world.snapshot()),
            }
        }
        prop_assert_eq!(world.handle.state(), State::Closed);
        world.assert_idle(begun, "when it is well again");
    }
}
