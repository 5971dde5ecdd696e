//! Generic trait; `self: Arc<Self>` -> BoxFuture<'static, Result>; `type Error`; where clauses on methods; `where Self: Sized` method; must_use.
use super::pre::*;

#[resilient]
pub trait Memory<D> {
    type Error;
    #[must_use = "futures do nothing unless polled"]
    fn forget(self: Arc<Self>, chat: i64) -> BoxFuture<'static, Result<(), Self::Error>>
    where
        D: Send + 'static;
    fn recall(self: Arc<Self>, chat: i64) -> BoxFuture<'static, Result<Option<D>, Self::Error>>;
    fn keep(self: Arc<Self>) -> Arc<Self>
    where
        Self: Sized + Send + Sync + 'static,
    {
        self
    }
}

#[derive(Debug, thiserror::Error)]
enum Blank {
    #[error(transparent)]
    Fault(#[from] Fault),
}
struct Head;
impl Memory<u8> for Head {
    type Error = Blank;
    fn forget(self: Arc<Self>, _: i64) -> BoxFuture<'static, Result<(), Blank>> {
        Box::pin(async { hit!(Ok(())) })
    }
    fn recall(self: Arc<Self>, _: i64) -> BoxFuture<'static, Result<Option<u8>, Blank>> {
        Box::pin(async { hit!(Ok(None)) })
    }
}
fn as_used(it: MemoryClient<Head, u8>) -> Arc<dyn Memory<u8, Error = Blank>> {
    Arc::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: MemoryClient<Head, u8> = seawall.spawn("it", Head).await.unwrap();
    let it = Arc::new(it);
    let look = Look::at(&seawall);
    look.method("forget", || it.clone().forget(1)).await;
    look.method("recall", || it.clone().recall(1)).await;
    {
        let used = as_used((*it).clone());
        look.method("forget(dyn)", || used.clone().forget(1)).await;
    }
}
