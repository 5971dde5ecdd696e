//! `cfg_attr(wasm, async_trait(?Send))` and `cfg_attr(not(wasm), async_trait)`; own alias trait as supertrait; `type Error: Debug + Into<E>`; sync getter.
use super::pre::*;

pub trait Deps: std::fmt::Debug + Send + Sync + 'static {}
impl<T: std::fmt::Debug + Send + Sync + 'static> Deps for T {}
#[derive(Debug, thiserror::Error)]
pub enum ReelError {
    #[error(transparent)]
    Fault(#[from] Fault),
}

#[resilient]
#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
pub trait Reels: Deps {
    type Error: std::fmt::Debug + Into<ReelError>;
    async fn lease(&self, ms: u32, key: &str, holder: &str) -> Result<Option<u64>, Self::Error>;
    async fn add(&self, request: &str, content: Vec<u8>, ignore: bool) -> Result<(), Self::Error>;
    fn policy(&self) -> u8;
}

#[derive(Debug)]
struct Can;
#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Reels for Can {
    type Error = ReelError;
    async fn lease(&self, _: u32, _: &str, _: &str) -> Result<Option<u64>, ReelError> {
        hit!(Ok(None))
    }
    async fn add(&self, _: &str, _: Vec<u8>, _: bool) -> Result<(), ReelError> {
        hit!(Ok(()))
    }
    fn policy(&self) -> u8 {
        1
    }
}
fn as_used(it: ReelsClient<Can>) -> Arc<dyn Reels<Error = ReelError>> {
    Arc::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: ReelsClient<Can> = seawall.spawn("it", Can).await.unwrap();
    let look = Look::at(&seawall);
    look.method("lease", || it.lease(1, "a", "b")).await;
    look.method("add", || it.add("a", vec![], true)).await;
    {
        let used = as_used(it.clone());
        look.method("lease(dyn)", || used.lease(1, "a", "b")).await;
    }
}
