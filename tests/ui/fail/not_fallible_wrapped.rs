#[seawall::resilient(errors = "wrapped")]
trait Payments {
    async fn balance(&self) -> Option<u64>;
}

fn main() {}
