use std::io;

macro_rules! more {
    () => {};
}

#[seawall::resilient]
trait Payments {
    async fn charge(&self) -> io::Result<()>;
    more!();
}

fn main() {}
