//! The macro never looks for the word `Result`.
#![deny(warnings)]

use std::{fmt, io};

use seawall::{CallError, Fault, resilient};

type Answer<T> = std::result::Result<T, Error>;
type Fixed = Answer<u8>;

#[derive(Debug)]
enum Error {
    Own,
    Fault(Fault),
}
impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

#[resilient]
trait Aliased {
    async fn io(&self) -> io::Result<u8>;
    async fn answer(&self) -> Answer<u8>;
    async fn fixed(&self) -> Fixed;
    async fn formatted(&self) -> Result<(), CallError<fmt::Error>>;
    async fn boxed(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

struct Plain;
impl Aliased for Plain {
    async fn io(&self) -> io::Result<u8> {
        Ok(1)
    }
    async fn answer(&self) -> Answer<u8> {
        Err(Error::Own)
    }
    async fn fixed(&self) -> Fixed {
        Ok(1)
    }
    async fn formatted(&self) -> Result<(), CallError<fmt::Error>> {
        Ok(())
    }
    async fn boxed(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

async fn all(client: AliasedClient<Plain>) {
    match client.answer().await {
        Err(Error::Fault(fault)) => drop(format!("{fault}")),
        other => drop(format!("{other:?}")),
    }
    let _ =
        (client.io().await, client.fixed().await, client.formatted().await, client.boxed().await);
}

pub(crate) fn main() {
    let _ = (Plain, all);
}
