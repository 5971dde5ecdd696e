//! Two `cfg_attr(…, async_trait)`; auto_impl(&, Box, Arc); generic trait; `&mut dyn Trait<T>` argument; no supertraits; library Result alias.
use super::pre::*;
use auto_impl::auto_impl;

#[derive(Debug, thiserror::Error)]
#[error("seal")]
pub struct SealError;
pub type SealResult<T> = Result<T, SealError>;
pub trait Sealable<W>: Send + Sync {
    fn put(&mut self, wax: W);
}

#[resilient]
#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
#[auto_impl(&, Box, Arc)]
#[doc(alias = "Stamp")]
pub trait Seal<W> {
    fn name(&self) -> u64;
    async fn seal(&self, letter: &mut dyn Sealable<W>) -> SealResult<W>;
}

struct Ring;
struct Note;
impl Sealable<u8> for Note {
    fn put(&mut self, _: u8) {}
}
#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Seal<u8> for Ring {
    fn name(&self) -> u64 {
        1
    }
    async fn seal(&self, letter: &mut dyn Sealable<u8>) -> SealResult<u8> {
        letter.put(1);
        hit!(Ok(1))
    }
}
impl From<Fault> for SealError {
    fn from(fault: Fault) -> Self {
        drop(fault);
        Self
    }
}
fn as_used(it: SealClient<Ring, u8>) -> Arc<dyn Seal<u8> + Send + Sync> {
    Arc::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: SealClient<Ring, u8> = seawall.spawn("it", Ring).await.unwrap();
    let look = Look::at(&seawall);
    look.method("seal", || async { it.seal(&mut Note).await.is_ok() }).await;
    {
        let used = as_used(it.clone());
        look.method("seal(dyn)", || async { used.seal(&mut Note).await.is_ok() }).await;
    }
}
