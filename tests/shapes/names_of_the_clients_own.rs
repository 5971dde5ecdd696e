//! Methods called as the client's own functions are, attributes on methods, `DynClone`.

use crate::pre::*;
type R<T> = std::io::Result<T>;
#[resilient]
#[async_trait]
pub trait E: dyn_clone::DynClone + std::any::Any + Send + Sync + Unpin + 'static {
    async fn spawn(&self, of: &str) -> R<u8>;
    async fn service(&self) -> R<u8>;
    async fn traced(&self, of: &str) -> R<u8> {
        self.spawn(of).await
    }
    #[must_use]
    #[deprecated]
    async fn old(&self) -> R<u8>;
}
dyn_clone::clone_trait_object!(E);
#[derive(Clone)]
struct S;
#[async_trait]
impl E for S {
    async fn spawn(&self, _: &str) -> R<u8> {
        hit!(Ok(1))
    }
    async fn service(&self) -> R<u8> {
        hit!(Ok(1))
    }
    async fn old(&self) -> R<u8> {
        hit!(Ok(1))
    }
}

#[allow(deprecated)]
#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: EClient<S> = seawall.spawn("it", S).await.unwrap();
    let look = Look::at(&seawall);
    look.method("spawn", || E::spawn(&it, "a")).await;
    look.method("service", || it.service()).await;
    look.method("traced", || it.traced("a")).await;
    look.method("old", || it.old()).await;
    let d: Box<dyn E> = Box::new(it.clone());
    let d = d.clone();
    look.method("traced(dyn)", || d.traced("a")).await;
}
