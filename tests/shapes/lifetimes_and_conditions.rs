//! Lifetimes of the trait, generic associated types, methods under `cfg`.

use crate::pre::*;
type R<T> = std::io::Result<T>;
#[resilient]
#[async_trait]
pub trait C<'a, T = u8>: Send + Sync
where
    T: Send + Sync,
{
    type Row<'r>: Send
    where
        Self: 'r;
    async fn get(&'a self, of: &'a T) -> R<&'a T>;
    async fn rows(&self) -> R<Self::Row<'_>>;
    #[cfg(unix)]
    async fn flush(&self) -> R<()>;
    #[cfg(not(unix))]
    async fn flush(&self) -> R<u8>;
}
struct S;
#[async_trait]
impl<'a> C<'a> for S {
    type Row<'r> = u8;
    async fn get(&'a self, of: &'a u8) -> R<&'a u8> {
        hit!(Ok(of))
    }
    async fn rows(&self) -> R<u8> {
        hit!(Ok(1))
    }
    async fn flush(&self) -> R<()> {
        hit!(Ok(()))
    }
}
static ONE: u8 = 1;

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: CClient<'_, S> = seawall.spawn("it", S).await.unwrap();
    let look = Look::at(&seawall);
    look.method("get", || it.get(&ONE)).await;
    look.method("rows", || it.rows()).await;
    look.method("flush", || it.flush()).await;
}
