use std::io;

use seawall::{CallError, Class, Fault};

#[seawall::resilient(fault_with = told)]
trait Payments {
    #[call(classify = class)]
    async fn classified(&self) -> io::Result<u64>;
    #[call(idempotent, retry(when = when))]
    async fn retried(&self) -> io::Result<u64>;
    #[call(fallback = answers_otherwise)]
    async fn otherwise(&self) -> io::Result<u64>;
    #[call(fallback = not_async)]
    async fn at_once(&self) -> io::Result<u64>;
}

struct Http;
impl Payments for Http {
    async fn classified(&self) -> io::Result<u64> {
        Ok(1)
    }
    async fn retried(&self) -> io::Result<u64> {
        Ok(1)
    }
    async fn otherwise(&self) -> io::Result<u64> {
        Ok(1)
    }
    async fn at_once(&self) -> io::Result<u64> {
        Ok(1)
    }
}

#[seawall::resilient]
trait One {
    #[call(fallback = for_one_service)]
    async fn one(&self) -> io::Result<u64>;
}

fn told(_: Fault) -> String {
    String::new()
}
fn class(_: &u64) -> Class {
    Class::Success
}
fn when(_: &String) -> bool {
    true
}
async fn answers_otherwise(_: &impl Payments, _: &CallError<io::Error>) -> io::Result<String> {
    Ok(String::new())
}
fn not_async(_: &impl Payments, _: &CallError<io::Error>) -> io::Result<u64> {
    Ok(1)
}
async fn for_one_service(_: &Http, _: &CallError<io::Error>) -> io::Result<u64> {
    Ok(1)
}

fn main() {}
