#[derive(Debug)]
struct Declined;

#[seawall::resilient]
trait Payments {
    type Error;
    async fn charge(&self) -> Result<(), Self::Error>;
}

struct Bank;
impl Payments for Bank {
    type Error = Declined;
    async fn charge(&self) -> Result<(), Declined> {
        Ok(())
    }
}

async fn charge(client: PaymentsClient<Bank>) {
    let _ = client.charge().await;
}

fn main() {}
