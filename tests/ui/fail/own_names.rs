use std::io;

#[seawall::resilient]
trait Payments {
    async fn spawn(&self) -> io::Result<()>;
    async fn clone(&self) -> io::Result<()>;
    fn service(&self) -> u64;
}

#[seawall::resilient(errors = "wrapped")]
trait Wrapped {
    async fn spawn(&self) -> io::Result<()>;
}

fn main() {}
