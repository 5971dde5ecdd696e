use std::io;

#[seawall::resilient]
trait Payments<PaymentsClient> {
    async fn charge(&self, with: PaymentsClient) -> io::Result<()>;
}

#[seawall::resilient(client = Same)]
trait Same {
    async fn charge(&self) -> io::Result<()>;
}

fn main() {}
