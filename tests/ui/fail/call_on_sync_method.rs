#[seawall::resilient]
trait Payments {
    #[call(idempotent)]
    fn name(&self) -> String;
}

fn main() {}
