use std::io;

use seawall::Fault;

#[seawall::resilient(fault_with = told)]
trait Payments {
    async fn charge(&self) -> io::Result<u64>;
}

fn told(_: Fault) -> String {
    String::new()
}

fn main() {}
