#[seawall::resilient]
trait Payments {
    #[call(on_fault = wrong)]
    async fn charge(&self) -> u64;
}

fn wrong(_: seawall::Fault) -> String {
    String::new()
}

fn main() {}
