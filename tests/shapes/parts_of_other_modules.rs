//! Parts in other modules, named by path and imported.

use crate::pre::*;
type R<T> = std::io::Result<T>;
mod parts {
    use crate::pre::*;
    pub mod inner {
        use crate::pre::*;
        #[resilient(part)]
        #[async_trait]
        pub trait Health: Send + Sync {
            #[call(idempotent)]
            async fn health(&self) -> std::io::Result<u8>;
            fn plain(&self) -> u8 {
                1
            }
        }
    }
    #[resilient(part, on_fault = zero)]
    pub trait Size {
        fn size(&self) -> BoxFuture<'_, u64>;
    }
    fn zero(_: Fault) -> u64 {
        0
    }
}
use parts::{Size, inner::Health};
mod sealed {
    pub trait Sealed {}
}
fn zero(_: Fault) -> u64 {
    0
}
#[resilient(with(parts::inner::Health, Size), markers(sealed::Sealed))]
#[async_trait]
pub trait Store: Health + Size + sealed::Sealed + Send + Sync + 'static {
    async fn get(&self) -> R<u8>;
}
struct S;
impl sealed::Sealed for S {}
#[async_trait]
impl Health for S {
    async fn health(&self) -> R<u8> {
        hit!(Ok(1))
    }
}
impl Size for S {
    fn size(&self) -> BoxFuture<'_, u64> {
        Box::pin(async { hit!(1) })
    }
}
#[async_trait]
impl Store for S {
    async fn get(&self) -> R<u8> {
        hit!(Ok(1))
    }
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: StoreClient<S> = seawall.spawn("it", S).await.unwrap();
    let look = Look::at(&seawall);
    look.method("get", || it.get()).await;
    look.method("health", || it.health()).await;
    look.method("size", || it.size()).await;
    let d: Arc<dyn Store> = Arc::new(it.clone());
    look.method("health(dyn)", || d.health()).await;
    let again: StoreClient<dyn Store> =
        seawall.spawn_arc("again", Arc::new(S) as Arc<dyn Store>).await.unwrap();
    let look = Look::of(&seawall, "again");
    look.method("size(dyn service)", || again.size()).await;
    let names: Vec<_> =
        seawall.dependency("again").unwrap().snapshot().methods.iter().map(|m| m.name).collect();
    assert_eq!(names, ["get", "health", "size"]);
}
