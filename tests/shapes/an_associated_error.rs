//! Async_trait; no supertraits; `type Err: Into<E> + From<E>`; default bodies; boxed stream in a Result; sync methods, one without an answer.
use super::pre::*;

#[derive(Debug, thiserror::Error)]
pub enum CoinError {
    #[error("{0}")]
    Other(String),
    #[error(transparent)]
    Fault(#[from] Fault),
}

#[resilient]
#[async_trait]
pub trait Coins {
    type Err: Into<CoinError> + From<CoinError>;
    async fn open(&self) -> Result<(), Self::Err> {
        Ok(())
    }
    async fn settings(&self) -> Result<u8, Self::Err>;
    async fn pay(&self, unit: &str, options: Vec<u8>) -> Result<u64, Self::Err>;
    async fn events(&self) -> Result<Pin<Box<dyn Stream<Item = u8> + Send>>, Self::Err>;
    fn is_listening(&self) -> bool;
    fn stop_listening(&self);
}

struct Purse;
#[async_trait]
impl Coins for Purse {
    type Err = CoinError;
    async fn settings(&self) -> Result<u8, CoinError> {
        hit!(Ok(1))
    }
    async fn pay(&self, _: &str, _: Vec<u8>) -> Result<u64, CoinError> {
        hit!(Ok(1))
    }
    async fn events(&self) -> Result<Pin<Box<dyn Stream<Item = u8> + Send>>, CoinError> {
        hit!(Ok(futures::stream::empty().boxed()))
    }
    fn is_listening(&self) -> bool {
        false
    }
    fn stop_listening(&self) {}
}
fn as_used(it: CoinsClient<Purse>) -> Arc<dyn Coins<Err = CoinError> + Send + Sync> {
    Arc::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: CoinsClient<Purse> = seawall.spawn("it", Purse).await.unwrap();
    let look = Look::at(&seawall);
    look.answer("open", || async { format!("{:?}", it.open().await) }).await;
    look.method("settings", || it.settings()).await;
    look.method("pay", || it.pay("a", vec![])).await;
    look.method("events", || it.events()).await;
    {
        let used = as_used(it.clone());
        look.method("settings(dyn)", || used.settings()).await;
    }
    {
        let again: CoinsClient<dyn Coins<Err = CoinError> + Send + Sync> = seawall
            .spawn_arc("again", Arc::new(Purse) as Arc<dyn Coins<Err = CoinError> + Send + Sync>)
            .await
            .unwrap();
        let look = Look::of(&seawall, "again");
        look.method("settings(dyn service)", || again.settings()).await;
    }
}
