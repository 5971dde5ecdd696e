struct PaymentError;

#[seawall::resilient]
trait Payments {
    async fn balance(&self) -> Result<u64, PaymentError>;
}

fn main() {}
