use std::io;

#[seawall::resilient]
trait Payments {
    // These the client gives way to.
    async fn spawn(&self) -> io::Result<()>;
    fn service(&self) -> u64;
    async fn clone(&self) -> io::Result<()>;
}

#[seawall::resilient(errors = "wrapped")]
trait Wrapped {
    async fn spawn(&self) -> io::Result<()>;
}

fn main() {}
