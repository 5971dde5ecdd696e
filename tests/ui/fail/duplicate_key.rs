use std::io;

#[seawall::resilient]
trait Payments {
    #[call(idempotent, timeout = "1s", timeout = "2s")]
    async fn balance(&self) -> io::Result<()>;
    #[call(idempotent)]
    #[call(idempotent)]
    async fn history(&self) -> io::Result<()>;
    #[call(idempotent, retry(max_attempts = 2, max_attempts = 3))]
    async fn third(&self) -> io::Result<()>;
}

fn main() {}
