use std::io;

use futures::stream::BoxStream;

#[seawall::resilient]
trait Log: Send + Sync {
    #[call(idempotent, retry = 3)]
    fn read(&self) -> BoxStream<'_, io::Result<u8>>;
    #[call(key = of)]
    fn tail(&self, of: String) -> BoxStream<'static, io::Result<u8>>;
    #[call(idempotent)]
    fn at_once(&self, of: &str) -> futures::future::BoxFuture<'static, io::Result<u8>>;
}

#[seawall::resilient]
trait Ticks: Send + Sync {
    fn ticks(&self) -> BoxStream<'_, u8>;
}

fn main() {}
