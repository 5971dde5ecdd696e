use std::io;
use std::sync::Arc;

#[seawall::resilient]
trait Payments {
    async fn exclusive(&mut self) -> io::Result<()>;
    async fn value(self) -> io::Result<()>;
    async fn shared(self: Arc<Self>) -> io::Result<()>;
    async fn none(cents: u64) -> io::Result<()>;
    fn consume(self) -> u64;
    fn change(&mut self) -> u64;
}

fn main() {}
