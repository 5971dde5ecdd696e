//! Async_trait; Send + Sync + 'static + Debug; sync methods that return Box<dyn Self-trait>; anyhow::Error as Error.
use super::pre::*;
use anyhow::Error;

#[resilient]
#[async_trait]
pub trait Ferry: Send + Sync + 'static + std::fmt::Debug {
    fn with_timeout(&self, timeout: Duration) -> Box<dyn Ferry>;
    async fn carry(&self, context: &u8, load: &str) -> Result<Vec<u8>, Error>;
    async fn trips(
        &self,
        context: &u8,
        load: &str,
    ) -> Result<BoxStream<'static, Result<u8, Error>>, Error>;
}

#[derive(Debug)]
struct Raft;
#[async_trait]
impl Ferry for Raft {
    fn with_timeout(&self, _: Duration) -> Box<dyn Ferry> {
        Box::new(Raft)
    }
    async fn carry(&self, _: &u8, _: &str) -> Result<Vec<u8>, Error> {
        hit!(Ok(vec![]))
    }
    async fn trips(&self, _: &u8, _: &str) -> Result<BoxStream<'static, Result<u8, Error>>, Error> {
        hit!(Ok(futures::stream::empty().boxed()))
    }
}
fn as_used(it: FerryClient<Raft>) -> Arc<dyn Ferry> {
    Arc::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: FerryClient<Raft> = seawall.spawn("it", Raft).await.unwrap();
    let look = Look::at(&seawall);
    look.method("carry", || it.carry(&1, "a")).await;
    look.method("trips", || it.trips(&1, "a")).await;
    {
        let used = as_used(it.clone());
        look.method("carry(dyn)", || used.carry(&1, "a")).await;
    }
}
