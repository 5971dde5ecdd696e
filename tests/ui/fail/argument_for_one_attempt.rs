use std::fmt::Display;
use std::io;

#[seawall::resilient]
trait Payments {
    #[call(idempotent)]
    async fn fill(&self, buffer: &mut Vec<u8>) -> io::Result<()>;
    #[call(idempotent)]
    async fn show(&self, what: impl Display + Send) -> io::Result<()>;
    #[call(fallback = instead)]
    async fn replaced(&self, buffer: &mut [u8], fine: &(impl Display + Sync)) -> io::Result<()>;
    #[call(idempotent, fallback = instead)]
    async fn both(&self, buffer: &mut [u8]) -> io::Result<()>;
}

fn main() {}
