use std::io;

#[seawall::resilient]
trait Payments {
    #[call(idempotent, retry = 0)]
    async fn zero(&self) -> io::Result<()>;
    #[call(idempotent, retry(max_attempts = 0))]
    async fn zero_attempts(&self) -> io::Result<()>;
    #[call(idempotent, retry = -1)]
    async fn negative(&self) -> io::Result<()>;
    #[call(idempotent, retry = 5_000_000_000)]
    async fn too_many(&self) -> io::Result<()>;
    #[call(idempotent, retry = "3")]
    async fn string(&self) -> io::Result<()>;
    #[call(idempotent, retry)]
    async fn nothing(&self) -> io::Result<()>;
    #[call(idempotent, retry(when = |_| true))]
    async fn closure(&self) -> io::Result<()>;
}

fn main() {}
