//! Every way to say what a breaker is kept for.
#![deny(warnings)]

use std::fmt;
use std::io;

use seawall::client::Proxy;
use seawall::{CallError, resilient};

struct Tenant(u32);
impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tenant {}", self.0)
    }
}

/// Not `Display`, not `Clone`.
struct Order {
    shard: String,
}

#[resilient]
trait Store {
    #[call(key = shard)]
    async fn lent(&self, shard: &str) -> io::Result<u8>;
    #[call(key = shard)]
    async fn owned(&self, shard: String, value: u64) -> io::Result<u8>;
    #[call(key = tenant, idempotent, fallback = stale)]
    async fn kept(&self, tenant: u32) -> io::Result<u8>;
    #[call(key = tenant)]
    async fn displayed(&self, tenant: &Tenant) -> io::Result<u8>;
    #[call(key = shard)]
    async fn exclusive(&self, shard: &mut String) -> io::Result<u8>;
    #[call(key = shard)]
    async fn opaque(&self, shard: impl fmt::Display + Send) -> io::Result<u8>;
    #[call(key = shard)]
    async fn generic<K: fmt::Display + Send + Sync>(&self, shard: K) -> io::Result<u8>;
    #[call(key = shard_of)]
    async fn computed(&self, order: Order, count: &mut u64) -> io::Result<u8>;
    #[call(key = Order::shard)]
    async fn by_path(&self, order: &Order) -> io::Result<u8>;
}

impl Order {
    fn shard(&self) -> &str {
        &self.shard
    }
}

fn shard_of<'a>(order: &'a Order, _: &u64) -> &'a str {
    &order.shard
}
async fn stale<S: Store>(_: &S, _: &CallError<io::Error>, _: u32) -> io::Result<u8> {
    Ok(0)
}

struct Service;
impl Store for Service {
    async fn lent(&self, _: &str) -> io::Result<u8> {
        Ok(1)
    }
    async fn owned(&self, shard: String, _: u64) -> io::Result<u8> {
        drop(shard);
        Ok(2)
    }
    async fn kept(&self, _: u32) -> io::Result<u8> {
        Ok(3)
    }
    async fn displayed(&self, _: &Tenant) -> io::Result<u8> {
        Ok(4)
    }
    async fn exclusive(&self, shard: &mut String) -> io::Result<u8> {
        shard.clear();
        Ok(5)
    }
    async fn opaque(&self, _: impl fmt::Display + Send) -> io::Result<u8> {
        Ok(6)
    }
    async fn generic<K: fmt::Display + Send + Sync>(&self, _: K) -> io::Result<u8> {
        Ok(7)
    }
    async fn computed(&self, order: Order, count: &mut u64) -> io::Result<u8> {
        drop(order);
        *count += 1;
        Ok(8)
    }
    async fn by_path(&self, _: &Order) -> io::Result<u8> {
        Ok(9)
    }
}

#[resilient(errors = "wrapped", client = WrappedStore)]
trait Wrapped {
    #[call(key = shard, idempotent)]
    async fn get(&self, shard: &str) -> io::Result<u8>;
}
impl Wrapped for Service {
    async fn get(&self, _: &str) -> io::Result<u8> {
        Ok(10)
    }
}

fn send<T: Send>(_: T) {}

fn all(store: StoreClient<Service>, wrapped: WrappedStore<Service>) {
    let (mut shard, mut count) = (String::from("s"), 0);
    let order = || Order { shard: "s".into() };
    send(store.lent("s"));
    send(store.owned("s".into(), 1));
    send(store.kept(7));
    send(store.displayed(&Tenant(7)));
    send(store.exclusive(&mut shard));
    send(store.opaque("s"));
    send(store.generic('s'));
    send(store.computed(order(), &mut count));
    send(store.by_path(&order()));
    send(wrapped.get("s"));
}

pub(crate) fn main() {
    let _ = (Service, all);
    assert_eq!(StoreClient::<Service>::METHODS.len(), 9);
}
