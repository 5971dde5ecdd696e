use std::io;

#[seawall::resilient]
trait Payments {
    async fn list(&self) -> io::Result<impl Iterator<Item = u64> + Send>;
}

fn main() {}
