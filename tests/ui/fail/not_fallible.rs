#[seawall::resilient]
trait Payments {
    async fn balance(&self) -> u64;
    async fn forget(&self);
}

fn main() {}
