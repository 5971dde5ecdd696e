//! What nobody can be called for in passing.
use std::io;

#[seawall::resilient]
trait Log {
    #[call(oneway)]
    async fn fill(&self, buffer: &mut [u8]) -> io::Result<()>;
    #[call(oneway)]
    async fn write<T: Send + 'static>(&self, what: T) -> io::Result<()>;
    #[call(oneway, fallback = none)]
    async fn read(&self) -> io::Result<()>;
    #[call(oneway, on_fault = nothing)]
    async fn told(&self);
    #[call(oneway = "yes")]
    async fn text(&self);
    #[call(oneway(merged = add))]
    async fn key(&self, by: u64);
    #[call(oneway)]
    fn lines(&self) -> futures::stream::BoxStream<'_, io::Result<String>>;
}

fn main() {}
