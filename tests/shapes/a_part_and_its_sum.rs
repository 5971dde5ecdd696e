//! Async_trait; a supertrait that is an async service trait itself; sync references; an async method that answers Arc<dyn itself>; `&HashMap<&str, &str>`; two error types.
use super::pre::*;

#[derive(Debug)]
pub struct Error(pub String);
#[derive(Debug)]
pub struct LateError(pub String);

#[resilient(part)]
#[async_trait]
pub trait Healthy {
    async fn health(&self) -> Result<(), Error>;
}
#[resilient(with(Healthy))]
#[async_trait]
pub trait Granary: Send + Sync + std::fmt::Debug + Healthy {
    fn name(&self) -> &String;
    fn cluster(&self) -> &Option<String>;
    async fn renew(&self) -> Result<Arc<dyn Granary>, LateError>;
    async fn query(&self, text: String, with: &HashMap<&str, &str>) -> Result<u8, Error>;
}

#[derive(Debug)]
struct Wheat(String, Option<String>);
#[async_trait]
impl Healthy for Wheat {
    async fn health(&self) -> Result<(), Error> {
        hit!(Ok(()))
    }
}
#[async_trait]
impl Granary for Wheat {
    fn name(&self) -> &String {
        &self.0
    }
    fn cluster(&self) -> &Option<String> {
        &self.1
    }
    async fn renew(&self) -> Result<Arc<dyn Granary>, LateError> {
        hit!(Err(LateError("no".into())))
    }
    async fn query(&self, _: String, _: &HashMap<&str, &str>) -> Result<u8, Error> {
        hit!(Ok(1))
    }
}
impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}
impl From<Fault> for LateError {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}
fn as_used(it: GranaryClient<Wheat>) -> Arc<dyn Granary> {
    Arc::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: GranaryClient<Wheat> = seawall.spawn("it", Wheat(String::new(), None)).await.unwrap();
    let look = Look::at(&seawall);
    let with = HashMap::new();
    look.method("query", || it.query("a".into(), &with)).await;
    look.method("renew", || async { it.renew().await.is_ok() }).await;
    look.method("health", || it.health()).await;
    {
        let used = as_used(it.clone());
        look.method("query(dyn)", || used.query("a".into(), &with)).await;
    }
}
