//! The plainest there is: async_trait, Send + Sync, an aliased Result, values and references.
use super::pre::*;

#[derive(Debug)]
pub enum RimError {
    Lost(String),
}
pub type RimResult<A> = Result<A, RimError>;

#[resilient]
#[async_trait]
pub trait Rim: Send + Sync {
    async fn load_tokens(&self) -> RimResult<Vec<String>>;
    async fn save_tokens(&self, tokens: Vec<String>) -> RimResult<()>;
    async fn save_license(&self, license: &String) -> RimResult<()>;
    async fn load_ids(&self) -> RimResult<HashMap<String, u32>>;
}

struct Disk;
#[async_trait]
impl Rim for Disk {
    async fn load_tokens(&self) -> RimResult<Vec<String>> {
        hit!(Ok(vec![]))
    }
    async fn save_tokens(&self, _: Vec<String>) -> RimResult<()> {
        hit!(Ok(()))
    }
    async fn save_license(&self, _: &String) -> RimResult<()> {
        hit!(Ok(()))
    }
    async fn load_ids(&self) -> RimResult<HashMap<String, u32>> {
        hit!(Ok(HashMap::new()))
    }
}
impl From<Fault> for RimError {
    fn from(fault: Fault) -> Self {
        Self::Lost(fault.to_string())
    }
}
fn as_used(it: RimClient<Disk>) -> Arc<dyn Rim> {
    Arc::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: RimClient<Disk> = seawall.spawn("it", Disk).await.unwrap();
    let look = Look::at(&seawall);
    let text = String::new();
    look.method("load_tokens", || it.load_tokens()).await;
    look.method("save_tokens", || it.save_tokens(vec![])).await;
    look.method("save_license", || it.save_license(&text)).await;
    look.method("load_ids", || it.load_ids()).await;
    {
        let used = as_used(it.clone());
        look.method("load_tokens(dyn)", || used.load_tokens()).await;
    }
    {
        let again: RimClient<dyn Rim> =
            seawall.spawn_arc("again", Arc::new(Disk) as Arc<dyn Rim>).await.unwrap();
        let look = Look::of(&seawall, "again");
        look.method("load_tokens(dyn service)", || again.load_tokens()).await;
    }
}
