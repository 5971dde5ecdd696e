//! Every mistake in one go, and nothing but: the trait and its client are there to be used.
use std::io;

#[seawall::resilient(colour = "blue")]
trait Payments {
    type Receipt: Send;
    #[call(retry = 0, wait = "1s")]
    async fn charge(&self, cents: u64) -> io::Result<Self::Receipt>;
    #[call(idempotent)]
    async fn fill(&self, buffer: &mut [u8]) -> io::Result<usize>;
    async fn spawn(&self) -> io::Result<()>;
    fn name(&self) -> String;
}

struct Http;
impl Payments for Http {
    type Receipt = u64;
    async fn charge(&self, cents: u64) -> io::Result<u64> {
        Ok(cents)
    }
    async fn fill(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }
    async fn spawn(&self) -> io::Result<()> {
        Ok(())
    }
    fn name(&self) -> String {
        String::new()
    }
}

async fn pay(seawall: &seawall::Seawall) -> io::Result<u64> {
    let client: PaymentsClient<Http> = seawall.spawn("payments", Http).await.unwrap();
    client.fill(&mut [1]).await?;
    client.charge(3).await
}

fn main() {}
