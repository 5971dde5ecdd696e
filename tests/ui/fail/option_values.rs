use std::io;

#[seawall::resilient(errors = "raw", fault_with = |fault| fault, client = "Name", crate)]
trait Payments {
    async fn charge(&self) -> io::Result<()>;
}

#[seawall::resilient(errors = "wrapped", fault_with = io::Error::from)]
trait Wrapped {
    async fn charge(&self) -> io::Result<()>;
}

#[seawall::resilient(errors = "wrapped", errors = "wrapped")]
trait Twice {
    async fn charge(&self) -> io::Result<()>;
}

fn main() {}
