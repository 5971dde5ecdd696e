use std::fmt::Display;
use std::io;

#[seawall::resilient]
trait Payments: Display {
    async fn charge(&self) -> io::Result<()>;
}

fn main() {}
