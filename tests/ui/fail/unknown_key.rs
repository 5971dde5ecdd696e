use std::io;

#[seawall::resilient]
trait Payments {
    #[call(idempotent, time_out = "1s")]
    async fn balance(&self) -> io::Result<()>;
    #[call(idempotent, retry(attempts = 3))]
    async fn history(&self) -> io::Result<()>;
    #[call(some::path = 1)]
    async fn charge(&self) -> io::Result<()>;
}

fn main() {}
