//! `cfg_attr(…, automock)` above async_trait; 'static; async `&mut self` without a Result, with a body; sync methods that return references; aliased Result.
use super::pre::*;

#[derive(Debug)]
pub struct LampError(pub String);
pub type LampResult<T> = Result<T, LampError>;
#[derive(Default)]
pub struct Room(pub u8);
pub struct Brand(pub &'static str);

#[resilient]
#[cfg_attr(all(), mockall::automock)]
#[async_trait]
pub trait Lamps: Send + Sync + 'static {
    #[allow(unused_variables)]
    #[call(skip)]
    async fn plug_in(&mut self, room: &Room) {}
    fn brand(&self) -> &Brand;
    fn spares(&self) -> &[u8] {
        &[]
    }
    async fn is_on(&self, lamp: &str, room: &Room) -> LampResult<bool>;
    async fn watts(&self, lamp: &str, room: &Room) -> LampResult<f64>;
}

struct Led(Brand);
#[async_trait]
impl Lamps for Led {
    fn brand(&self) -> &Brand {
        &self.0
    }
    async fn is_on(&self, _: &str, _: &Room) -> LampResult<bool> {
        hit!(Ok(true))
    }
    async fn watts(&self, _: &str, _: &Room) -> LampResult<f64> {
        hit!(Ok(1.0))
    }
}
impl From<Fault> for LampError {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}
fn as_used(it: LampsClient<Led>) -> Arc<dyn Lamps> {
    Arc::new(it)
}

#[tokio::test]
async fn every_method_is_guarded() {
    let mut mock = MockLamps::new();
    mock.expect_is_on().returning(|_, _| Ok(true));
    let seawall = start();
    let it: LampsClient<Led> = seawall.spawn("it", Led(Brand("x"))).await.unwrap();
    let look = Look::at(&seawall);
    let room = Room::default();
    look.method("is_on", || it.is_on("a", &room)).await;
    look.method("watts", || it.watts("a", &room)).await;
    {
        let used = as_used(it.clone());
        look.method("is_on(dyn)", || used.is_on("a", &room)).await;
    }
}
