use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_core::Stream;
use futures_sink::Sink;
use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::backpressure::Order;
use crate::time::{ManualTime, Time};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn queue(capacity: u32, strategy: Strategy<u32>) -> (BackpressureQueue<u32>, ManualTime) {
    let time = Time::manual();
    let builder = BackpressureQueue::builder().capacity(capacity).strategy(strategy);
    (builder.time(&time).build().unwrap(), time)
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Whether a task was woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Polls, and hands out whether this task was woken since.
fn watch<F: Future>(future: Pin<&mut F>) -> (Poll<F::Output>, Arc<Flag>) {
    let flag = Arc::new(Flag::default());
    let polled = future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(&flag))));
    (polled, flag)
}

fn kind<T>(done: Result<Put<T>, PutError<T>>) -> PutErrorKind {
    done.err().unwrap().kind
}

fn is_whole(counts: Counts) -> bool {
    let now = u64::from(counts.waiting) + u64::from(counts.blocked_now);
    counts.received == counts.processed + counts.dropped + counts.merged + now
}

#[test]
fn block_waits_for_room_and_moves_up_in_order() {
    let (queue, _) = queue(1, Strategy::block());
    assert_eq!(queue.try_put(1), Ok(Put::Accepted));
    let (mut second, mut third) = (pin!(queue.put(2)), pin!(queue.put(3)));
    let (polled, woken) = watch(second.as_mut());
    assert!(polled.is_pending() && poll(third.as_mut()).is_pending());
    assert_eq!((queue.counts().waiting, queue.counts().blocked_now), (1, 2));
    assert_eq!(queue.try_get(), Ok(1));
    assert!(woken.0.load(Ordering::Relaxed));
    assert_eq!(poll(second), Poll::Ready(Ok(Put::Accepted)));
    assert!(poll(third.as_mut()).is_pending());
    assert_eq!((queue.try_get(), queue.try_get()), (Ok(2), Ok(3)));
    assert_eq!(poll(third), Poll::Ready(Ok(Put::Accepted)), "it is in, and even taken already");
    assert_eq!((queue.counts().blocked, queue.counts().processed), (2, 3));
}

#[test]
fn a_blocked_put_that_is_dropped_takes_its_item_along_and_one_that_has_room_does_not() {
    let (queue, _) = queue(1, Strategy::block());
    let _ = queue.try_put(1);
    {
        let mut dropped = pin!(queue.put(2));
        assert!(poll(dropped.as_mut()).is_pending());
    }
    {
        let mut moved_up = pin!(queue.put(3));
        assert!(poll(moved_up.as_mut()).is_pending());
        assert_eq!(queue.try_get(), Ok(1));
    }
    assert_eq!(queue.try_get(), Ok(3));
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    assert!(is_whole(queue.counts()) && queue.counts().dropped == 1);
}

#[test]
fn a_blocked_put_gets_its_item_back_when_its_time_is_up() {
    let (queue, time) = queue(1, Strategy::Block { timeout: ms(100) });
    let _ = queue.try_put(1);
    let mut put = pin!(queue.put(2));
    let (polled, woken) = watch(put.as_mut());
    assert!(polled.is_pending());
    time.advance(ms(99));
    assert!(!woken.0.load(Ordering::Relaxed));
    time.advance(ms(1));
    assert!(woken.0.load(Ordering::Relaxed));
    let Poll::Ready(Err(error)) = poll(put) else { panic!("not over") };
    assert_eq!((error.kind, error.into_item()), (PutErrorKind::TimedOut, 2));
    assert_eq!(
        kind(queue.try_put(3)),
        PutErrorKind::Full,
        "and one that does not wait is told at once"
    );
    assert!(is_whole(queue.counts()) && queue.counts().dropped == 2);
}

#[test]
fn drop_oldest_drop_newest_and_error_never_wait() {
    for (strategy, told) in [
        (Strategy::DropOldest, Ok(Put::Evicted(1))),
        (Strategy::DropNewest, Ok(Put::Dropped(3))),
        (Strategy::Error, Err(PutError::new(PutErrorKind::Full, 3))),
    ] {
        let (queue, _) = queue(2, strategy.clone());
        assert!(queue.try_put(1).unwrap().is_in() && queue.try_put(2).unwrap().is_in());
        let mut put = pin!(queue.put(3));
        assert_eq!(poll(put.as_mut()), Poll::Ready(told), "{strategy}");
        assert_eq!(queue.counts().dropped, 1);
        assert!(is_whole(queue.counts()));
    }
}

#[test]
fn a_sample_lets_one_in_n_in_above_its_mark_and_none_when_full() {
    let (queue, _) = queue(4, Strategy::Sample { every: 3, above: 0.5 });
    let took = |item| queue.try_put(item).unwrap().is_in();
    assert!(took(1) && took(2), "below the mark");
    assert_eq!([3, 4, 5, 6, 7, 8].map(took), [false, false, true, false, false, true]);
    assert_eq!([9, 10, 11].map(took), [false; 3], "full");
    let mut items = Vec::new();
    assert_eq!(queue.try_get_many(&mut items, 10), 4);
    assert_eq!(items, [1, 2, 5, 8]);
    assert!(took(12));
    assert!(is_whole(queue.counts()));
}

#[test]
fn an_aggregate_merges_into_the_newest_that_waits() {
    let merge = |waiting: &mut u32, newcomer| match newcomer {
        99 => Err(newcomer),
        66 => panic!("it does that once"),
        _ => {
            *waiting += newcomer;
            Ok(())
        }
    };
    let (queue, _) = queue(2, Strategy::aggregate(merge));
    let _ = (queue.try_put(1), queue.try_put(10));
    assert_eq!(queue.try_put(5), Ok(Put::Merged));
    assert_eq!(queue.try_put(99), Err(PutError::new(PutErrorKind::Full, 99)), "they do not fit");
    let counts = queue.counts();
    assert_eq!((counts.received, counts.merged, counts.dropped), (4, 1, 1));
    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| queue.try_put(66)));
    assert!(panics.is_err());
    assert!(is_whole(queue.counts()) && queue.counts().merged == 2);
    assert_eq!((queue.try_get(), queue.try_get()), (Ok(1), Ok(15)));
}

#[test]
fn throttle_paces_producers_however_empty_the_queue_is() {
    let pace = Pace::PerSecond(10.0);
    let (queue, time) = queue(100, Strategy::Throttle { pace, timeout: ms(250) });
    assert_eq!(queue.try_put(1), Ok(Put::Accepted));
    let early = queue.try_put(2).unwrap_err();
    assert_eq!((early.kind, early.retry_after), (PutErrorKind::TooEarly, Some(ms(100))));
    let (mut second, mut third) = (pin!(queue.put(2)), pin!(queue.put(3)));
    assert!(poll(second.as_mut()).is_pending() && poll(third.as_mut()).is_pending());
    let mut fourth = pin!(queue.put(4));
    let Poll::Ready(Err(error)) = poll(fourth.as_mut()) else { panic!("300 ms are more than 250") };
    assert_eq!((error.kind, error.item), (PutErrorKind::TimedOut, 4));
    time.advance(ms(100));
    assert_eq!(poll(second), Poll::Ready(Ok(Put::Accepted)));
    assert!(poll(third.as_mut()).is_pending());
    time.advance(ms(100));
    assert_eq!(poll(third), Poll::Ready(Ok(Put::Accepted)));
    assert!(is_whole(queue.counts()));
}

#[test]
fn a_turn_that_is_not_used_is_the_next_producers() {
    let (queue, time) = queue(100, Strategy::throttle(Pace::PerSecond(10.0)));
    let _ = queue.try_put(1);
    {
        let mut dropped = pin!(queue.put(2));
        assert!(poll(dropped.as_mut()).is_pending());
    }
    time.advance(ms(100));
    assert_eq!(queue.try_put(3), Ok(Put::Accepted));
    assert_eq!(queue.counts().received, 2, "the dropped one was never put");
}

#[test]
fn throttle_by_consumers_paces_the_second_half_of_the_queue_by_what_they_take() {
    let (queue, time) = queue(8, Strategy::throttle(Pace::Consumers));
    for item in 0..4 {
        assert_eq!(queue.try_put(item), Ok(Put::Accepted));
    }
    // One every 50 ms is taken while others wait.
    for _ in 0..3 {
        assert!(queue.try_get().is_ok());
        time.advance(ms(50));
    }
    for item in 4..7 {
        assert_eq!(queue.try_put(item), Ok(Put::Accepted), "less than half full");
    }
    assert_eq!(queue.try_put(7), Ok(Put::Accepted), "half full: the first turn");
    assert_eq!(queue.try_put(8).unwrap_err().retry_after, Some(ms(50)));
    time.advance(ms(50));
    assert_eq!(queue.try_put(8), Ok(Put::Accepted));
}

#[test]
fn closing_gives_blocked_items_back_and_leaves_what_waits_to_consumers() {
    let (queue, _) = queue(1, Strategy::block());
    let _ = queue.try_put(1);
    let (mut second, mut third) = (pin!(queue.put(2)), pin!(queue.put(3)));
    let ((_, second_woken), (_, third_woken)) = (watch(second.as_mut()), watch(third.as_mut()));
    queue.close();
    assert!(second_woken.0.load(Ordering::Relaxed) && third_woken.0.load(Ordering::Relaxed));
    assert_eq!(poll(second), Poll::Ready(Err(PutError::new(PutErrorKind::Closed, 2))));
    assert_eq!(poll(third), Poll::Ready(Err(PutError::new(PutErrorKind::Closed, 3))));
    assert_eq!(kind(queue.try_put(4)), PutErrorKind::Closed);
    assert_eq!(queue.try_get(), Ok(1));
    assert_eq!(queue.try_get(), Err(TryGetError::Closed));
    assert!(queue.is_closed() && is_whole(queue.counts()));
}

#[test]
fn a_consumer_that_waits_is_woken_by_an_item_and_by_the_end() {
    let (queue, _) = queue(8, Strategy::block());
    let mut get = pin!(queue.get());
    let (polled, woken) = watch(get.as_mut());
    assert!(polled.is_pending());
    let _ = queue.try_put(1);
    assert!(woken.0.load(Ordering::Relaxed));
    assert_eq!(poll(get), Poll::Ready(Some(1)));
    let mut get = pin!(queue.get());
    let (polled, woken) = watch(get.as_mut());
    assert!(polled.is_pending());
    queue.close();
    assert!(woken.0.load(Ordering::Relaxed));
    assert_eq!(poll(get), Poll::Ready(None));
}

/// With room for one, the second item is blocked and wakes nobody when it comes.
#[test]
fn an_item_that_moves_up_wakes_the_next_consumer() {
    let (queue, _) = queue(1, Strategy::block());
    let (mut first, mut second) = (pin!(queue.get()), pin!(queue.get()));
    let ((_, first_woken), (_, second_woken)) = (watch(first.as_mut()), watch(second.as_mut()));
    let _ = queue.try_put(1);
    let mut put = pin!(queue.put(2));
    assert!(poll(put.as_mut()).is_pending());
    assert!(first_woken.0.load(Ordering::Relaxed) && !second_woken.0.load(Ordering::Relaxed));
    assert_eq!(poll(first), Poll::Ready(Some(1)));
    assert!(second_woken.0.load(Ordering::Relaxed));
    assert_eq!(poll(second), Poll::Ready(Some(2)));
}

#[test]
fn a_consumer_that_is_dropped_when_woken_wakes_the_next_one() {
    let (queue, _) = queue(8, Strategy::block());
    let mut second = Box::pin(queue.get());
    let woken = {
        let mut first = pin!(queue.get());
        let _ = watch(first.as_mut());
        let (_, woken) = watch(second.as_mut());
        let _ = queue.try_put(1);
        woken
    };
    assert!(woken.0.load(Ordering::Relaxed));
    assert_eq!(poll(second.as_mut()), Poll::Ready(Some(1)));
}

#[test]
fn upstream_is_ready_once_there_is_room() {
    let (queue, _) = queue(1, Strategy::Error);
    assert!(poll(pin!(queue.ready())).is_ready());
    let _ = queue.try_put(1);
    let mut ready = pin!(queue.ready());
    let (polled, woken) = watch(ready.as_mut());
    assert!(polled.is_pending());
    let _ = queue.try_get();
    assert!(woken.0.load(Ordering::Relaxed));
    assert!(poll(ready).is_ready());
    let _ = queue.try_put(1);
    queue.close();
    assert!(poll(pin!(queue.ready())).is_ready(), "a closed queue says so in a put");
}

#[test]
fn what_is_too_old_is_dropped_and_told() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&told);
    let time = Time::manual();
    let queue = BackpressureQueue::builder().capacity(9).max_age(ms(100)).time(&time);
    let queue =
        queue.on_drop(move |item, why| list.lock().unwrap().push((item, why))).build().unwrap();
    let _ = queue.try_put(1);
    time.advance(ms(1));
    let _ = queue.try_put(2);
    time.advance(ms(100));
    assert_eq!(queue.try_get(), Ok(2), "exactly as old as it may be");
    assert_eq!(*told.lock().unwrap(), [(1, Dropped::Expired)]);
    assert!(is_whole(queue.counts()) && queue.counts().dropped == 1);
}

#[test]
fn the_order_changes_while_overloaded() {
    let (target, interval) = (ms(10), ms(100));
    for (order, taken) in [
        (Order::Fifo, vec![2, 3, 4]),
        (Order::Lifo { target, interval }, vec![4, 3, 2]),
        (Order::Codel { target, interval }, vec![4]),
    ] {
        let time = Time::manual();
        let queue =
            BackpressureQueue::builder().capacity(9).order(order).time(&time).build().unwrap();
        (0..4).for_each(|item| drop(queue.try_put(item)));
        time.advance(ms(11));
        assert_eq!((queue.try_get(), queue.try_get()), (Ok(0), Ok(1)));
        time.advance(ms(100));
        let _ = queue.try_put(4);
        let mut items = Vec::new();
        queue.try_get_many(&mut items, 9);
        assert_eq!(items, taken, "{order:?}");
        assert!(is_whole(queue.counts()));
    }
}

#[test]
fn a_drain_takes_what_waits_and_lets_the_blocked_move_up() {
    let (queue, _) = queue(2, Strategy::block());
    let _ = (queue.try_put(1), queue.try_put(2));
    let mut put = pin!(queue.put(3));
    assert!(poll(put.as_mut()).is_pending());
    assert_eq!(queue.drain(), [1, 2]);
    assert_eq!(poll(put), Poll::Ready(Ok(Put::Accepted)));
    assert_eq!((queue.len(), queue.counts().dropped, queue.fill_ratio()), (1, 2, 0.5));
}

#[test]
fn it_is_a_stream_and_a_sink() {
    let (queue, _) = queue(1, Strategy::block());
    let (mut sink, mut stream) = (pin!(queue.sink()), pin!(queue.stream()));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(stream.as_mut().poll_next(cx).is_pending());
    for item in [1, 2] {
        assert_eq!(sink.as_mut().poll_ready(cx), Poll::Ready(Ok(())));
        assert!(sink.as_mut().start_send(item).is_ok());
    }
    assert!(sink.as_mut().poll_flush(cx).is_pending(), "the second waits for room");
    assert_eq!(stream.as_mut().poll_next(cx), Poll::Ready(Some(1)));
    assert_eq!(sink.as_mut().poll_close(cx), Poll::Ready(Ok(())));
    assert_eq!(stream.as_mut().poll_next(cx), Poll::Ready(Some(2)));
    assert_eq!(stream.as_mut().poll_next(cx), Poll::Ready(None));
}

#[test]
fn settings_out_of_range_are_all_told() {
    let strategy = Strategy::Sample { every: 1, above: 1.5 };
    let builder = BackpressureQueue::<u32>::builder().capacity(0).strategy(strategy);
    let mistakes = builder.max_age(Duration::ZERO).order(Order::codel(Duration::ZERO)).build();
    let text = mistakes.unwrap_err().to_string();
    for part in ["capacity", "sample.every", "2 or more", "sample.above", "max_age", "order"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let throttle = Strategy::throttle(Pace::PerSecond(f64::NAN));
    assert!(BackpressureQueue::<u32>::builder().strategy(throttle).build().is_err());
}

/// Every item that is put comes out once, is given back, is merged, or is told as dropped.
#[test]
fn nothing_is_lost_between_threads_whatever_the_strategy() {
    const EACH: u64 = 2_000;
    let sum = |waiting: &mut u64, newcomer| {
        *waiting += newcomer;
        Ok(())
    };
    for strategy in [
        Strategy::block(),
        Strategy::DropOldest,
        Strategy::DropNewest,
        Strategy::Error,
        Strategy::Sample { every: 3, above: 0.5 },
        Strategy::aggregate(sum),
        Strategy::throttle(Pace::PerSecond(1e7)),
    ] {
        let builder = BackpressureQueue::builder().capacity(4).strategy(strategy.clone());
        let queue = builder.build().unwrap();
        let (put, got) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let producers: Vec<_> = (0..2u64)
                .map(|_| {
                    scope.spawn(|| {
                        for item in 1..=EACH {
                            let back = match queue.put_blocking(item) {
                                Ok(Put::Accepted | Put::Merged) => 0,
                                Ok(Put::Evicted(other) | Put::Dropped(other)) => other,
                                Err(error) => error.into_item(),
                            };
                            put.fetch_add(item, Ordering::Relaxed);
                            got.fetch_add(back, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(item) = queue.get_blocking() {
                        got.fetch_add(item, Ordering::Relaxed);
                    }
                });
            }
            producers.into_iter().for_each(|producer| producer.join().unwrap());
            queue.close();
        });
        assert_eq!(put.into_inner(), got.into_inner(), "{strategy}");
        assert!(is_whole(queue.counts()), "{strategy}");
    }
}

/// A queue as one would write it down: two lists.
#[derive(Default)]
struct Naive {
    waiting: VecDeque<u32>,
    blocked: VecDeque<u32>,
}

impl Naive {
    fn settle(&mut self, capacity: usize) {
        while self.waiting.len() < capacity
            && let Some(item) = self.blocked.pop_front()
        {
            self.waiting.push_back(item);
        }
    }
}

/// A put that may have to wait.
type Waits<'a> = Pin<Box<dyn Future<Output = Result<Put<u32>, PutError<u32>>> + 'a>>;

proptest! {
    /// Puts that wait, are polled and are dropped, and gets, in any order.
    #[test]
    fn equals_two_lists(capacity in 1u32..4, steps in prop::collection::vec((0u8..4, 0usize..8), 0..120)) {
        let (queue, _) = queue(capacity, Strategy::block());
        let mut naive = Naive::default();
        let mut puts: Vec<(u32, Waits<'_>)> = Vec::new();
        for (item, (step, which)) in (0u32..).zip(steps) {
            match step {
                0 => {
                    let mut put: Waits<'_> = Box::pin(queue.put(item));
                    let fits = naive.waiting.len() < capacity as usize;
                    prop_assert_eq!(poll(put.as_mut()).is_ready(), fits);
                    if fits {
                        naive.waiting.push_back(item);
                    } else {
                        naive.blocked.push_back(item);
                        puts.push((item, put));
                    }
                }
                1 => {
                    prop_assert_eq!(queue.try_get().ok(), naive.waiting.pop_front());
                    naive.settle(capacity as usize);
                }
                2 if !puts.is_empty() => {
                    let (item, put) = puts.swap_remove(which % puts.len());
                    drop(put);
                    naive.blocked.retain(|blocked| *blocked != item);
                }
                3 if !puts.is_empty() => {
                    let at = which % puts.len();
                    let (item, put) = &mut puts[at];
                    let is_in = !naive.blocked.contains(item);
                    prop_assert_eq!(poll(put.as_mut()), if is_in { Poll::Ready(Ok(Put::Accepted)) } else { Poll::Pending });
                    if is_in {
                        drop(puts.swap_remove(at));
                    }
                }
                _ => {}
            }
            let counts = queue.counts();
            prop_assert!(is_whole(counts));
            prop_assert_eq!((counts.waiting as usize, counts.blocked_now as usize), (naive.waiting.len(), naive.blocked.len()));
        }
    }
}

#[test]
fn many_are_taken_at_once_behind_what_was_there() {
    let (queue, _) = queue(4, Strategy::Error);
    let puts = [1, 2, 3].map(|item| queue.try_put(item));
    assert!(puts.iter().all(Result::is_ok) && queue.capacity() == 4);
    let mut items = vec![9];
    assert_eq!((queue.try_get_many(&mut items, 2), queue.try_get_many(&mut items, 5)), (2, 1));
    assert_eq!((items, queue.len()), (vec![9, 1, 2, 3], 0));
}

#[test]
fn what_a_sample_leaves_out_counts_as_dropped() {
    let (queue, _) = queue(10, Strategy::Sample { every: 2, above: 0.0 });
    let puts = [1, 2].map(|item| queue.try_put(item));
    assert_eq!(puts, [Ok(Put::Dropped(1)), Ok(Put::Accepted)]);
    assert_eq!((queue.counts().received, queue.counts().dropped), (2, 1));
}

#[test]
fn a_turn_may_be_as_far_away_as_its_producer_waits_and_no_further() {
    let throttle = Strategy::Throttle { pace: Pace::PerSecond(10.0), timeout: ms(100) };
    let (queue, time) = queue(10, throttle);
    assert_eq!(queue.try_put(1), Ok(Put::Accepted));
    let mut second = pin!(queue.put(2));
    assert!(poll(second.as_mut()).is_pending());
    let mut third = pin!(queue.put(3));
    let Poll::Ready(refused) = poll(third.as_mut()) else { panic!("its turn is too far away") };
    assert_eq!(kind(refused), PutErrorKind::TimedOut);
    time.advance(ms(100));
    assert_eq!(poll(second), Poll::Ready(Ok(Put::Accepted)));
}

#[test]
fn a_pause_in_which_nothing_waits_says_nothing_of_how_fast_consumers_are() {
    let (queue, time) = queue(4, Strategy::throttle(Pace::Consumers));
    let fill = || [1, 2].map(|item| assert_eq!(queue.try_put(item), Ok(Put::Accepted)));
    fill();
    assert_eq!((queue.try_get(), queue.drain()), (Ok(1), vec![2]));
    assert_eq!(queue.try_get(), Err(TryGetError::Empty));
    time.advance(ms(3_600_000));
    fill();
    assert_eq!(queue.try_put(3), Ok(Put::Accepted));
    assert_eq!(queue.try_get(), Ok(1));
    // Half full: were they an item an hour, the next but one would be too early.
    assert_eq!([4, 5].map(|item| queue.try_put(item)), [Ok(Put::Accepted), Ok(Put::Accepted)]);
}

#[test]
fn a_stream_that_was_woken_and_is_dropped_leaves_the_item_to_the_next() {
    let (queue, _) = queue(4, Strategy::Error);
    let flags = [(); 2].map(|()| Arc::new(Flag::default()));
    let mut streams = [(); 2].map(|()| queue.stream());
    for (stream, flag) in streams.iter_mut().zip(&flags) {
        let waker = Waker::from(Arc::clone(flag));
        assert!(Pin::new(stream).poll_next(&mut Context::from_waker(&waker)).is_pending());
    }
    let is_woken = || [0, 1].map(|at: usize| flags[at].0.load(Ordering::Relaxed));
    assert_eq!(queue.try_put(1), Ok(Put::Accepted));
    assert_eq!(is_woken(), [true, false]);
    let [first, _second] = streams;
    drop(first);
    assert_eq!(is_woken(), [true, true]);
}

#[test]
fn a_sink_whose_item_has_found_room_takes_the_next() {
    let (queue, _) = queue(1, Strategy::block());
    let mut sink = queue.sink();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut sink).start_send(1).is_ok());
    for item in 2..5 {
        assert!(Pin::new(&mut sink).start_send(item).is_ok());
        assert!(Pin::new(&mut sink).poll_flush(&mut cx).is_pending());
        assert_eq!(queue.try_get(), Ok(item - 1));
        assert!(matches!(Pin::new(&mut sink).poll_flush(&mut cx), Poll::Ready(Ok(()))));
        assert!(matches!(Pin::new(&mut sink).poll_ready(&mut cx), Poll::Ready(Ok(()))));
    }
}

#[test]
fn a_get_that_goes_on_in_another_task_wakes_that() {
    let (queue, _) = queue(4, Strategy::Error);
    let mut get = pin!(queue.get());
    let flags = [(); 2].map(|()| {
        let (polled, flag) = watch(get.as_mut());
        assert!(polled.is_pending());
        flag
    });
    assert_eq!(queue.try_put(1), Ok(Put::Accepted));
    assert_eq!(flags.map(|flag| flag.0.load(Ordering::Relaxed)), [false, true]);
}

#[test]
fn whoever_no_longer_waits_for_room_is_not_woken_for_it() {
    let (queue, _) = queue(1, Strategy::Error);
    assert_eq!(queue.try_put(1), Ok(Put::Accepted));
    let mut gone = Box::pin(queue.ready());
    let (polled, flag) = watch(gone.as_mut());
    assert!(polled.is_pending());
    drop(gone);
    assert_eq!((queue.try_get(), flag.0.load(Ordering::Relaxed)), (Ok(1), false));
}
