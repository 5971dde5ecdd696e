//! The last good answer in place of none.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use seawall::last_good::aged;
use seawall::prelude::*;
use seawall::{CallOutcome, Event, Time};
use seawall_tests::{Task, ready};

use super::build::*;

fn in_capitals(region: &str, _page: &u32) -> String {
    region.to_uppercase()
}

#[resilient(classify = class_of)]
trait Rates {
    #[call(fallback = last_good(max_age = "5m", max_entries = 2))]
    async fn euro_in(&self, currency: &str) -> io::Result<u32>;
    #[call(fallback = last_good(key = currency), idempotent)]
    async fn by_argument(&self, currency: String, hint: f64) -> io::Result<u32>;
    #[call(fallback = last_good(key = in_capitals))]
    async fn by_function(&self, region: &str, page: u32) -> io::Result<u32>;
    #[call(fallback = last_good())]
    async fn of_nothing(&self) -> io::Result<u32>;
}

fn class_of(answer: &io::Result<u32>) -> Class {
    match answer {
        Ok(_) => Class::Success,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Class::Ignored,
        Err(_) => Class::Failure,
    }
}

#[derive(Default)]
struct Bank {
    answers: Mutex<VecDeque<io::Result<u32>>>,
    calls: AtomicU32,
}

impl Bank {
    fn next(&self) -> io::Result<u32> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let next = self.answers.lock().unwrap().pop_front();
        next.unwrap_or_else(|| Err(io::ErrorKind::ConnectionRefused.into()))
    }
}

impl Rates for Bank {
    async fn euro_in(&self, _: &str) -> io::Result<u32> {
        self.next()
    }
    async fn by_argument(&self, _: String, _: f64) -> io::Result<u32> {
        self.next()
    }
    async fn by_function(&self, _: &str, _: u32) -> io::Result<u32> {
        self.next()
    }
    async fn of_nothing(&self) -> io::Result<u32> {
        self.next()
    }
}

struct World {
    time: seawall::ManualTime,
    seawall: Seawall,
    rates: RatesClient<Bank>,
}

fn world(answers: impl IntoIterator<Item = io::Result<u32>>) -> World {
    let time = Time::manual();
    let seawall = Seawall::builder().time(Time::from(time.clone())).start().unwrap();
    let bank = Bank { answers: Mutex::new(answers.into_iter().collect()), ..Bank::default() };
    let rates = ready(seawall.spawn("bank", bank)).unwrap();
    seawall.dependency("bank").unwrap().set_policy(base().build().unwrap());
    World { time, seawall, rates }
}

#[test]
fn a_failed_call_gets_the_last_good_answer_to_the_same_arguments_with_its_age() {
    let world = world([Ok(1), Ok(2)]);
    let mut events = world.seawall.events();
    assert_eq!(ready(aged(world.rates.euro_in("USD"))).0.unwrap(), 1);
    assert_eq!(ready(world.rates.euro_in("GBP")).unwrap(), 2);
    world.time.advance(secs(60));
    let (rate, age) = ready(aged(world.rates.euro_in("USD")));
    assert_eq!((rate.unwrap(), age), (1, Some(secs(60))));
    let error = ready(world.rates.euro_in("CHF")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "never asked before");
    let snapshot = world.seawall.dependency("bank").unwrap().snapshot();
    assert_eq!(snapshot.calls(CallOutcome::Fallback), 1);
    assert_eq!(snapshot.calls(CallOutcome::Failure), 1);
    let told = std::iter::from_fn(|| events.try_recv().ok());
    let fell_back = told.filter_map(|received| match received.event {
        Event::FellBack { method, instead_of, .. } => Some((method, instead_of)),
        _ => None,
    });
    assert_eq!(fell_back.collect::<Vec<_>>(), [("euro_in", CallOutcome::Failure)]);
}

#[test]
fn a_refused_call_gets_it_too_and_a_fresh_answer_has_no_age() {
    let world = world([Ok(1)]);
    assert_eq!(ready(aged(world.rates.euro_in("USD"))).1, None);
    ready(world.seawall.dependency("bank").unwrap().force_open()).unwrap();
    assert_eq!(ready(aged(world.rates.euro_in("USD"))).0.unwrap(), 1);
    assert_eq!(world.rates.service().calls.load(Ordering::Relaxed), 1);
}

#[test]
fn an_answer_that_is_too_old_or_had_to_go_answers_nothing() {
    let world = world([Ok(1), Ok(2), Ok(3)]);
    for currency in ["USD", "GBP", "CHF"] {
        ready(world.rates.euro_in(currency)).unwrap();
    }
    ready(world.rates.euro_in("USD")).unwrap_err();
    world.time.advance(secs(300));
    assert_eq!(ready(world.rates.euro_in("GBP")).unwrap(), 2);
    world.time.advance(ms(1));
    ready(world.rates.euro_in("GBP")).unwrap_err();
}

#[test]
fn an_error_that_says_nothing_of_the_dependency_is_the_answer() {
    let world = world([Ok(1), Err(io::ErrorKind::NotFound.into())]);
    ready(world.rates.of_nothing()).unwrap();
    let error = ready(world.rates.of_nothing()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(ready(world.rates.of_nothing()).unwrap(), 1, "and it is no answer to be kept");
}

#[test]
fn a_key_says_which_calls_are_alike() {
    let world = world([Ok(1), Ok(2)]);
    assert_eq!(ready(world.rates.by_argument("USD".into(), 0.5)).unwrap(), 1);
    assert_eq!(ready(world.rates.by_function("eu", 1)).unwrap(), 2);
    assert_eq!(ready(world.rates.by_function("EU", 7)).unwrap(), 2);
    ready(world.rates.by_function("us", 1)).unwrap_err();
    // It is idempotent: the last answer stands in after the last attempt.
    let mut call = Task::pending(world.rates.by_argument("USD".into(), 0.7));
    world.time.advance(ms(100));
    let mut answer = call.poll();
    if answer.is_pending() {
        world.time.advance(ms(200));
        answer = call.poll();
    }
    let std::task::Poll::Ready(answer) = answer else { panic!("a fallback does not wait") };
    assert_eq!(answer.unwrap(), 1);
}

#[test]
fn clones_of_a_client_share_their_answers() {
    let world = world([Ok(1)]);
    ready(world.rates.of_nothing()).unwrap();
    let within = world.rates.clone().within(ms(500));
    assert_eq!(ready(within.of_nothing()).unwrap(), 1);
}

/// Panics when it is copied, if told to.
#[derive(Debug)]
struct Fragile(Copies);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Copies {
    Never,
    Once,
}

impl Clone for Fragile {
    fn clone(&self) -> Self {
        match self.0 {
            Copies::Once => Self(Copies::Never),
            Copies::Never => panic!("the copy panics"),
        }
    }
}

#[resilient(errors = "wrapped")]
trait Art {
    #[call(fallback = last_good())]
    async fn paint(&self) -> io::Result<Fragile>;
}

impl Art for Mutex<VecDeque<io::Result<Fragile>>> {
    async fn paint(&self) -> io::Result<Fragile> {
        let next = self.lock().unwrap().pop_front();
        next.unwrap_or_else(|| Err(io::ErrorKind::ConnectionRefused.into()))
    }
}

#[test]
fn a_panic_while_an_answer_is_copied_is_the_calls() {
    // When it is kept, and when it is given to a later call.
    for (copies, good) in [(Copies::Never, 0), (Copies::Once, 1)] {
        let seawall = Seawall::builder().time(Time::from(Time::manual())).start().unwrap();
        let answers = Mutex::new(VecDeque::from([Ok(Fragile(copies))]));
        let art: ArtClient<_> = ready(seawall.spawn("art", answers)).unwrap();
        let handle = seawall.dependency("art").unwrap();
        for _ in 0..good {
            assert!(ready(art.paint()).is_ok());
        }
        let paint = std::panic::AssertUnwindSafe(|| drop(ready(art.paint())));
        std::panic::catch_unwind(paint).unwrap_err();
        let now = handle.snapshot();
        assert_eq!((now.calls(CallOutcome::Panicked), now.calls(CallOutcome::Success)), (1, good));
    }
}
