use std::io;

#[seawall::resilient]
trait Payments {
    #[cfg_attr(unix, call(idempotent))]
    async fn balance(&self) -> io::Result<()>;
}

fn main() {}
