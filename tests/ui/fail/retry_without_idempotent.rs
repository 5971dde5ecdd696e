use std::io;

#[seawall::resilient]
trait Payments {
    #[call(retry = 3)]
    async fn charge(&self, cents: u64) -> io::Result<()>;
}

fn main() {}
