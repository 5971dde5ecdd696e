//! Async_trait; the trait passed around is the sum of several service traits, with a few methods of its own; `&mut [T]` argument; async method without a Result.
use super::pre::*;

#[derive(Debug, Clone)]
pub enum PostError {
    Closed,
}

#[resilient(part)]
#[async_trait]
pub trait Letters: Send + Sync {
    async fn poll(&self, stream: &u8, partition: Option<u32>) -> Result<Vec<u8>, PostError>;
    async fn send(&self, stream: &u8, letters: &mut [Vec<u8>]) -> Result<(), PostError>;
}
#[resilient(with(Letters))]
#[async_trait]
pub trait Post: Letters + Sync + Send + std::fmt::Debug {
    async fn connect(&self) -> Result<(), PostError>;
    #[call(on_fault = none)]
    async fn events(&self) -> Vec<u8>;
}

#[derive(Debug)]
struct Horse;
#[async_trait]
impl Letters for Horse {
    async fn poll(&self, _: &u8, _: Option<u32>) -> Result<Vec<u8>, PostError> {
        hit!(Ok(vec![]))
    }
    async fn send(&self, _: &u8, _: &mut [Vec<u8>]) -> Result<(), PostError> {
        hit!(Ok(()))
    }
}
#[async_trait]
impl Post for Horse {
    async fn connect(&self) -> Result<(), PostError> {
        hit!(Ok(()))
    }
    async fn events(&self) -> Vec<u8> {
        hit!(vec![])
    }
}
impl From<Fault> for PostError {
    fn from(fault: Fault) -> Self {
        drop(fault);
        Self::Closed
    }
}
fn none<T: Default>(_: Fault) -> T {
    T::default()
}
fn as_used(it: PostClient<Horse>) -> Box<dyn Post> {
    Box::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: PostClient<Horse> = seawall.spawn("it", Horse).await.unwrap();
    let look = Look::at(&seawall);
    look.method("connect", || it.connect()).await;
    look.method("events", || it.events()).await;
    look.method("poll", || it.poll(&1, None)).await;
    look.method("send", || async { it.send(&1, &mut []).await.is_ok() }).await;
    {
        let used = as_used(it.clone());
        look.method("connect(dyn)", || used.connect()).await;
    }
}
