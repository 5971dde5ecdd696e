//! The trait's own functions have to fit every method that names none of its own.
use std::fmt;
use std::io;

use seawall::Class;

#[seawall::resilient(errors = "wrapped", classify = seawall::classify::io)]
trait Payments {
    async fn balance(&self) -> io::Result<u64>;
    async fn print(&self) -> fmt::Result;
    #[call(classify = fine)]
    async fn show(&self) -> fmt::Result;
    #[call(skip)]
    async fn name(&self) -> String;
}

fn fine(_: &fmt::Result) -> Class {
    Class::Success
}

fn main() {}
