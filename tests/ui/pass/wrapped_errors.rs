//! `errors = "wrapped"`: the trait stays as it is, and the client tells faults and errors apart.
#![deny(warnings)]

use std::num::ParseIntError;

use seawall::{CallError, resilient};

/// Its error type is not ours to extend.
#[resilient(errors = "wrapped")]
pub(crate) trait Numbers {
    /// What comes out.
    type Number: Send;
    /// Reads.
    ///
    /// # Errors
    /// It is not a number.
    #[call(idempotent, fallback = zero)]
    async fn read(&self, text: &str) -> Result<Self::Number, ParseIntError>;
    /// Two of them.
    async fn both<'a>(
        &'a self,
        one: &str,
        two: Self::Number,
    ) -> Result<(&'a str, Self::Number), ParseIntError>
    where
        Self::Number: Copy;
    /// Not guarded.
    #[must_use = "it tells something"]
    #[call(skip)]
    async fn ping(&self) -> u8;
    /// Stays with the service.
    fn base(&self) -> u32;
}

async fn zero<S: Numbers>(
    service: &S,
    _: &CallError<ParseIntError>,
    _: &str,
) -> Result<S::Number, ParseIntError> {
    service.read("0").await
}

struct Decimal;
impl Numbers for Decimal {
    type Number = i32;
    async fn read(&self, text: &str) -> Result<i32, ParseIntError> {
        text.parse()
    }
    async fn both<'a>(&'a self, _: &str, two: i32) -> Result<(&'a str, i32), ParseIntError> {
        Ok(("", two))
    }
    async fn ping(&self) -> u8 {
        1
    }
    fn base(&self) -> u32 {
        10
    }
}

fn send<T: Send>(value: T) -> T {
    value
}

async fn all(numbers: NumbersClient<Decimal>) {
    match send(numbers.read("1")).await {
        Ok(number) => drop(format!("{number}")),
        Err(CallError::Inner(error)) => drop(format!("not a number: {error}")),
        Err(CallError::Fault(fault)) => drop(format!("not asked: {fault}")),
    }
    let _ = send(numbers.both("1", 2)).await;
    drop(format!("{} {}", send(numbers.ping()).await, numbers.service().base()));
}

pub(crate) fn main() {
    let _ = (Decimal, all);
}
