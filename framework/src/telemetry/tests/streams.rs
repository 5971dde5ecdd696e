//! Subscribers of the event stream: fast, slow, gone, broken.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use proptest::prelude::*;

use crate::clock::Moment;
use crate::event::{Event, Observer};
use crate::telemetry::{EventStream, Events, TryRecvError};

/// The event of this number.
fn event(number: u64) -> Event {
    Event::Reloaded {
        at: Moment::from_nanos(number),
        dependency: "payments".into(),
        changes: [].into(),
    }
}

fn number(event: &Event) -> u64 {
    event.at().as_nanos()
}

fn events(capacity: usize) -> Arc<Events> {
    Arc::new(Events::new(capacity).unwrap())
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll(stream: &mut EventStream, woken: &Arc<Woken>) -> Poll<Option<u64>> {
    let waker = Waker::from(Arc::clone(woken));
    let received = pin!(stream.recv()).poll(&mut Context::from_waker(&waker));
    received.map(|received| received.map(|received| number(&received.event)))
}

#[derive(Clone, Debug)]
enum Step {
    Send(u8),
    Take(usize, u8),
    Subscribe,
    Leave(usize),
}

proptest! {
    /// Against a subscriber that has a list of all events of its own.
    #[test]
    fn each_subscriber_gets_the_latest_and_the_exact_count_of_the_rest(
        capacity in 1_usize..9,
        steps in prop::collection::vec(
            prop_oneof![
                3 => (0_u8..12).prop_map(Step::Send),
                3 => (0_usize..4, 0_u8..12).prop_map(|(whose, many)| Step::Take(whose, many)),
                1 => Just(Step::Subscribe),
                1 => (0_usize..4).prop_map(Step::Leave),
            ],
            1..60,
        ),
    ) {
        let hub = events(capacity);
        let mut sent = 0_u64;
        // The stream, and the number of the next event it has not accounted for.
        let mut streams: Vec<(EventStream, u64)> = Vec::new();
        for step in steps {
            match step {
                Step::Send(many) => for _ in 0..many {
                    hub.on_event(&event(sent));
                    sent += 1;
                },
                Step::Subscribe => streams.push((hub.subscribe(), sent)),
                Step::Leave(whose) if whose < streams.len() => drop(streams.swap_remove(whose)),
                Step::Take(whose, many) if whose < streams.len() => for _ in 0..many {
                    let (stream, next) = &mut streams[whose];
                    let Ok(received) = stream.try_recv() else {
                        prop_assert_eq!(*next, sent, "an empty stream has been given everything");
                        break;
                    };
                    let oldest = sent.saturating_sub(capacity as u64).max(*next);
                    prop_assert_eq!(received.lost, oldest - *next);
                    prop_assert_eq!(number(&received.event), oldest);
                    *next = oldest + 1;
                },
                Step::Leave(_) | Step::Take(..) => {}
            }
        }
    }
}

#[test]
fn a_stream_that_waits_is_woken_and_ends_after_the_last_event() {
    let (hub, woken) = (events(4), Arc::new(Woken::default()));
    let mut stream = hub.subscribe();
    assert_eq!(poll(&mut stream, &woken), Poll::Pending);
    assert_eq!(poll(&mut stream, &woken), Poll::Pending);
    hub.on_event(&event(1));
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    hub.on_event(&event(2));
    assert_eq!(woken.0.load(Ordering::SeqCst), 1, "nobody waits");
    assert_eq!(poll(&mut stream, &woken), Poll::Ready(Some(1)));
    assert_eq!(poll(&mut stream, &woken), Poll::Ready(Some(2)));
    assert_eq!(poll(&mut stream, &woken), Poll::Pending);
    hub.on_event(&event(3));
    hub.end();
    hub.on_event(&event(4));
    assert_eq!(poll(&mut stream, &woken), Poll::Ready(Some(3)));
    assert_eq!(poll(&mut stream, &woken), Poll::Ready(None));
    assert_eq!(stream.try_recv(), Err(TryRecvError::Ended));
    assert_eq!(poll(&mut hub.subscribe(), &woken), Poll::Ready(None), "there is nothing to hear");
}

#[test]
fn the_end_wakes_all_who_wait() {
    let (hub, woken) = (events(4), Arc::new(Woken::default()));
    let mut stream = hub.subscribe();
    assert_eq!(poll(&mut stream, &woken), Poll::Pending);
    hub.end();
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert_eq!(poll(&mut stream, &woken), Poll::Ready(None));
}

#[test]
fn a_dropped_recv_has_taken_nothing() {
    let (hub, woken) = (events(4), Arc::new(Woken::default()));
    let mut stream = hub.subscribe();
    for number in 0..100 {
        assert_eq!(poll(&mut stream, &woken), Poll::Pending, "and dropped");
        hub.on_event(&event(number));
        assert_eq!(poll(&mut stream, &woken), Poll::Ready(Some(number)));
    }
}

/// Panics when woken, as a broken executor might.
struct Broken;

impl Wake for Broken {
    fn wake(self: Arc<Self>) {
        panic!("the waker panics");
    }
}

#[test]
fn one_that_panics_when_woken_or_is_leaked_harms_nobody() {
    let (hub, woken) = (events(4), Arc::new(Woken::default()));
    let (mut broken, mut leaked, mut good) = (hub.subscribe(), hub.subscribe(), hub.subscribe());
    let waker = Waker::from(Arc::new(Broken));
    assert!(pin!(broken.recv()).poll(&mut Context::from_waker(&waker)).is_pending());
    assert!(pin!(leaked.recv()).poll(&mut Context::from_waker(&waker)).is_pending());
    std::mem::forget(leaked);
    assert_eq!(poll(&mut good, &woken), Poll::Pending);
    hub.on_event(&event(0));
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    for number in 1..10 {
        hub.on_event(&event(number));
    }
    let received = good.try_recv().unwrap();
    assert_eq!((number(&received.event), received.lost), (6, 6));
    assert_eq!(broken.try_recv().map(|received| received.lost), Ok(6));
}

#[test]
fn with_nobody_subscribed_nothing_is_kept() {
    let hub = events(4);
    hub.on_event(&event(0));
    assert!(hub.subscribe().try_recv().is_err(), "it was not kept");
    let (stream, other) = (hub.subscribe(), hub.subscribe());
    let name: Arc<str> = "edge".into();
    let held = Event::LimitRefused {
        at: Moment::ZERO,
        limit: Arc::clone(&name),
        policy: "default".into(),
        unreported: 0,
    };
    hub.on_event(&held);
    assert_eq!(Arc::strong_count(&name), 3);
    drop(stream);
    assert_eq!(Arc::strong_count(&name), 3);
    drop(other);
    assert_eq!(Arc::strong_count(&name), 2, "the ring let go of it");
}

/// Threads tell while others listen, some of them slowly.
#[test]
fn received_and_lost_add_up_to_sent_in_one_order_for_all() {
    const TELLERS: u64 = 3;
    const EACH: u64 = 5_000;
    let hub = events(64);
    let mut streams: Vec<_> = (0..3).map(|_| hub.subscribe()).collect();
    let over = AtomicBool::new(false);
    let heard: Vec<(u64, Vec<u64>)> = thread::scope(|scope| {
        let listening: Vec<_> = streams
            .iter_mut()
            .enumerate()
            .map(|(slowness, stream)| {
                let over = &over;
                scope.spawn(move || {
                    let (mut lost, mut heard) = (0, Vec::new());
                    loop {
                        match stream.try_recv() {
                            Ok(received) => {
                                lost += received.lost;
                                heard.push(number(&received.event));
                            }
                            Err(TryRecvError::Ended) => return (lost, heard),
                            Err(TryRecvError::Empty) => thread::yield_now(),
                        }
                        // The slow ones read nothing until all has been told.
                        while slowness > 1 && !over.load(Ordering::SeqCst) {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let telling: Vec<_> = (0..TELLERS)
            .map(|teller| {
                let hub = &hub;
                scope.spawn(move || {
                    (0..EACH).for_each(|at| hub.on_event(&event(teller * EACH + at)))
                })
            })
            .collect();
        telling.into_iter().for_each(|teller| teller.join().unwrap());
        over.store(true, Ordering::SeqCst);
        hub.end();
        listening.into_iter().map(|listener| listener.join().unwrap()).collect()
    });
    for (lost, heard) in &heard {
        assert_eq!(lost + heard.len() as u64, TELLERS * EACH);
        for teller in 0..TELLERS {
            let of_one = heard.iter().filter(|&&number| number / EACH == teller);
            assert!(of_one.is_sorted(), "what one thread tells comes in order");
        }
    }
    // What two of them have both heard they have heard in the same order.
    let both = |a: usize, b: usize| {
        let other: BTreeSet<u64> = heard[b].1.iter().copied().collect();
        heard[a].1.iter().copied().filter(|it| other.contains(it)).collect::<Vec<_>>()
    };
    assert_eq!(both(0, 1), both(1, 0));
}

#[test]
fn a_capacity_out_of_bounds_is_refused_with_what_is_allowed() {
    for capacity in [0, 1_048_577] {
        let error = Events::new(capacity).unwrap_err().to_string();
        assert_eq!(error, format!("event_capacity = {capacity}: must be from 1 to 1048576"));
    }
}
