//! Async_trait by path; Send + Sync + AsAny (downcast supertrait with a blanket impl); two error types; default bodies; sync methods that return Arc<dyn Trait> and references.
use super::pre::*;

#[derive(Debug)]
pub enum DiaryError {
    Lost(String),
}
#[derive(Debug)]
pub enum PageError {
    Taken(u64),
}
pub type DiaryResult<T, E = DiaryError> = Result<T, E>;
pub trait AsAny {
    fn as_any(&self) -> &dyn std::any::Any;
}
impl<T: std::any::Any> AsAny for T {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[resilient]
#[async_trait::async_trait]
pub trait Diary: Send + Sync + AsAny {
    fn name(&self) -> String;
    async fn refresh(&self) -> DiaryResult<()> {
        Ok(())
    }
    async fn read(&self, page: u64) -> DiaryResult<Option<Vec<u8>>>;
    async fn write(&self, page: u64, text: String) -> Result<(), PageError>;
    fn shelf(&self) -> Arc<dyn std::fmt::Debug + Send + Sync>;
    fn path(&self) -> &str;
}

struct Red;
#[async_trait::async_trait]
impl Diary for Red {
    fn name(&self) -> String {
        "red".into()
    }
    async fn read(&self, _: u64) -> DiaryResult<Option<Vec<u8>>> {
        hit!(Ok(None))
    }
    async fn write(&self, _: u64, _: String) -> Result<(), PageError> {
        hit!(Ok(()))
    }
    fn shelf(&self) -> Arc<dyn std::fmt::Debug + Send + Sync> {
        Arc::new(1)
    }
    fn path(&self) -> &str {
        "a"
    }
}
impl From<Fault> for DiaryError {
    fn from(fault: Fault) -> Self {
        Self::Lost(fault.to_string())
    }
}
impl From<Fault> for PageError {
    fn from(fault: Fault) -> Self {
        drop(fault);
        Self::Taken(0)
    }
}
fn as_used(it: DiaryClient<Red>) -> Arc<dyn Diary> {
    Arc::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: DiaryClient<Red> = seawall.spawn("it", Red).await.unwrap();
    let look = Look::at(&seawall);
    look.answer("refresh", || async { format!("{:?}", it.refresh().await) }).await;
    look.method("read", || it.read(1)).await;
    look.method("write", || it.write(1, "a".into())).await;
    // A blanket impl finds the client; the service is behind it.
    assert!(it.as_any().is::<DiaryClient<Red>>() && it.service().as_any().is::<Red>());
    {
        let used = as_used(it.clone());
        look.method("read(dyn)", || used.read(1)).await;
    }
}
