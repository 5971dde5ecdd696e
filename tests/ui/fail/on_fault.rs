use std::io;

#[seawall::resilient]
trait Payments {
    #[call(on_fault = none, classify = class, fallback = other)]
    async fn count(&self) -> u64;
    #[call(on_fault = wrong)]
    async fn charge(&self) -> u64;
}

#[seawall::resilient(errors = "wrapped", inherent)]
trait Wrapped {
    #[call(on_fault = none)]
    async fn count(&self) -> u64;
    async fn charge(&self) -> io::Result<()>;
}

fn none(_: seawall::Fault) -> u64 {
    0
}

fn main() {}
