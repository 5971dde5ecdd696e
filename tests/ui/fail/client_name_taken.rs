use std::io;

struct PaymentsClient;

#[seawall::resilient]
trait Payments {
    async fn charge(&self) -> io::Result<()>;
}

fn main() {}
