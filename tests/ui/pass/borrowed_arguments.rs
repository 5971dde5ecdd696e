//! Arguments may borrow, for as long as they like: nothing is moved to another task.
#![deny(warnings)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use seawall::{Fault, resilient};

#[resilient]
trait Store {
    async fn get(&self, key: &str) -> Result<Vec<u8>, Error>;
    #[call(idempotent)]
    async fn longest<'a>(&self, one: &'a str, other: &'a str) -> Result<&'a str, Error>;
    #[call(idempotent, fallback = nothing_of_it)]
    async fn own<'me, 'a: 'me>(
        &'me self,
        key: &'a str,
        all: &[Cow<'a, str>],
    ) -> Result<&'me str, Error>
    where
        Self: 'me;
    #[call(idempotent)]
    async fn visit(
        &self,
        each: &(dyn Fn(&str) -> bool + Sync),
        at: Option<&str>,
    ) -> Result<u32, Error>;
    async fn fill(
        &self,
        buffer: &mut [u8],
        counts: &mut HashMap<String, u32>,
    ) -> Result<usize, Error>;
}

async fn nothing_of_it<'a>(
    _: &'a impl Store,
    _: &seawall::CallError<Error>,
    _: &str,
    _: &[Cow<'_, str>],
) -> Result<&'a str, Error> {
    Ok("")
}

#[derive(Debug)]
struct Error(#[allow(dead_code)] Fault);
impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no")
    }
}

struct Memory(String);
impl Store for Memory {
    async fn get(&self, key: &str) -> Result<Vec<u8>, Error> {
        Ok(key.as_bytes().to_vec())
    }
    async fn longest<'a>(&self, one: &'a str, other: &'a str) -> Result<&'a str, Error> {
        Ok(if one.len() < other.len() { other } else { one })
    }
    async fn own<'me, 'a: 'me>(&'me self, _: &'a str, _: &[Cow<'a, str>]) -> Result<&'me str, Error>
    where
        Self: 'me,
    {
        Ok(&self.0)
    }
    async fn visit(
        &self,
        each: &(dyn Fn(&str) -> bool + Sync),
        at: Option<&str>,
    ) -> Result<u32, Error> {
        Ok(u32::from(each(at.unwrap_or_default())))
    }
    async fn fill(
        &self,
        buffer: &mut [u8],
        counts: &mut HashMap<String, u32>,
    ) -> Result<usize, Error> {
        buffer.fill(1);
        counts.insert(String::new(), 1);
        Ok(buffer.len())
    }
}

fn send<T: Send>(value: T) -> T {
    value
}

async fn all(store: &StoreClient<Memory>) -> Result<(), Error> {
    let longest = {
        let key = String::from("key");
        send(store.get(&key)).await?;
        send(store.longest("a", "bb")).await?
    };
    let own = send(store.own(longest, &[Cow::Borrowed("c")])).await?;
    send(store.visit(&|seen| seen == own, Some(own))).await?;
    let mut buffer = [0; 4];
    send(store.fill(&mut buffer, &mut HashMap::new())).await?;
    Ok(())
}

pub(crate) fn main() {
    let _ = Memory(String::new());
    let _ = all;
    let _ = StoreClient::<Memory>::spawn;
}
