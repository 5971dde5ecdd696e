use std::io;

#[seawall::resilient]
trait Payments {
    #[call(fallback = |_, _| async { Ok(1) }, classify = "class")]
    async fn balance(&self) -> io::Result<u64>;
}

fn main() {}
