//! A retry that is refused: the error of the attempt before it is not lost.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use seawall::Time;
use seawall::prelude::*;
use seawall_tests::{Task, ready};

use super::build::*;

/// An error that is none of the standard library's, and cannot be a source.
#[derive(Debug)]
struct Odd(Option<Fault>);

impl From<Fault> for Odd {
    fn from(fault: Fault) -> Self {
        Self(Some(fault))
    }
}

#[resilient]
trait Bank {
    #[call(idempotent)]
    async fn balance(&self) -> io::Result<u32>;
    #[call(idempotent)]
    async fn rate(&self) -> Result<u32, Odd>;
    #[call(idempotent)]
    async fn hang(&self) -> io::Result<u32>;
    #[call(idempotent)]
    async fn generic<E: From<Fault> + Send + Sync + fmt::Debug>(
        &self,
        error: fn() -> E,
    ) -> Result<u32, E>;
}

#[derive(Default)]
struct Broken(AtomicU32);

impl Bank for Broken {
    async fn balance(&self) -> io::Result<u32> {
        let attempt = self.0.fetch_add(1, Ordering::Relaxed);
        Err(io::Error::other(format!("no route, attempt {attempt}")))
    }
    async fn rate(&self) -> Result<u32, Odd> {
        Err(Odd(None))
    }
    async fn hang(&self) -> io::Result<u32> {
        std::future::pending().await
    }
    async fn generic<E: From<Fault> + Send + Sync + fmt::Debug>(
        &self,
        error: fn() -> E,
    ) -> Result<u32, E> {
        Err(error())
    }
}

fn bank(failures: u32) -> (seawall::ManualTime, Seawall, BankClient<Broken>) {
    let time = Time::manual();
    let seawall = Seawall::builder().time(Time::from(time.clone())).start().unwrap();
    let client = ready(seawall.spawn("bank", Broken::default())).unwrap();
    let policy = base().breaker(trips_after(failures)).build().unwrap();
    seawall.dependency("bank").unwrap().set_policy(policy);
    (time, seawall, client)
}

fn fault(error: &io::Error) -> &Fault {
    error.get_ref().unwrap().downcast_ref::<Fault>().unwrap()
}

#[test]
fn a_retry_that_meets_an_open_breaker_keeps_the_error_of_the_attempt_before() {
    let (time, _seawall, client) = bank(2);
    let mut call = Task::pending(client.balance());
    time.advance(ms(100));
    let mut third = call.poll();
    if third.is_pending() {
        time.advance(ms(200));
        third = call.poll();
    }
    let std::task::Poll::Ready(Err(error)) = third else { panic!("{third:?}") };
    let fault = fault(&error);
    assert!(matches!(fault, Fault::Rejected { by: RejectedBy::Breaker, .. }), "{fault:?}");
    let source = Error::source(fault).expect("the earlier error");
    assert_eq!(source.to_string(), "no route, attempt 1");
    let Fault::Rejected { earlier: Some(earlier), .. } = fault else { panic!("{fault:?}") };
    assert!(earlier.get().downcast_ref::<io::Error>().is_some(), "it can be looked into");
    let again = ready(client.balance()).unwrap_err();
    assert!(Error::source(self::fault(&again)).is_none(), "a first attempt has none before it");
}

#[test]
fn a_timeout_before_it_is_kept_too() {
    let (time, _seawall, client) = bank(1);
    let mut call = Task::pending(client.hang());
    time.advance(secs(1));
    assert!(call.poll().is_pending(), "the backoff");
    time.advance(ms(100));
    let error = call.ready().unwrap_err();
    let source = Error::source(fault(&error)).expect("the earlier error");
    assert_eq!(source.to_string(), "bank: no answer within 1s");
}

#[test]
fn an_error_that_cannot_be_a_source_is_none() {
    for is_generic in [false, true] {
        let (time, _seawall, client) = bank(1);
        let error = if is_generic {
            let mut call = Task::pending(client.generic(|| Odd(None)));
            time.advance(ms(100));
            call.poll()
        } else {
            let mut call = Task::pending(client.rate());
            time.advance(ms(100));
            call.poll()
        };
        let std::task::Poll::Ready(Err(Odd(Some(Fault::Rejected { earlier, .. })))) = error else {
            panic!("{error:?}")
        };
        assert!(earlier.is_none());
    }
}
