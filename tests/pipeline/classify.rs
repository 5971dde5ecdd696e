//! What an answer says about the dependency, and what becomes of it: by error, and by how long it took.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use seawall::policy::MethodPolicy;
use seawall::prelude::*;
use seawall::{CallOutcome, DependencyHandle, Outcome, State, Time};
use seawall::{ManualTime, breaker, classify, policy, resilient};
use seawall_tests::{Task, ready, yield_times};

use super::build::*;

/// One function for every type that the methods return, unless they name their own.
#[resilient(classify = classify::io)]
trait Store {
    async fn put(&self, text: &str) -> io::Result<()>;
    #[call(idempotent, fallback = spare)]
    async fn get(&self) -> io::Result<u64>;
    #[call(classify = strict)]
    async fn strict(&self) -> io::Result<u64>;
    #[call(slow_call = "200ms")]
    async fn quick(&self) -> io::Result<u64>;
}

/// The method's own goes over the trait's.
fn strict<T>(answer: &io::Result<T>) -> Class {
    if answer.is_ok() { Class::Success } else { Class::Failure }
}

async fn spare<S: Store>(_: &S, _: &CallError<io::Error>) -> io::Result<u64> {
    Ok(4711)
}

/// Fails as it is told, then answers well; `put` and `quick` do so at their second poll.
struct Disk(Mutex<Vec<io::Error>>);

impl Disk {
    fn new(errors: impl IntoIterator<Item = io::ErrorKind>) -> Self {
        let mut errors: Vec<_> = errors.into_iter().map(io::Error::from).collect();
        errors.reverse();
        Self(Mutex::new(errors))
    }

    fn next(&self) -> io::Result<u64> {
        self.0.lock().unwrap().pop().map_or(Ok(7), Err)
    }
}

impl Store for Disk {
    async fn put(&self, text: &str) -> io::Result<()> {
        yield_times(if text == "never" { u32::MAX } else { 1 }).await;
        self.next().map(|_| ())
    }
    async fn get(&self) -> io::Result<u64> {
        self.next()
    }
    async fn strict(&self) -> io::Result<u64> {
        self.next()
    }
    async fn quick(&self) -> io::Result<u64> {
        yield_times(1).await;
        self.next()
    }
}

fn store<S: Store + 'static>(
    policy: policy::Builder,
    service: S,
) -> (ManualTime, StoreClient<S>, DependencyHandle, Seawall) {
    let time = Time::manual();
    let policy = policy.build().unwrap();
    let seawall = Seawall::builder().time(&time).policy("store", policy).start().unwrap();
    let client = ready(seawall.spawn("store", service)).unwrap();
    let handle = seawall.dependency("store").unwrap();
    (time, client, handle, seawall)
}

#[test]
fn an_ignored_error_neither_counts_nor_retries_nor_falls_back() {
    let disk = Disk::new([io::ErrorKind::NotFound; 5]);
    let (_time, client, handle, _seawall) = store(base().breaker(trips_after(1)), disk);
    assert_eq!(ready(client.get()).unwrap_err().kind(), io::ErrorKind::NotFound);
    let now = handle.snapshot();
    assert_eq!((now.attempts(Outcome::Ignored), now.retries), (1, 0));
    assert_eq!(now.calls(CallOutcome::Ignored), 1);
    assert_eq!((now.breaker.window_calls, now.breaker.failures_in_a_row), (0, 0));
    assert_eq!(now.breaker.state, State::Closed);
}

#[test]
fn a_failure_counts_retries_and_falls_back() {
    let disk = Disk::new([io::ErrorKind::ConnectionRefused; 5]);
    let (_time, client, handle, _seawall) = store(base().retry(retries(1)), disk);
    assert_eq!(ready(client.get()).unwrap(), 4711);
    let now = handle.snapshot();
    assert_eq!(now.attempts(Outcome::Failure), 1);
    assert_eq!(now.calls(CallOutcome::Fallback), 1);
    assert_eq!(now.breaker.failures_in_a_row, 1);
}

#[test]
fn a_methods_own_classify_goes_over_the_traits() {
    let disk = Disk::new([io::ErrorKind::NotFound; 5]);
    let (_time, client, handle, _seawall) = store(base().breaker(trips_after(2)), disk);
    ready(client.strict()).unwrap_err();
    ready(client.get()).unwrap_err();
    assert_eq!(handle.state(), State::Closed, "to `get` it said nothing");
    ready(client.strict()).unwrap_err();
    assert_eq!(handle.state(), State::Open);
}

/// Its data is behind another dependency.
struct Remote(StoreClient<Disk>);

impl Store for Remote {
    async fn put(&self, text: &str) -> io::Result<()> {
        self.0.put(text).await
    }
    async fn get(&self) -> io::Result<u64> {
        self.0.strict().await.map_err(io::Error::other)
    }
    async fn strict(&self) -> io::Result<u64> {
        self.0.strict().await
    }
    async fn quick(&self) -> io::Result<u64> {
        self.0.quick().await
    }
}

#[test]
fn a_refusal_underneath_says_nothing_about_whoever_passes_it_on_and_a_timeout_does() {
    let (below_time, below, below_handle, _below) =
        store(base().breaker(trips_after(1)), Disk::new([]));
    let (_time, client, handle, _seawall) = store(base(), Remote(below));
    let call = Task::pending(client.put("never"));
    below_time.advance(secs(1));
    assert_eq!(call.ready().unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(handle.snapshot().breaker.failures_in_a_row, 1, "it was waited for in vain");
    assert_eq!(below_handle.state(), State::Open);
    let error = ready(client.get()).unwrap_err();
    let fault = classify::fault_in(&error).unwrap();
    assert!(matches!(fault, Fault::Rejected { by: RejectedBy::Breaker, .. }), "{fault}");
    assert_eq!(fault.dependency(), "store");
    let now = handle.snapshot();
    assert_eq!((now.attempts(Outcome::Ignored), now.retries), (1, 0));
    assert_eq!(now.breaker.failures_in_a_row, 1, "as before");
}

fn slow_calls() -> policy::Builder {
    base().breaker(breaker::Config::builder().slow_call(ms(500)).slow_call_rate(1.0).min_calls(2))
}

/// Answers well, twice, after `takes`; the state after that.
fn after_two(
    policy: policy::Builder,
    takes: Duration,
    method: impl for<'a> Fn(&'a StoreClient<Disk>) -> Task<'a, ()>,
) -> State {
    let (time, client, handle, _seawall) = store(policy, Disk::new([]));
    for _ in 0..2 {
        let mut call = method(&client);
        assert!(call.poll().is_pending());
        time.advance(takes);
        call.ready();
    }
    handle.state()
}

fn quick(client: &StoreClient<Disk>) -> Task<'_, ()> {
    Task::new(async { assert_eq!(client.quick().await.unwrap(), 7) })
}
fn put(client: &StoreClient<Disk>) -> Task<'_, ()> {
    Task::new(async { client.put("").await.unwrap() })
}

#[test]
fn a_method_with_a_slow_call_of_its_own_is_slow_sooner_than_the_others() {
    assert_eq!(after_two(slow_calls(), ms(200), quick), State::Open);
    assert_eq!(after_two(slow_calls(), ms(199), quick), State::Closed);
    assert_eq!(after_two(slow_calls(), ms(499), put), State::Closed);
    assert_eq!(after_two(slow_calls(), ms(500), put), State::Open);
}

#[test]
fn a_policy_goes_over_the_slow_call_in_the_code() {
    let said = |after| {
        let method = MethodPolicy::default().with_slow_call(after);
        slow_calls().method("quick", method).method("put", method)
    };
    assert_eq!(after_two(said(ms(300)), ms(299), quick), State::Closed);
    assert_eq!(after_two(said(ms(300)), ms(300), quick), State::Open);
    assert_eq!(after_two(said(ms(300)), ms(300), put), State::Open);
}

#[test]
fn a_call_dropped_after_its_methods_slow_call_counts_as_a_failure() {
    let (time, client, handle, _seawall) = store(base().breaker(trips_after(1)), Disk::new([]));
    for (takes, state) in [(ms(199), State::Closed), (ms(200), State::Open)] {
        let dropped = Task::pending(client.quick());
        time.advance(takes);
        drop(dropped);
        assert_eq!(handle.state(), state, "after {takes:?}");
    }
}
