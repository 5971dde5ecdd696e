use std::io;

#[seawall::resilient]
trait Payments {
    #[call]
    async fn balance(&self) -> io::Result<()>;
    #[call()]
    async fn history(&self) -> io::Result<()>;
    #[call = "idempotent"]
    async fn charge(&self) -> io::Result<()>;
}

fn main() {}
