//! `classify`, `retry_after` and `quota` for a whole trait: one function for every type that its methods return,
//! and methods that go their own way.
#![deny(warnings)]

use std::io;
use std::time::Duration;

use seawall::limit::headers::Report;
use seawall::{CallError, Class, resilient};

#[resilient(classify = seawall::classify::io, retry_after = never, quota = nothing)]
trait Store {
    async fn read(&self, key: &str) -> io::Result<Vec<u8>>;
    async fn count(&self) -> Result<u64, io::Error>;
    async fn peek<'a>(&self, key: &'a str) -> io::Result<&'a str>;
    #[call(idempotent)]
    async fn parse<T: Send>(&self, text: &str, with: fn(&str) -> T) -> io::Result<T>;
    #[call(idempotent, classify = own, retry_after = soon, quota = whole, fallback = none)]
    async fn list(&self) -> io::Result<Vec<String>>;
    // None is heard of here, and another type does no harm.
    #[call(skip)]
    async fn version(&self) -> u8;
    fn name(&self) -> String;
}

/// Errors that are kept apart from faults are classified like any others.
#[resilient(errors = "wrapped", classify = seawall::classify::io)]
trait Wrapped {
    async fn read(&self) -> io::Result<u8>;
    #[call(retry_after = soon)]
    async fn write(&self) -> io::Result<()>;
}

fn never<T, E>(_: &Result<T, E>) -> Option<Duration> {
    None
}
fn soon<T, E>(_: &Result<T, E>) -> Option<Duration> {
    Some(Duration::from_secs(1))
}
fn nothing<T, E>(_: &Result<T, E>) -> Option<Report> {
    None
}
fn whole(_: &io::Result<Vec<String>>) -> Option<Report> {
    Some(Report { remaining: Some(9), ..Report::default() })
}
fn own(_: &io::Result<Vec<String>>) -> Class {
    Class::Ignored
}
async fn none(_: &impl Store, _: &CallError<io::Error>) -> io::Result<Vec<String>> {
    Ok(Vec::new())
}

struct Memory;
impl Store for Memory {
    async fn read(&self, key: &str) -> io::Result<Vec<u8>> {
        Ok(key.into())
    }
    async fn count(&self) -> Result<u64, io::Error> {
        Ok(1)
    }
    async fn peek<'a>(&self, key: &'a str) -> io::Result<&'a str> {
        Ok(key)
    }
    async fn parse<T: Send>(&self, text: &str, with: fn(&str) -> T) -> io::Result<T> {
        Ok(with(text))
    }
    async fn list(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
    async fn version(&self) -> u8 {
        1
    }
    fn name(&self) -> String {
        String::new()
    }
}
impl Wrapped for Memory {
    async fn read(&self) -> io::Result<u8> {
        Ok(1)
    }
    async fn write(&self) -> io::Result<()> {
        Ok(())
    }
}

async fn all(store: StoreClient<Memory>, wrapped: WrappedClient<Memory>) -> io::Result<()> {
    let _: (Vec<u8>, u64) = (store.read("").await?, store.count().await?);
    let _: (&str, usize) = (store.peek("").await?, store.parse("", str::len).await?);
    let _: (Vec<String>, u8, String) = (store.list().await?, store.version().await, store.name());
    let _: Result<u8, CallError<io::Error>> = wrapped.read().await;
    let _: Result<(), CallError<io::Error>> = wrapped.write().await;
    Ok(())
}

pub(crate) fn main() {
    let _ = (Memory, all);
}
