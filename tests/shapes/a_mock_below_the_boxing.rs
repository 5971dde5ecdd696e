//! Async_trait above `cfg_attr(test, automock)`; Debug + Sync + Send; Option<&T>; HashMap by value; aliased Result.
use super::pre::*;

#[derive(Debug)]
pub struct ListError(pub String);
pub type Result<T> = std::result::Result<T, ListError>;
#[derive(Debug, Clone, PartialEq)]
pub struct Aisle(pub String);

#[resilient]
#[async_trait]
#[cfg_attr(all(), mockall::automock)]
pub trait Aisles: std::fmt::Debug + Sync + Send {
    async fn list(&self, parent: Option<&Aisle>) -> Result<Vec<Aisle>>;
    async fn create(&self, aisle: &Aisle, more: HashMap<String, String>) -> Result<Aisle>;
    async fn exists(&self, aisle: &Aisle) -> Result<bool>;
    async fn rename(&self, from: &Aisle, to: &Aisle) -> Result<()>;
}

#[derive(Debug)]
struct Shop;
#[async_trait]
impl Aisles for Shop {
    async fn list(&self, _: Option<&Aisle>) -> Result<Vec<Aisle>> {
        hit!(Ok(vec![]))
    }
    async fn create(&self, aisle: &Aisle, _: HashMap<String, String>) -> Result<Aisle> {
        hit!(Ok(aisle.clone()))
    }
    async fn exists(&self, _: &Aisle) -> Result<bool> {
        hit!(Ok(true))
    }
    async fn rename(&self, _: &Aisle, _: &Aisle) -> Result<()> {
        hit!(Ok(()))
    }
}
impl From<Fault> for ListError {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}
fn as_used(it: AislesClient<Shop>) -> Arc<dyn Aisles> {
    Arc::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let mut mock = MockAisles::new();
    mock.expect_exists().returning(|_| Box::pin(async { Ok(true) }));
    let seawall = start();
    let it: AislesClient<Shop> = seawall.spawn("it", Shop).await.unwrap();
    let look = Look::at(&seawall);
    let aisle = Aisle("a".into());
    look.method("list", || it.list(Some(&aisle))).await;
    look.method("create", || it.create(&aisle, HashMap::new())).await;
    look.method("exists", || it.exists(&aisle)).await;
    look.method("rename", || it.rename(&aisle, &aisle)).await;
    {
        let used = as_used(it.clone());
        look.method("list(dyn)", || used.list(Some(&aisle))).await;
    }
    {
        let again: AislesClient<dyn Aisles> =
            seawall.spawn_arc("again", Arc::new(Shop) as Arc<dyn Aisles>).await.unwrap();
        let look = Look::of(&seawall, "again");
        look.method("list(dyn service)", || again.list(Some(&aisle))).await;
    }
}
