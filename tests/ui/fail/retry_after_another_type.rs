use std::io;

#[seawall::resilient]
trait Payments {
    #[call(retry_after = seconds)]
    async fn balance(&self) -> io::Result<u64>;
}

fn seconds(_: &io::Result<u64>) -> u64 {
    7
}

fn main() {}
