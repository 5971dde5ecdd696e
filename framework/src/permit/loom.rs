//! The permits and their queue in every order of threads: `cargo test --release loom`, see ARCHITECTURE.
//!
//! A request that is forgotten in the queue waits for ever, which is reported as a deadlock.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use ::loom::future::block_on;
use ::loom::thread;

use super::semaphore::{Joins, Semaphore};
use super::*;
use crate::backpressure::Strategy;
use crate::sync::model;

/// Permits and how many are out.
struct World {
    bulkhead: Bulkhead,
    inside: AtomicU32,
}

fn world(permits: u32, capacity: u32, on_full: Strategy) -> Arc<World> {
    let config = bulkhead::Config::builder().max_concurrent(permits).max_wait(Duration::MAX);
    let mailbox = backpressure::Config::builder().capacity(capacity).on_full(on_full);
    let bulkhead =
        Bulkhead::new(&config.build().unwrap(), &mailbox.build().unwrap(), Time::manual().into());
    Arc::new(World { bulkhead, inside: AtomicU32::new(0) })
}

impl World {
    fn works(&self, permit: Permit<'_>) {
        let weight = permit.weight();
        let before = self.inside.fetch_add(weight, Ordering::SeqCst);
        assert!(before + weight <= self.bulkhead.limit(), "one too many");
        thread::yield_now();
        self.inside.fetch_sub(weight, Ordering::SeqCst);
    }

    /// Waits as long as it takes.
    fn waits(&self, weight: u32) -> bool {
        let permit = block_on(self.bulkhead.acquire_many(weight));
        permit.is_ok_and(|permit| {
            self.works(permit);
            true
        })
    }

    fn tries(&self) {
        if let Some(permit) = self.bulkhead.try_acquire() {
            self.works(permit);
        }
    }

    /// Gives up as soon as it has to wait.
    fn is_impatient(&self) {
        let mut request = pin!(self.bulkhead.acquire());
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(permit) = request.as_mut().poll(&mut cx) {
            self.works(permit.unwrap());
        }
    }

    /// Everything was given back, and nobody is left in the line.
    fn is_empty(&self) {
        assert_eq!((self.bulkhead.active(), self.bulkhead.waiting()), (0, 0));
        assert!(self.bulkhead.try_acquire_many(self.bulkhead.limit()).is_some());
    }
}

fn spawn<T: 'static>(
    world: &Arc<World>,
    work: impl FnOnce(&World) -> T + 'static,
) -> thread::JoinHandle<T> {
    let world = Arc::clone(world);
    thread::spawn(move || work(&world))
}

#[test]
fn loom_whoever_comes_too_late_for_the_last_permit_keeps_nobody_waiting() {
    model("permit: 2 come for 1 permit, 1 waits", || {
        let world = world(1, 4, Strategy::Error);
        let waits = spawn(&world, |world| assert!(world.waits(1)));
        let other = spawn(&world, World::tries);
        world.tries();
        other.join().unwrap();
        waits.join().unwrap();
        world.is_empty();
    });
}

#[test]
fn loom_a_permit_given_back_as_two_join_goes_to_both_in_turn() {
    model("permit: 2 join as 1 permit comes back", || {
        let world = world(1, 4, Strategy::Error);
        let held = world.bulkhead.try_acquire();
        let others = [(); 2].map(|()| spawn(&world, |world| assert!(world.waits(1))));
        drop(held);
        for other in others {
            other.join().unwrap();
        }
        world.is_empty();
    });
}

#[test]
fn loom_a_request_that_is_dropped_as_it_is_served_passes_the_permit_on() {
    model("permit: 1 gives up, 1 waits, 1 permit comes back", || {
        let world = world(1, 4, Strategy::Error);
        let held = world.bulkhead.try_acquire();
        let impatient = spawn(&world, World::is_impatient);
        let patient = spawn(&world, |world| assert!(world.waits(1)));
        drop(held);
        impatient.join().unwrap();
        patient.join().unwrap();
        world.is_empty();
    });
}

#[test]
fn loom_light_ones_behind_a_heavy_one_are_not_forgotten() {
    model("permit: 1 for both and 1 for one, 1 of 2 permits comes back", || {
        let world = world(2, 4, Strategy::Error);
        let held = world.bulkhead.try_acquire();
        let heavy = spawn(&world, |world| assert!(world.waits(2)));
        let light = spawn(&world, |world| assert!(world.waits(1)));
        drop(held);
        heavy.join().unwrap();
        light.join().unwrap();
        world.is_empty();
    });
}

#[test]
fn loom_each_of_two_who_give_one_back_serves_one() {
    model("permit: 2 wait, 2 permits come back", || {
        let semaphore = Arc::new(Semaphore::new(2, &backpressure::Config::default()));
        assert!(semaphore.try_many(2));
        let waiting = [(); 2].map(|()| match semaphore.join(1, Waker::noop()) {
            Joins::Waiting { place, .. } => place,
            joined => panic!("has to wait: {joined:?}"),
        });
        let gives = [(); 2].map(|()| {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || semaphore.give_back(1))
        });
        for gives in gives {
            gives.join().unwrap();
        }
        let mut cx = Context::from_waker(Waker::noop());
        let ends = waiting.map(|place| semaphore.poll(place, &mut cx));
        assert_eq!(ends, [Poll::Ready(Ok(())); 2]);
        assert_eq!((semaphore.permits().active(), semaphore.waiting()), (2, 0));
    });
}

#[test]
fn loom_one_that_is_dropped_to_make_room_hears_so_and_has_no_permit() {
    model("permit: 2 join a line of 1 as 1 permit comes back", || {
        let world = world(1, 1, Strategy::DropOldest);
        let held = world.bulkhead.try_acquire();
        let others = [(); 2].map(|()| spawn(&world, |world| world.waits(1)));
        drop(held);
        let ends = others.map(|other| other.join().unwrap());
        assert!(ends.contains(&true));
        world.is_empty();
    });
}

#[test]
fn loom_a_request_that_moves_to_another_task_is_woken_there() {
    model("permit: 1 moves, 1 permit comes back", || {
        let mailbox = backpressure::Config::default();
        let semaphore = Arc::new(Semaphore::new(1, &mailbox));
        assert!(semaphore.try_one());
        let Joins::Waiting { place, .. } = semaphore.join(1, Waker::noop()) else {
            panic!("has to wait")
        };
        let gives = Arc::clone(&semaphore);
        let holder = thread::spawn(move || gives.give_back(1));
        assert_eq!(block_on(poll_fn(|cx| semaphore.poll(place, cx))), Ok(()));
        holder.join().unwrap();
        assert_eq!((semaphore.permits().active(), semaphore.waiting()), (1, 0));
    });
}
