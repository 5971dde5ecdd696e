//! `-> impl Future + Send`; Sized + Send + Sync + 'static; associated types, `type Error: Debug + Send + 'static`; `&mut Self::Connection` arguments, one of a sync method.
use super::pre::*;

#[resilient]
pub trait Rope: Sized + Send + Sync + 'static {
    type Knot: Send + 'static;
    type Error: std::fmt::Debug + Send + 'static;
    fn tie(&self) -> impl Future<Output = Result<Self::Knot, Self::Error>> + Send;
    fn holds(&self, knot: &mut Self::Knot) -> impl Future<Output = Result<(), Self::Error>> + Send;
    fn is_torn(&self, knot: &mut Self::Knot) -> bool;
}

#[derive(Debug, thiserror::Error)]
enum Torn {
    #[error(transparent)]
    Fault(#[from] Fault),
}
struct Hemp;
impl Rope for Hemp {
    type Knot = u8;
    type Error = Torn;
    async fn tie(&self) -> Result<u8, Torn> {
        hit!(Ok(1))
    }
    async fn holds(&self, _: &mut u8) -> Result<(), Torn> {
        hit!(Ok(()))
    }
    fn is_torn(&self, _: &mut u8) -> bool {
        false
    }
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: RopeClient<Hemp> = seawall.spawn("it", Hemp).await.unwrap();
    let look = Look::at(&seawall);
    look.method("tie", || it.tie()).await;
    look.method("holds", || async { it.holds(&mut 1).await.is_ok() }).await;
    assert!(!it.is_torn(&mut 1));
}
