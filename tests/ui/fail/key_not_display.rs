use std::io;

struct Tenant(#[allow(dead_code)] u32);

#[seawall::resilient]
trait Payments {
    #[call(key = tenant)]
    async fn balance(&self, tenant: &Tenant) -> io::Result<u64>;
    #[call(key = tenat)]
    async fn charge(&self, tenant: u32) -> io::Result<u64>;
    #[call(key = shard_of)]
    async fn refund(&self, order: u32, cents: u64) -> io::Result<u64>;
}

fn shard_of(order: &u32) -> u32 {
    *order
}

fn main() {}
