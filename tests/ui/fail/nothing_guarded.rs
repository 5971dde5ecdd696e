use std::io;

#[seawall::resilient]
trait Nothing {}

#[seawall::resilient]
trait Skipped: Send + Sync {
    #[call(skip)]
    async fn ping(&self) -> io::Result<u8>;
    fn plain(&self) -> u8;
}

fn main() {}
