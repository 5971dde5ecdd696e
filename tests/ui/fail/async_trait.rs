use std::io;

#[seawall::resilient]
#[async_trait::async_trait]
trait Payments {
    async fn charge(&self) -> io::Result<()>;
}

fn main() {}
