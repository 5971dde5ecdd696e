use std::io;

#[seawall::resilient]
trait Payments {
    #[call(idempotent, time_out = "1s")]
    async fn balance(&self) -> io::Result<()>;
    #[call(idempotent, retry(attempts = 3))]
    async fn history(&self) -> io::Result<()>;
    #[call(some::path = 1)]
    async fn charge(&self) -> io::Result<()>;
    #[call(deadline = "2s", max_concurrent = 5, client = Name, colour = "red")]
    async fn refund(&self) -> io::Result<()>;
}

fn main() {}
