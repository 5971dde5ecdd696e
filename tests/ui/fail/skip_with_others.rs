use std::io;

#[seawall::resilient]
trait Payments {
    #[call(skip, timeout = "1s", idempotent, slow_call = "1s", retry_after = soon)]
    async fn charge(&self) -> io::Result<()>;
}

fn main() {}
