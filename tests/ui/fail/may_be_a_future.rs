use std::future::Future;
use std::io;
use std::pin::Pin;

type PaymentFuture<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

#[seawall::resilient]
trait Payments: Send + Sync {
    async fn charge(&self) -> io::Result<()>;
    fn refund(&self) -> PaymentFuture<'_>;
    fn pay(&self) -> impl Send;
}

fn main() {}
