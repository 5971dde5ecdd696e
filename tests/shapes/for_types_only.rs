//! Methods that are for types only, in a trait that is used as `dyn`.

use crate::pre::*;
type R<T> = std::io::Result<T>;
#[resilient]
#[async_trait]
pub trait A: Send + Sync {
    async fn get(&self) -> R<u8>;
    async fn twice(&self) -> R<u8>
    where
        Self: Sized,
    {
        self.get().await?;
        self.get().await
    }
    fn name() -> &'static str
    where
        Self: Sized,
    {
        "a"
    }
    fn boxed(self) -> Box<dyn A>
    where
        Self: Sized + 'static,
    {
        Box::new(self)
    }
}
struct S;
#[async_trait]
impl A for S {
    async fn get(&self) -> R<u8> {
        hit!(Ok(1))
    }
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: AClient<S> = seawall.spawn("it", S).await.unwrap();
    let look = Look::at(&seawall);
    look.method("get", || it.get()).await;
    look.method("twice", || it.twice()).await;
    let d: Arc<dyn A> = Arc::new(it.clone());
    look.method("get(dyn)", || d.get()).await;
    let again: AClient<dyn A> =
        seawall.spawn_arc("again", Arc::new(S) as Arc<dyn A>).await.unwrap();
    let look = Look::of(&seawall, "again");
    look.method("get(dyn service)", || again.get()).await;
}
