//! `-> impl Future + MaybeSend`; own marker supertraits; sync default with an `impl Into<_>` argument and a type over `Self`, `where Self: Sized + Clone`.
use super::pre::*;

pub trait MaybeSend: Send {}
impl<T: Send> MaybeSend for T {}
pub trait MaybeSync: Sync {}
impl<T: Sync> MaybeSync for T {}
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    #[error("{0}")]
    Other(String),
    #[error(transparent)]
    Fault(#[from] Fault),
}
pub struct Request<M>(pub M, pub String);

#[resilient]
pub trait Tuner: MaybeSend + MaybeSync {
    fn tune(&self, request: String) -> impl Future<Output = Result<u8, TuneError>> + MaybeSend;
    fn stream(
        &self,
        request: String,
    ) -> impl Future<Output = Result<BoxStream<'static, u8>, TuneError>> + MaybeSend;
    fn request(&self, prompt: impl Into<String>) -> Request<Self>
    where
        Self: Sized + Clone,
    {
        Request(self.clone(), prompt.into())
    }
    fn can(&self) -> u8 {
        0
    }
}

#[derive(Clone)]
struct Fork;
impl Tuner for Fork {
    async fn tune(&self, _: String) -> Result<u8, TuneError> {
        hit!(Ok(1))
    }
    async fn stream(&self, _: String) -> Result<BoxStream<'static, u8>, TuneError> {
        hit!(Ok(futures::stream::empty().boxed()))
    }
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: TunerClient<Fork> = seawall.spawn("it", Fork).await.unwrap();
    let look = Look::at(&seawall);
    look.method("tune", || it.tune("a".into())).await;
    look.method("stream", || it.stream("a".into())).await;
    assert_eq!(it.request("a").1, "a");
}
