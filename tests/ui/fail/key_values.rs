use std::io;

#[seawall::resilient]
trait Payments {
    #[call(key = "tenant")]
    async fn history(&self, tenant: u32) -> io::Result<u64>;
    #[call(key)]
    async fn total(&self, tenant: u32) -> io::Result<u64>;
    #[call(key = tenant, skip)]
    async fn close(&self, tenant: u32) -> io::Result<u64>;
}

fn main() {}
