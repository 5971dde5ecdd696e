struct Bank;

trait Payments {}

#[seawall::resilient]
impl Payments for Bank {}

#[seawall::resilient]
impl Bank {
    pub fn name(&self) -> &str {
        "bank"
    }
    async fn log(&self) {}
}

struct Of<T>(T);

#[seawall::resilient]
impl<T> Of<T> {
    pub async fn get(&self) {}
}

fn main() {}
