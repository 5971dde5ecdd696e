//! `cfg_attr(…, automock)` above async_trait by path; aliased Result over tonic::Status, an error of another crate.
use super::pre::*;

use tonic::Status;

type Result<T, E = Status> = std::result::Result<T, E>;

#[resilient(fault_with = told)]
#[cfg_attr(all(), mockall::automock)]
#[async_trait::async_trait]
pub trait Kitchen: Sync + Send {
    async fn next_order(&self, table: u8, hungry: bool) -> Result<Vec<u8>>;
    async fn serve(&self, token: Vec<u8>, plate: Option<String>) -> Result<u8>;
    fn stoves(&self) -> Option<u8>;
}

struct Grill;
#[async_trait::async_trait]
impl Kitchen for Grill {
    async fn next_order(&self, _: u8, _: bool) -> Result<Vec<u8>> {
        hit!(Ok(vec![]))
    }
    async fn serve(&self, _: Vec<u8>, _: Option<String>) -> Result<u8> {
        hit!(Ok(1))
    }
    fn stoves(&self) -> Option<u8> {
        None
    }
}
fn told(fault: Fault) -> Status {
    Status::unavailable(fault.to_string())
}
fn as_used(it: KitchenClient<Grill>) -> Arc<dyn Kitchen> {
    Arc::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let mut mock = MockKitchen::new();
    mock.expect_next_order().returning(|_, _| Ok(vec![]));
    let seawall = start();
    let it: KitchenClient<Grill> = seawall.spawn("it", Grill).await.unwrap();
    let look = Look::at(&seawall);
    look.method("next_order", || it.next_order(1, true)).await;
    look.method("serve", || it.serve(vec![], None)).await;
    {
        let used = as_used(it.clone());
        look.method("next_order(dyn)", || used.next_order(1, true)).await;
    }
}
