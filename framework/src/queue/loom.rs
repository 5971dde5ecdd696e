//! The queue's locks and wake-ups in every order of threads: `cargo test --release loom`, see ARCHITECTURE.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ::loom::future::block_on;
use ::loom::thread;

use super::BackpressureQueue;
use crate::sync::model;
use crate::time::Time;

fn queue(capacity: u32) -> BackpressureQueue<u32> {
    BackpressureQueue::builder().capacity(capacity).time(&Time::manual()).build().unwrap()
}

#[test]
fn loom_a_consumer_hears_of_every_item_and_of_the_end() {
    model("queue: get against put and close", || {
        let queue = queue(1);
        let producer = queue.clone();
        let puts = thread::spawn(move || {
            let first = block_on(producer.put(1)).is_ok();
            let second = block_on(producer.put(2)).is_ok();
            producer.close();
            assert!(first && second);
        });
        assert_eq!(block_on(queue.get()), Some(1));
        assert_eq!(block_on(queue.get()), Some(2));
        assert_eq!(block_on(queue.get()), None);
        puts.join().unwrap();
    });
}

#[test]
fn loom_a_consumer_that_is_dropped_passes_its_wake_up_on() {
    model("queue: dropped get against put", || {
        let queue = queue(2);
        let (producer, waits) = (queue.clone(), queue.clone());
        let mut dropped = Box::pin(async move { waits.get().await });
        let polled = dropped.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Pending);
        let put = thread::spawn(move || drop(producer.try_put(7)));
        let gets = queue.clone();
        let got = thread::spawn(move || block_on(gets.get()));
        drop(dropped);
        put.join().unwrap();
        assert_eq!(got.join().unwrap(), Some(7));
    });
}

#[test]
fn loom_a_blocked_put_is_in_or_has_its_item() {
    model("queue: blocked put against get and close", || {
        let queue = queue(1);
        assert!(queue.try_put(1).is_ok());
        let taker = queue.clone();
        let takes = thread::spawn(move || {
            let taken = taker.try_get();
            taker.close();
            u32::from(taken.is_ok())
        });
        let put = queue.put(2);
        let is_in = match block_on(pin!(put)) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.item, 2);
                false
            }
        };
        let taken = takes.join().unwrap();
        let counts = queue.counts();
        assert_eq!(counts.waiting, 1 - taken + u32::from(is_in));
        let rest = u64::from(counts.waiting) + counts.processed + counts.dropped;
        assert_eq!(counts.received, rest);
    });
}
