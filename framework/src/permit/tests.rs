use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::*;
use crate::backpressure::Strategy;
use crate::clock::Moment;
use crate::time::ManualTime;

#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

type Answer<'a> = Result<Permit<'a>, NoPermit>;

/// A request, polled by hand.
struct Request<'a>(Pin<Box<dyn Future<Output = Answer<'a>> + 'a>>, Arc<Woken>);

impl<'a> Request<'a> {
    /// One that has to wait.
    fn waiting(bulkhead: &'a Bulkhead, weight: u32) -> Self {
        let mut request = Self(Box::pin(bulkhead.acquire_many(weight)), Arc::default());
        assert!(request.poll().is_pending());
        request
    }
    fn poll(&mut self) -> Poll<Answer<'a>> {
        self.0.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.1))))
    }
    fn is_woken(&self) -> bool {
        self.1.0.load(Ordering::SeqCst) > 0
    }
    fn permit(&mut self) -> Permit<'a> {
        assert!(self.is_woken());
        match self.poll() {
            Poll::Ready(answer) => answer.unwrap(),
            Poll::Pending => panic!("it waits"),
        }
    }
    fn refused_by(&mut self) -> RejectedBy {
        assert!(self.is_woken());
        match self.poll() {
            Poll::Ready(answer) => answer.unwrap_err().by,
            Poll::Pending => panic!("it waits"),
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn mailbox(capacity: u32, on_full: Strategy) -> backpressure::Config {
    backpressure::Config::builder().capacity(capacity).on_full(on_full).build().unwrap()
}

fn bulkhead(
    permits: u32,
    max_wait: Duration,
    mailbox: &backpressure::Config,
) -> (Bulkhead, ManualTime) {
    let config = bulkhead::Config::builder().max_concurrent(permits).max_wait(max_wait);
    let time = Time::manual();
    (Bulkhead::new(&config.build().unwrap(), mailbox, Time::from(&time)), time)
}

/// Whose requests wait for as long as it takes.
fn patient(permits: u32) -> Bulkhead {
    bulkhead(permits, Duration::MAX, &mailbox(100, Strategy::Error)).0
}

fn counts(bulkhead: &Bulkhead) -> (u32, u32) {
    (bulkhead.active(), bulkhead.waiting())
}

#[test]
fn permits_come_in_the_order_they_were_asked_for_and_nobody_passes() {
    let bulkhead = patient(1);
    let held = bulkhead.try_acquire().unwrap();
    let [mut first, mut second] = [(); 2].map(|()| Request::waiting(&bulkhead, 1));
    assert_eq!(counts(&bulkhead), (1, 2));
    drop(held);
    assert!(bulkhead.try_acquire().is_none(), "it is the first's, who has not looked yet");
    assert!(!second.is_woken());
    let held = first.permit();
    assert!(second.poll().is_pending());
    drop(held);
    drop(second.permit());
    assert_eq!(counts(&bulkhead), (0, 0));
}

#[test]
fn none_that_is_not_free_is_given_back() {
    let bulkhead = patient(2);
    let held = bulkhead.try_acquire_many(2).unwrap();
    assert_eq!((held.weight(), bulkhead.limit()), (2, 2));
    assert!(bulkhead.try_acquire().is_none() && bulkhead.try_acquire_many(1).is_none());
    assert_eq!(counts(&bulkhead), (2, 0));
}

#[test]
fn a_request_that_is_dropped_leaves_the_queue_or_its_permit_to_the_next() {
    let bulkhead = patient(1);
    let held = bulkhead.try_acquire().unwrap();
    let [first, second] = [(); 2].map(|()| Request::waiting(&bulkhead, 1));
    let mut third = Request::waiting(&bulkhead, 1);
    drop(first);
    assert_eq!(counts(&bulkhead), (1, 2));
    drop(held);
    assert!(second.is_woken());
    drop(second);
    assert_eq!(counts(&bulkhead), (1, 0));
    drop(third.permit());
    assert_eq!(counts(&bulkhead), (0, 0));
}

#[test]
fn whoever_waits_for_several_is_not_passed_and_of_more_than_there_are_has_all() {
    let bulkhead = patient(2);
    let [one, other] = [(); 2].map(|()| bulkhead.try_acquire().unwrap());
    let (mut heavy, mut light) = (Request::waiting(&bulkhead, 5), Request::waiting(&bulkhead, 1));
    drop(one);
    assert!(!heavy.is_woken() && !light.is_woken());
    drop(other);
    let heavy = heavy.permit();
    assert_eq!((heavy.weight(), counts(&bulkhead)), (5, (5, 1)));
    drop(heavy);
    drop(light.permit());
    let too_many = block_on(bulkhead.acquire_many(MAX_WEIGHT + 1)).unwrap_err();
    assert_eq!(
        too_many.to_string(),
        "no permit for 1001 of 2: refused by the bulkhead (no permit within max_wait)"
    );
    assert!(bulkhead.try_acquire_many(MAX_WEIGHT + 1).is_none());
    // The heaviest has all that there are.
    assert_eq!(bulkhead.try_acquire_many(MAX_WEIGHT).unwrap().weight(), MAX_WEIGHT);
    let light = bulkhead.try_acquire().unwrap();
    let heaviest = Request::waiting(&bulkhead, MAX_WEIGHT);
    drop((light, heaviest));
    assert_eq!(block_on(bulkhead.acquire_many(0)).unwrap().weight(), 1);
}

#[test]
fn a_wait_ends_at_its_longest_and_without_one_nobody_waits() {
    let (bulkhead, time) = bulkhead(1, SECOND, &mailbox(100, Strategy::Error));
    let held = bulkhead.try_acquire().unwrap();
    let mut request = Request::waiting(&bulkhead, 1);
    time.advance(SECOND - Duration::from_nanos(1));
    assert!(!request.is_woken());
    time.advance(Duration::from_nanos(1));
    assert_eq!(request.refused_by(), RejectedBy::Bulkhead);
    // One whose time is over goes behind one whose time is not, and before nobody.
    let mut late = Request::waiting(&bulkhead, 1);
    drop(held);
    drop(late.permit());
    let (impatient, _time) = self::bulkhead(1, Duration::ZERO, &mailbox(100, Strategy::Error));
    let _held = block_on(impatient.acquire()).unwrap();
    let refused = NoPermit { by: RejectedBy::Bulkhead, weight: 1, limit: 1 };
    assert_eq!(block_on(impatient.acquire()).unwrap_err(), refused);
    assert_eq!(counts(&impatient), (1, 0));
}

#[test]
fn where_no_wait_has_an_end_no_timer_is_armed() {
    let (patient, time) = bulkhead(1, Duration::MAX, &mailbox(100, Strategy::Error));
    let held = patient.try_acquire().unwrap();
    time.advance(SECOND);
    let mut request = Request::waiting(&patient, 1);
    assert_eq!((time.armed(), patient.ends()), (0, (Moment::MAX, Moment::MAX)));
    drop(held);
    drop(request.permit());
    let (hurried, time) = bulkhead(1, SECOND, &mailbox(100, Strategy::Error));
    let _held = hurried.try_acquire();
    let _request = Request::waiting(&hurried, 1);
    assert_eq!(time.armed(), 1);
}

#[test]
fn a_full_queue_does_what_its_strategy_says() {
    let full = |on_full| {
        let (bulkhead, time) = bulkhead(1, Duration::MAX, &mailbox(1, on_full));
        std::mem::forget(bulkhead.try_acquire());
        (bulkhead, time)
    };
    let (errs, _time) = full(Strategy::Error);
    let waits = Request::waiting(&errs, 1);
    assert_eq!(block_on(errs.acquire()).unwrap_err().by, RejectedBy::QueueFull);
    assert!(!waits.is_woken());
    let (drops, _time) = full(Strategy::DropOldest);
    let (mut oldest, newest) = (Request::waiting(&drops, 1), Request::waiting(&drops, 1));
    assert_eq!((oldest.refused_by(), newest.is_woken()), (RejectedBy::Dropped, false));
    let (blocks, time) = full(Strategy::Block { timeout: SECOND });
    let (inside, mut blocked) = (Request::waiting(&blocks, 1), Request::waiting(&blocks, 1));
    time.advance(SECOND);
    assert_eq!((inside.is_woken(), blocked.refused_by()), (false, RejectedBy::QueueFull));
    let mut blocked = Request::waiting(&blocks, 1);
    drop(inside);
    time.advance(SECOND);
    assert!(blocked.poll().is_pending(), "it has moved up");
}

#[test]
fn nobody_is_shed_or_passed_for_what_a_mailbox_says_of_priorities_and_order() {
    let mailbox = backpressure::Config::builder().capacity(50).on_full(Strategy::Error);
    let mailbox = mailbox.priorities(true).order(backpressure::MailboxOrder::Lifo);
    let (bulkhead, _time) = bulkhead(1, Duration::MAX, &mailbox.build().unwrap());
    let mut held = bulkhead.try_acquire();
    let requests: Vec<_> = (0..50).map(|_| Request::waiting(&bulkhead, 1)).collect();
    for mut request in requests {
        drop(held.take());
        held = Some(request.permit());
    }
    assert_eq!(counts(&bulkhead), (1, 0));
}

#[test]
fn an_owned_permit_goes_where_it_likes() {
    let bulkhead = Arc::new(patient(1));
    let permit = block_on(Arc::clone(&bulkhead).acquire_owned()).unwrap();
    assert_eq!(format!("{bulkhead:?}"), "Bulkhead { limit: 1, active: 1, waiting: 0, .. }");
    assert!(Arc::clone(&bulkhead).try_acquire_owned().is_none());
    thread::spawn(move || drop(permit)).join().unwrap();
    let permit = Arc::clone(&bulkhead).try_acquire_owned().unwrap();
    assert_eq!((permit.weight(), counts(&bulkhead)), (1, (1, 0)));
    drop(permit);
    let heavy = block_on(Arc::clone(&bulkhead).acquire_many_owned(3)).unwrap();
    assert_eq!((heavy.weight(), counts(&bulkhead)), (3, (3, 0)));
    drop(heavy);
    assert_eq!(counts(&bulkhead), (0, 0));
}

#[test]
fn a_request_may_move_to_another_task_while_it_waits() {
    let bulkhead = patient(1);
    let held = bulkhead.try_acquire();
    let (mut request, tasks) =
        (pin!(bulkhead.acquire()), [Arc::<Woken>::default(), Arc::default()]);
    for task in &tasks {
        let waker = Waker::from(Arc::clone(task));
        assert!(request.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(held);
    assert_eq!(tasks.map(|task| task.0.load(Ordering::SeqCst)), [0, 1]);
}

/// Looks at the bulkhead when it is woken and when it is dropped, which takes the queue's lock.
struct Looks(Arc<Bulkhead>, Arc<AtomicU32>);

impl Looks {
    fn waker(bulkhead: &Arc<Bulkhead>) -> (Waker, Arc<AtomicU32>) {
        let looked = Arc::new(AtomicU32::new(0));
        (Waker::from(Arc::new(Self(Arc::clone(bulkhead), Arc::clone(&looked)))), looked)
    }
    fn look(&self) {
        let _ = self.0.waiting();
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        self.look();
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        self.look();
    }
}

#[test]
fn no_waker_is_called_or_dropped_while_the_queue_is_locked() {
    let full = |on_full| {
        let bulkhead = Arc::new(self::bulkhead(1, Duration::MAX, &mailbox(1, on_full)).0);
        let held = Arc::clone(&bulkhead).acquire_owned();
        let held = block_on(held).unwrap();
        (bulkhead, held)
    };
    // Polls a request once, and leaves its waker with the queue alone.
    let poll = |request: Pin<&mut dyn Future<Output = Answer<'_>>>, bulkhead: &Arc<Bulkhead>| {
        let (waker, looked) = Looks::waker(bulkhead);
        (request.poll(&mut Context::from_waker(&waker)).is_pending(), looked)
    };
    let looks = |looked: &AtomicU32| looked.load(Ordering::SeqCst);

    let (bulkhead, held) = full(Strategy::Error);
    let mut request = pin!(bulkhead.acquire());
    let (waits, before) = poll(request.as_mut(), &bulkhead);
    let (refused, refuseds) = poll(pin!(bulkhead.acquire()), &bulkhead);
    assert_eq!((waits, refused, looks(&refuseds)), (true, false, 1), "the queue is full");
    let (still_waits, after) = poll(request.as_mut(), &bulkhead);
    assert_eq!((still_waits, looks(&before)), (true, 1), "another has taken its place");
    drop(held);
    assert_eq!(looks(&after), 2, "woken and dropped");

    let (bulkhead, _held) = full(Strategy::DropOldest);
    let mut dropped = Box::pin(bulkhead.acquire());
    let (_, oldest) = poll(dropped.as_mut(), &bulkhead);
    let mut newest = Box::pin(bulkhead.acquire());
    let (_, given_up) = poll(newest.as_mut(), &bulkhead);
    drop(newest);
    assert_eq!((looks(&oldest), looks(&given_up)), (2, 1));
}

#[test]
fn threads_never_have_more_permits_than_there_are_and_none_is_lost() {
    let (bulkhead, inside) = (patient(2), AtomicU32::new(0));
    thread::scope(|scope| {
        for thread in 0..4 {
            let (bulkhead, inside) = (&bulkhead, &inside);
            scope.spawn(move || {
                for turn in 0..5_000_u32 {
                    let permit = match turn % 3 {
                        0 => bulkhead.try_acquire(),
                        1 if thread == 0 => Some(block_on(bulkhead.acquire_many(2)).unwrap()),
                        _ => Some(bulkhead.acquire_blocking().unwrap()),
                    };
                    let weight = permit.as_ref().map_or(0, Permit::weight);
                    assert!(inside.fetch_add(weight, Ordering::SeqCst) + weight <= 2);
                    inside.fetch_sub(weight, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!((counts(&bulkhead), bulkhead.limit()), ((0, 0), 2));
}
