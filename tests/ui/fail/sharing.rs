use std::io;
use std::sync::Arc;

#[seawall::resilient(clone, exclusive)]
trait Both {
    async fn charge(&mut self) -> io::Result<()>;
}

#[seawall::resilient(exclusive)]
trait Alone {
    async fn charge(&mut self) -> io::Result<()>;
    async fn shared(self: Arc<Self>) -> io::Result<()>;
    fn name(&self) -> String;
}

fn main() {}
