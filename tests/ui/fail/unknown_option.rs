use std::io;

#[seawall::resilient(error = "wrapped", crate = "::seawall")]
trait Payments {
    async fn charge(&self) -> io::Result<()>;
}

fn main() {}
