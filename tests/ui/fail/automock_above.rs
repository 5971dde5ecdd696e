use std::io;

#[mockall::automock]
#[seawall::resilient]
trait Payments {
    async fn charge(&self) -> io::Result<()>;
}

fn main() {}
