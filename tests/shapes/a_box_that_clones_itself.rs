//! Async_trait; supertrait that clones a box of itself; default async body; stream in a Result; sync `&mut self` with a body; slices, `&str`.
use super::pre::*;

#[derive(Debug, thiserror::Error)]
pub enum PoetError {
    #[error("{0}")]
    Other(String),
    #[error(transparent)]
    Fault(#[from] Fault),
}
pub struct Verse(pub String);
pub trait PoetClone {
    fn clone_box(&self) -> Box<dyn std::any::Any>;
}
impl<T: Clone + 'static> PoetClone for T {
    fn clone_box(&self) -> Box<dyn std::any::Any> {
        Box::new(self.clone())
    }
}

#[resilient]
#[async_trait]
pub trait Poet: Sync + Send + PoetClone {
    async fn compose(&self, lines: &[Verse]) -> Result<Verse, PoetError>;
    async fn recite(&self, line: &str) -> Result<String, PoetError> {
        self.compose(&[Verse(line.into())]).await.map(|verse| verse.0)
    }
    async fn stream(
        &self,
        _lines: &[Verse],
    ) -> Result<Pin<Box<dyn Stream<Item = Result<Verse, PoetError>> + Send>>, PoetError>;
    fn set_mood(&mut self, _mood: u8) {}
    fn count(&self, lines: &[Verse]) -> usize {
        lines.len()
    }
}

#[derive(Clone)]
struct Bard;
#[async_trait]
impl Poet for Bard {
    async fn compose(&self, _: &[Verse]) -> Result<Verse, PoetError> {
        hit!(Ok(Verse("o".into())))
    }
    async fn stream(
        &self,
        _: &[Verse],
    ) -> Result<Pin<Box<dyn Stream<Item = Result<Verse, PoetError>> + Send>>, PoetError> {
        hit!(Ok(futures::stream::empty().boxed()))
    }
}
fn as_used(it: PoetClient<Bard>) -> Box<dyn Poet> {
    Box::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: PoetClient<Bard> = seawall.spawn("it", Bard).await.unwrap();
    let look = Look::at(&seawall);
    look.method("compose", || it.compose(&[])).await;
    look.method("recite", || it.recite("a")).await;
    look.method("stream", || it.stream(&[])).await;
    {
        let used = as_used(it.clone());
        look.method("compose(dyn)", || used.compose(&[])).await;
    }
}
