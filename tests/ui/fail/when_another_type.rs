use std::io;

#[seawall::resilient]
trait Payments {
    #[call(idempotent, retry(when = when))]
    async fn balance(&self) -> io::Result<u64>;
}

fn when(_: &String) -> bool {
    true
}

fn main() {}
