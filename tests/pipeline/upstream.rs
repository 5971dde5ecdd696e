//! What upstream decides and sees: priorities, and how much waits.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::Stream;
use seawall::Priority;
use seawall::backpressure::Strategy;
use seawall::deadline::prioritized;
use seawall::prelude::*;
use seawall_tests::{Answer, Api, Step, Task, World, ready, refused};

use super::build::*;

/// One permit, and room for ten calls of each class.
fn world(by_priority: bool) -> World {
    let line = line(10, Strategy::Error).priorities(by_priority);
    let policy = base().timeout(secs(3_600)).deadline(secs(3_600));
    let policy = policy.bulkhead(permits(1).max_wait(secs(3_600))).mailbox(line).build().unwrap();
    World::new(policy, [])
}

fn call(world: &World, priority: Priority) -> Task<'_, Answer> {
    Task::pending(prioritized(priority, world.client.write("")))
}

/// Has the permit, and keeps it.
fn holder(world: &World) -> Task<'_, Answer> {
    world.service().then([Step::Hang]);
    Task::pending(world.client.write(""))
}

/// In which order these are served, by their numbers in the order in which they came.
fn served(by_priority: bool, came: &[Priority]) -> Vec<usize> {
    let world = world(by_priority);
    world.service().then(vec![Step::Later(1, Ok(1)); came.len() + 1]);
    let mut holder = call(&world, Priority::NORMAL);
    let waiting = came.iter().map(|priority| call(&world, *priority)).enumerate();
    let mut waiting: Vec<_> = waiting.collect();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        assert_eq!(holder.ready(), Ok(1));
        let next = waiting.iter().position(|(_, call)| call.wakes() > 0).unwrap();
        let (number, mut call) = waiting.remove(next);
        assert!(call.poll().is_pending(), "it is with the service now");
        order.push(number);
        holder = call;
    }
    assert_eq!(holder.ready(), Ok(1));
    world.assert_idle(came.len() as u64 + 1, "at the end");
    order
}

#[test]
fn the_most_important_call_is_served_first_where_the_policy_goes_by_priorities() {
    let came = [Priority::SHEDDABLE, Priority::NORMAL, Priority::CRITICAL];
    assert_eq!(served(true, &came), [2, 1, 0]);
    assert_eq!(served(false, &came), [0, 1, 2]);
}

#[test]
fn a_normal_call_is_served_however_many_critical_ones_wait() {
    let mut came = vec![Priority::NORMAL];
    came.extend([Priority::CRITICAL; 10]);
    let order = served(true, &came);
    // One permit in ten goes to the class that is second.
    assert!(order.iter().position(|number| *number == 0).unwrap() < 10, "{order:?}");
}

#[test]
fn in_an_overload_that_lasts_what_may_be_shed_is_shed_first_and_told_when_to_come_back() {
    let world = world(true);
    world.service().then(vec![Step::Later(1, Ok(1)); 2_000]);
    let mut holder = call(&world, Priority::NORMAL);
    let (mut waiting, mut shed) = (Vec::<Task<'_, Answer>>::new(), [0, 0]);
    // One call is served in 100 ms; a critical one comes in twice that time, and six times as many that may be shed.
    for step in 0..600 {
        world.time.advance(ms(100));
        assert_eq!(holder.ready(), Ok(1));
        let seen = world.service().seen();
        let served = waiting.iter_mut().position(|call| {
            assert!(call.poll().is_pending());
            world.service().seen() > seen
        });
        holder = match served {
            Some(at) => waiting.remove(at),
            None => call(&world, Priority::NORMAL),
        };
        let critical = (step % 2 == 0).then_some(Priority::CRITICAL);
        for priority in critical.into_iter().chain([Priority::SHEDDABLE; 3]) {
            let mut came = Task::new(prioritized(priority, world.client.write("")));
            let Poll::Ready(answer) = came.poll() else {
                waiting.push(came);
                continue;
            };
            if let (RejectedBy::Shed, after) = refused(answer) {
                assert!(after.is_some(), "when to come back");
                shed[usize::from(priority == Priority::SHEDDABLE)] += 1;
            }
        }
    }
    assert!(shed[1] > 600, "sheddable calls of 1,800: {shed:?}");
    // The share overshoots now and then.
    assert!(shed[0] <= 6, "critical ones of 300: {shed:?}");
    let share = world.snapshot().shed_share.unwrap();
    assert!(share > 0.3 && share < 1.0, "{share}");
}

fn next(changes: std::pin::Pin<&mut impl Stream<Item = f64>>) -> Poll<Option<f64>> {
    changes.poll_next(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn pressure_is_how_full_the_mailbox_is_and_is_told_by_tenths() {
    let world = world(false);
    let mut changes = pin!(world.handle.pressure_changes());
    assert_eq!(next(changes.as_mut()), Poll::Ready(Some(0.0)), "first as it is");
    assert_eq!(next(changes.as_mut()), Poll::Pending);
    let _holder = holder(&world);
    assert_eq!((world.handle.pressure(), next(changes.as_mut())), (0.0, Poll::Pending));
    let mut waiting = Vec::new();
    for tenth in 1..=10 {
        waiting.push(Task::pending(world.client.write("")));
        let pressure = f64::from(tenth) / 10.0;
        assert_eq!(world.handle.pressure(), pressure);
        assert_eq!(next(changes.as_mut()), Poll::Ready(Some(pressure)));
    }
    let mut ready_again = Task::pending(world.handle.ready());
    drop(waiting.pop());
    assert!(ready_again.wakes() > 0);
    assert!(ready_again.poll().is_ready());
    assert_eq!(next(changes.as_mut()), Poll::Ready(Some(0.9)));
    // Emptied at once: only the end is told.
    drop(waiting);
    assert_eq!(next(changes.as_mut()), Poll::Ready(Some(0.0)));
}

#[test]
fn a_small_change_of_pressure_is_told_only_at_the_ends() {
    let policy = base().bulkhead(permits(1)).mailbox(line(100, Strategy::Error)).build().unwrap();
    let world = World::new(policy, []);
    let mut changes = pin!(world.handle.pressure_changes());
    assert_eq!(next(changes.as_mut()), Poll::Ready(Some(0.0)));
    let _holder = holder(&world);
    let waits =
        |count| (0..count).map(|_| Task::pending(world.client.write(""))).collect::<Vec<_>>();
    let nine = waits(9);
    assert_eq!(next(changes.as_mut()), Poll::Pending, "less than a tenth");
    let tenth = waits(1);
    assert_eq!(next(changes.as_mut()), Poll::Ready(Some(0.1)));
    drop(tenth);
    assert_eq!(next(changes.as_mut()), Poll::Pending);
    drop(nine);
    assert_eq!(next(changes.as_mut()), Poll::Ready(Some(0.0)), "nothing waits any more");
    let (ten, five) = (waits(10), waits(5));
    assert_eq!(next(changes.as_mut()), Poll::Ready(Some(0.15)));
    drop(ten);
    assert_eq!(next(changes.as_mut()), Poll::Ready(Some(0.05)));
    drop(five);
    assert_eq!(next(changes.as_mut()), Poll::Ready(Some(0.0)), "though that is half a tenth");
    assert_eq!(next(changes.as_mut()), Poll::Pending, "once");
}

#[test]
fn those_who_watch_the_pressure_are_told_when_calls_are_refused_and_when_nobody_calls_any_more() {
    let World { client, handle, time, seawall, .. } = world(false);
    let mut changes = Task::new(async {
        let mut changes = pin!(handle.pressure_changes());
        let mut seen = Vec::new();
        while let Some(pressure) = std::future::poll_fn(|cx| changes.as_mut().poll_next(cx)).await {
            seen.push(pressure);
        }
        seen
    });
    assert!(changes.poll().is_pending());
    let woken = changes.wakes();
    drop(client);
    assert!(changes.wakes() > woken, "its last client is gone");
    assert_eq!(changes.poll(), Poll::Ready(vec![0.0]));
    drop((time, seawall));
}

#[test]
fn behind_an_open_breaker_pressure_is_greatest_and_nobody_is_ready() {
    let world = world(false);
    ready(world.handle.force_open()).unwrap();
    assert_eq!(world.handle.pressure(), 1.0);
    let mut waits = Task::pending(world.handle.ready());
    world.time.advance(Duration::from_secs(3_600));
    assert!(waits.poll().is_pending(), "it was opened by hand");
    ready(world.handle.reset()).unwrap();
    assert!(waits.wakes() > 0 && waits.poll().is_ready());
}
