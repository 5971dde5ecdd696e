use std::io;

trait Named {
    fn name(&self) -> String;
}

#[seawall::resilient]
trait Payments: Named {
    async fn charge(&self) -> io::Result<()>;
}

fn main() {}
