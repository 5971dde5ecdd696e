//! Native `async fn`s, wanted as one type to store.

use super::pre::*;

#[resilient(dyn)]
pub trait Orders {
    #[call(idempotent)]
    async fn find(&self, of: &str, more: &[&str]) -> std::io::Result<Option<u8>>;
    async fn fill(&self, of: &str, into: &mut Vec<u8>) -> std::io::Result<()>;
    fn later<'a>(&'a self, of: &'a u8) -> impl Future<Output = std::io::Result<&'a u8>> + Send;
    fn name(&self) -> &str;
    async fn both(&self) -> std::io::Result<u8> {
        Ok(self.find("a", &[]).await?.unwrap_or_default())
    }
    async fn all<T: Default + Send>(&self) -> std::io::Result<T>
    where
        Self: Sized,
    {
        self.both().await?;
        Ok(T::default())
    }
}

struct Shop;
impl Orders for Shop {
    async fn find(&self, _: &str, _: &[&str]) -> std::io::Result<Option<u8>> {
        hit!(Ok(Some(1)))
    }
    async fn fill(&self, _: &str, into: &mut Vec<u8>) -> std::io::Result<()> {
        into.push(1);
        hit!(Ok(()))
    }
    async fn later<'a>(&'a self, of: &'a u8) -> std::io::Result<&'a u8> {
        hit!(Ok(of))
    }
    fn name(&self) -> &str {
        "shop"
    }
}

#[tokio::test]
async fn any_client_or_service_is_a_box() {
    let seawall = start();
    let client: OrdersClient<Shop> = seawall.spawn("it", Shop).await.unwrap();
    let it = BoxOrders::new(client.clone());
    let look = Look::at(&seawall);
    look.method("find", || it.find("a", &["b"])).await;
    look.method("fill", || async { it.fill("a", &mut vec![]).await.is_ok() }).await;
    look.method("later", || it.later(&1)).await;
    look.method("both", || it.both()).await;
    look.method("all", || it.all::<u8>()).await;
    assert_eq!((it.name(), format!("{it:?}").as_str()), ("shop", "BoxOrders { .. }"));
    // One type, whatever is in it; and a service too, behind a client.
    let boxes: Vec<BoxOrders> = vec![it.clone(), BoxOrders::new(Shop)];
    assert_eq!(tokio::spawn(async move { boxes[1].both().await }).await.unwrap().unwrap(), 1);
    let again: OrdersClient<BoxOrders> =
        seawall.spawn("again", BoxOrders::new(Shop)).await.unwrap();
    Look::of(&seawall, "again").method("find", || again.find("a", &[])).await;
}
