//! Async_trait; `self: Arc<Self>` beside `&self`; a default body that calls both; associated client type; sync method with `impl Iterator` and a stream answer.
use super::pre::*;

#[derive(Debug, thiserror::Error)]
pub enum MapError {
    #[error("{0}")]
    Other(String),
    #[error(transparent)]
    Fault(#[from] Fault),
}
pub type Result<T> = std::result::Result<T, MapError>;

#[resilient]
#[async_trait]
pub trait Atlas: Send + Sync + 'static {
    type Page: Send + Sync + 'static;
    async fn region(&self, key: &str) -> Result<u64>;
    async fn page(self: Arc<Self>, region: u64) -> Result<Self::Page>;
    async fn page_of(self: Arc<Self>, key: &str) -> Result<Self::Page> {
        let region = self.region(key).await?;
        self.page(region).await
    }
    fn group(
        self: Arc<Self>,
        keys: impl Iterator<Item = String> + Send + 'static,
    ) -> BoxStream<'static, Result<u64>>
    where
        Self: Sized,
    {
        futures::stream::iter(keys.map(|_| Ok(1))).boxed()
    }
}

struct World;
#[async_trait]
impl Atlas for World {
    type Page = u8;
    async fn region(&self, _: &str) -> Result<u64> {
        hit!(Ok(1))
    }
    async fn page(self: Arc<Self>, _: u64) -> Result<u8> {
        hit!(Ok(1))
    }
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: AtlasClient<World> = seawall.spawn("it", World).await.unwrap();
    let it = Arc::new(it);
    let look = Look::at(&seawall);
    look.method("region", || it.region("a")).await;
    // A body that takes a type of `Self` stays the client's, which calls what is guarded.
    assert!(it.clone().group(["a".to_string()].into_iter()).next().await.is_some());
    look.method("page", || it.clone().page(1)).await;
    look.method("page_of", || it.clone().page_of("a")).await;
}
