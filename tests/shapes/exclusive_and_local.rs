//! Async_trait(?Send); no supertraits; `&mut self`; aliased Result; sync default.
use super::pre::*;
use std::cell::RefCell;

#[derive(Debug, thiserror::Error)]
pub enum DbError {
    #[error("{0}")]
    Other(String),
    #[error(transparent)]
    Fault(#[from] Fault),
}
pub type DbResult<T> = Result<T, DbError>;

#[resilient(exclusive)]
#[async_trait(?Send)]
pub trait Ledger {
    fn timeout(&self) -> Option<Duration> {
        None
    }
    async fn replace(&mut self, params: String) -> DbResult<u64>;
    async fn check(&mut self) -> DbResult<bool>;
}

struct Paper(RefCell<u8>);
#[async_trait(?Send)]
impl Ledger for Paper {
    async fn replace(&mut self, _: String) -> DbResult<u64> {
        *self.0.borrow_mut() += 1;
        hit!(Ok(1))
    }
    async fn check(&mut self) -> DbResult<bool> {
        hit!(Ok(true))
    }
}
fn as_used(it: LedgerClient<Paper>) -> Box<dyn Ledger> {
    Box::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: LedgerClient<Paper> = seawall.spawn("it", Paper(RefCell::new(1))).await.unwrap();
    let look = Look::at(&seawall);
    look.method("replace", || async { it.clone().replace(String::new()).await }).await;
    look.method("check", || async { it.clone().check().await }).await;
    {
        let used = tokio::sync::Mutex::new(as_used(it.clone()));
        look.method("replace(dyn)", || async { used.lock().await.replace(String::new()).await })
            .await;
    }
}
