//! Boxing attributes above `#[resilient]`, which then sees what they have made of the trait.

use std::cell::RefCell;

use super::pre::*;

#[async_trait]
#[resilient]
pub trait Rim: Send + Sync + 'static {
    async fn load(&self) -> std::io::Result<u8>;
    async fn save(&self, text: &str, more: &mut [u8]) -> std::io::Result<()>;
    async fn both(self: Arc<Self>, text: &str) -> std::io::Result<u8> {
        self.save(text, &mut []).await?;
        self.load().await
    }
}

struct Disk;
#[async_trait]
impl Rim for Disk {
    async fn load(&self) -> std::io::Result<u8> {
        hit!(Ok(1))
    }
    async fn save(&self, _: &str, _: &mut [u8]) -> std::io::Result<()> {
        hit!(Ok(()))
    }
}

#[tokio::test]
async fn async_trait() {
    let seawall = start();
    let it: RimClient<Disk> = seawall.spawn("it", Disk).await.unwrap();
    let it: Arc<dyn Rim> = Arc::new(it);
    let look = Look::at(&seawall);
    look.method("load", || it.load()).await;
    look.method("save", || async { it.save("a", &mut []).await.is_ok() }).await;
    look.method("both", || it.clone().both("a")).await;
    let again: RimClient<dyn Rim> =
        seawall.spawn_arc("again", Arc::new(Disk) as Arc<dyn Rim>).await.unwrap();
    Look::of(&seawall, "again").method("load", || again.load()).await;
}

#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
#[resilient(on_fault = none)]
pub trait Count<T>: Sync {
    async fn count(&self, of: &T) -> Option<u64>;
    #[call(fault_with = told)]
    async fn add(&self, of: T) -> Result<u64, String>;
}

fn none<T: Default>(_: Fault) -> T {
    T::default()
}

fn told(fault: Fault) -> String {
    fault.to_string()
}

struct Beads;
#[async_trait]
impl Count<u8> for Beads {
    async fn count(&self, _: &u8) -> Option<u64> {
        hit!(Some(1))
    }
    async fn add(&self, _: u8) -> Result<u64, String> {
        hit!(Ok(1))
    }
}

#[tokio::test]
async fn async_trait_by_condition() {
    let seawall = start();
    let it: CountClient<Beads, u8> = seawall.spawn("it", Beads).await.unwrap();
    let look = Look::at(&seawall);
    look.method("count", || it.count(&1)).await;
    look.method("add", || it.add(1)).await;
}

#[async_trait(?Send)]
#[resilient(exclusive)]
pub trait Ledger {
    async fn write(&mut self, line: String) -> std::io::Result<usize>;
    async fn read(&self) -> std::io::Result<usize>;
}

struct Paper(RefCell<Vec<String>>);
#[async_trait(?Send)]
impl Ledger for Paper {
    async fn write(&mut self, line: String) -> std::io::Result<usize> {
        self.0.borrow_mut().push(line);
        hit!(self.read().await)
    }
    async fn read(&self) -> std::io::Result<usize> {
        hit!(Ok(self.0.borrow().len()))
    }
}

#[tokio::test]
async fn async_trait_that_is_local_and_exclusive() {
    let seawall = start();
    let paper: Box<dyn Ledger> = Box::new(Paper(RefCell::default()));
    let it: LedgerClient<dyn Ledger> = seawall.spawn_box("it", paper).await.unwrap();
    let look = Look::at(&seawall);
    look.method("write", || async { it.clone().write("a".into()).await }).await;
    look.method("read", || it.read()).await;
    assert_eq!(it.clone().write("b".into()).await.unwrap(), 2, "clones share the service");
}
