use std::io;

#[seawall::resilient]
trait Payments {
    #[call(idempotent = true)]
    async fn balance(&self) -> io::Result<()>;
    #[call(skip(true))]
    async fn history(&self) -> io::Result<()>;
}

fn main() {}
