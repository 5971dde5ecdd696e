use std::io;

use seawall::CallError;

struct Order;

#[seawall::resilient]
trait Payments {
    #[call(idempotent)]
    async fn retried(&self, id: u64, order: Order) -> io::Result<()>;
    #[call(fallback = instead)]
    async fn replaced(&self, order: Order, by: &Order) -> io::Result<()>;
    async fn fine(&self, order: Order) -> io::Result<()>;
}

async fn instead(_: &impl Payments, _: &CallError<io::Error>, _: Order, _: &Order) -> io::Result<()> {
    Ok(())
}

fn main() {}
