//! Async_trait; Debug + Send + Sync + 'static; Box<dyn Trait> argument; a method written out as async_trait expands it; Box<dyn AsyncRead> answer; `&[&'a Path]`; two error types, one of them anyhow.
use super::pre::*;
use std::ops::Range;
use std::path::Path;
use tokio::io::AsyncRead;

#[derive(Debug)]
pub struct CellarError(pub String);
pub type CellarResult<T> = Result<T, CellarError>;
#[derive(Debug)]
pub struct BulkError(pub Vec<String>);
pub trait Load: Send + Sync {
    fn len(&self) -> u64;
}

#[resilient]
#[async_trait]
pub trait Cellar: std::fmt::Debug + Send + Sync + 'static {
    async fn check(&self) -> anyhow::Result<()>;
    async fn put(&self, path: &Path, load: Box<dyn Load>) -> CellarResult<()>;
    fn copy_to<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        path: &'life1 Path,
        output: &'life2 mut (dyn Load + 'life2),
    ) -> Pin<Box<dyn Future<Output = CellarResult<()>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait;
    async fn slice(
        &self,
        path: &Path,
        range: Range<usize>,
    ) -> CellarResult<Box<dyn AsyncRead + Send + Unpin>>;
    async fn bulk_delete<'a>(&self, paths: &[&'a Path]) -> Result<(), BulkError>;
}

#[derive(Debug)]
struct Stone;
struct Sack;
impl Load for Sack {
    fn len(&self) -> u64 {
        1
    }
}
#[async_trait]
impl Cellar for Stone {
    async fn check(&self) -> anyhow::Result<()> {
        hit!(Ok(()))
    }
    async fn put(&self, _: &Path, _: Box<dyn Load>) -> CellarResult<()> {
        hit!(Ok(()))
    }
    fn copy_to<'life0, 'life1, 'life2, 'async_trait>(
        &'life0 self,
        _: &'life1 Path,
        _: &'life2 mut (dyn Load + 'life2),
    ) -> Pin<Box<dyn Future<Output = CellarResult<()>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async { hit!(Ok(())) })
    }
    async fn slice(
        &self,
        _: &Path,
        _: Range<usize>,
    ) -> CellarResult<Box<dyn AsyncRead + Send + Unpin>> {
        hit!(Ok(Box::new(tokio::io::empty())))
    }
    async fn bulk_delete<'a>(&self, _: &[&'a Path]) -> Result<(), BulkError> {
        hit!(Ok(()))
    }
}
impl From<Fault> for CellarError {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}
impl From<Fault> for BulkError {
    fn from(fault: Fault) -> Self {
        Self(vec![fault.to_string()])
    }
}
fn as_used(it: CellarClient<Stone>) -> Arc<dyn Cellar> {
    Arc::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: CellarClient<Stone> = seawall.spawn("it", Stone).await.unwrap();
    let look = Look::at(&seawall);
    let path = Path::new("a");
    look.method("check", || it.check()).await;
    look.method("put", || it.put(path, Box::new(Sack))).await;
    look.method("copy_to(boxed)", || async { it.copy_to(path, &mut Sack).await.is_ok() }).await;
    look.method("slice", || it.slice(path, 0..1)).await;
    look.method("bulk_delete", || it.bulk_delete(&[])).await;
    {
        let used = as_used(it.clone());
        look.method("check(dyn)", || used.check()).await;
    }
}
