use std::io;

#[seawall::resilient]
trait Payments {
    #[call(skip, timeout = "1s", idempotent)]
    async fn charge(&self) -> io::Result<()>;
}

fn main() {}
