//! An audit log and a metrics sink: methods of which nobody waits for the answer, boxed, native and not async, with an associated type.
use super::pre::*;
use std::sync::Arc;

#[derive(Debug)]
pub struct Lost(String);
impl From<Fault> for Lost {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}
#[derive(Clone, Debug, PartialEq)]
pub struct Event(pub u64);

#[resilient]
#[async_trait]
pub trait Audit: Send + Sync {
    #[call(oneway)]
    async fn record(&self, event: &Event, by: &str) -> Result<(), Lost>;
    #[call(oneway, blocking)]
    fn flush(&self) -> Result<(), Lost>;
    #[call(oneway)]
    fn gauge(&self, name: String, value: f64);
}
struct Disk;
#[async_trait]
impl Audit for Disk {
    async fn record(&self, _: &Event, _: &str) -> Result<(), Lost> {
        Ok(())
    }
    fn flush(&self) -> Result<(), Lost> {
        Ok(())
    }
    fn gauge(&self, _: String, _: f64) {}
}

#[resilient]
pub trait Sink {
    type Item: Clone + Send + 'static;
    #[call(oneway(merge = last))]
    async fn put(&self, item: Self::Item) -> Result<(), Lost>;
}
fn last<T>(old: &mut T, new: T) -> Result<(), T> {
    *old = new;
    Ok(())
}
struct Hole;
impl Sink for Hole {
    type Item = Event;
    async fn put(&self, _: Event) -> Result<(), Lost> {
        Ok(())
    }
}

#[resilient(errors = "wrapped", exclusive)]
pub trait Serial {
    #[call(oneway)]
    async fn send(&mut self, byte: u8) -> std::io::Result<()>;
    #[call(oneway)]
    async fn bell(&mut self);
}
struct Wire;
impl Serial for Wire {
    async fn send(&mut self, _: u8) -> std::io::Result<()> {
        Ok(())
    }
    async fn bell(&mut self) {}
}

/// Successes and refusals, once so many calls have ended.
async fn ended(seawall: &Seawall, calls: u64) -> (u64, u64) {
    loop {
        let now = seawall.dependency("it").unwrap().snapshot();
        let (good, bad) = (
            now.calls(seawall::CallOutcome::Success),
            now.calls(seawall::CallOutcome::Unavailable),
        );
        if good + bad == calls {
            return (good, bad);
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn every_call_passes_the_guards() {
    let seawall = start();
    let disk: Arc<dyn Audit> = Arc::new(Disk);
    let it: AuditClient<dyn Audit> = seawall.spawn_arc("it", disk).await.unwrap();
    let it: Arc<dyn Audit> = Arc::new(it);
    it.record(&Event(1), "me").await.unwrap();
    it.flush().unwrap();
    it.gauge("depth".to_owned(), 1.0);
    assert_eq!(ended(&seawall, 3).await, (3, 0));
    seawall.shutdown(Duration::from_secs(60)).await;
    assert!(it.record(&Event(1), "me").await.is_err());
    assert!(it.flush().is_err());
    it.gauge("depth".to_owned(), 1.0);
}

#[tokio::test]
async fn with_an_associated_type_and_with_the_service_for_itself() {
    let seawall = start();
    let sink: SinkClient<Hole> = seawall.spawn("it", Hole).await.unwrap();
    sink.put(Event(1)).await.unwrap();
    let wire: SerialClient<Wire> = seawall.spawn("wire", Wire).await.unwrap();
    wire.clone().send(7).await.unwrap();
    wire.clone().bell().await;
    assert_eq!(ended(&seawall, 1).await, (1, 0));
}
