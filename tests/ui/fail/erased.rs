use std::io;

#[seawall::resilient(dyn)]
trait Orders<T: Send + Sync> {
    const SIZE: u8;
    type Item: Send;
    async fn find(&self, of: &T) -> io::Result<()>;
    async fn all<U: Send>(&self) -> io::Result<U>;
    async fn take(self: std::sync::Arc<Self>) -> io::Result<()>;
    fn like(&self, of: impl Send) -> u8;
}

#[seawall::resilient(dyn)]
trait Boxed: Send + Sync {
    fn find(&self) -> futures::future::BoxFuture<'_, io::Result<()>>;
}

fn main() {}
