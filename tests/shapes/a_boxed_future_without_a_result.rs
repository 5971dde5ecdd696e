//! Sync method -> BoxFuture<'_, ()>; the outcome goes through a channel, not a Result; Send + Sync.
use super::pre::*;
use futures::channel::oneshot::Sender;

#[resilient]
pub trait Crier: Send + Sync {
    #[call(on_fault = silence)]
    fn cry(
        &self,
        news: Vec<String>,
        told: Sender<u8>,
        flush: Option<Sender<()>>,
    ) -> BoxFuture<'_, ()>;
}

struct Town;
impl Crier for Town {
    fn cry(&self, _: Vec<String>, told: Sender<u8>, _: Option<Sender<()>>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let _ = told.send(1);
            hit!(())
        })
    }
}
fn silence(_: Fault) {}
fn as_used(it: CrierClient<Town>) -> Arc<dyn Crier> {
    Arc::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: CrierClient<Town> = seawall.spawn("it", Town).await.unwrap();
    let look = Look::at(&seawall);
    look.method("cry", || it.cry(vec![], futures::channel::oneshot::channel().0, None)).await;
    {
        let used = as_used(it.clone());
        look.method("cry(dyn)", || used.cry(vec![], futures::channel::oneshot::channel().0, None))
            .await;
    }
}
