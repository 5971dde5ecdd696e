//! Generic methods, closures and constants in a boxed trait.

use crate::pre::*;
type R<T> = std::io::Result<T>;
#[resilient]
#[async_trait]
pub trait B: Send + Sync {
    const SIZE: usize;
    async fn get<T: Default + Send>(&self, of: &str) -> R<T>;
    async fn put<T>(&self, of: T) -> R<()>
    where
        T: Into<String> + Send + 'static;
    async fn opaque(&self, of: impl Into<String> + Send + 'async_trait) -> R<()>;
    async fn closure<F>(&self, f: F) -> R<u8>
    where
        F: Fn(u8) -> u8 + Send + Sync + 'static;
}
struct S;
#[async_trait]
impl B for S {
    const SIZE: usize = 1;
    async fn get<T: Default + Send>(&self, _: &str) -> R<T> {
        hit!(Ok(T::default()))
    }
    async fn put<T>(&self, _: T) -> R<()>
    where
        T: Into<String> + Send + 'static,
    {
        hit!(Ok(()))
    }
    async fn opaque(&self, _: impl Into<String> + Send + 'async_trait) -> R<()> {
        hit!(Ok(()))
    }
    async fn closure<F>(&self, f: F) -> R<u8>
    where
        F: Fn(u8) -> u8 + Send + Sync + 'static,
    {
        hit!(Ok(f(1)))
    }
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: BClient<S> = seawall.spawn("it", S).await.unwrap();
    let look = Look::at(&seawall);
    look.method("get", || it.get::<u8>("a")).await;
    look.method("put", || it.put("a")).await;
    look.method("opaque", || it.opaque("a")).await;
    look.method("closure", || it.closure(|x| x)).await;
}
