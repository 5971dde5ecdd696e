//! Futures that borrow nothing though their arguments are borrowed, and those under another name.

use super::pre::*;

type Reply<T> = Pin<Box<dyn Future<Output = std::io::Result<T>> + Send>>;

#[resilient]
trait Registry: Send + Sync {
    fn look(&self, name: &str) -> BoxFuture<'static, std::io::Result<u8>>;
    fn list(&self, name: &str) -> Pin<Box<dyn Future<Output = std::io::Result<u8>> + Send>>;
    #[call(future)]
    fn load(&self, name: &str) -> Reply<u8>;
    fn save(&self, name: &str) -> impl Future<Output = std::io::Result<u8>> + Send + 'static;
    fn local(&self) -> futures::future::LocalBoxFuture<'_, std::io::Result<u8>>;
}

struct Book;
impl Registry for Book {
    fn look(&self, _: &str) -> BoxFuture<'static, std::io::Result<u8>> {
        Box::pin(async { hit!(Ok(1)) })
    }
    fn list(&self, _: &str) -> Pin<Box<dyn Future<Output = std::io::Result<u8>> + Send>> {
        Box::pin(async { hit!(Ok(1)) })
    }
    fn load(&self, _: &str) -> Reply<u8> {
        Box::pin(async { hit!(Ok(1)) })
    }
    fn save(&self, _: &str) -> impl Future<Output = std::io::Result<u8>> + Send + 'static {
        async { hit!(Ok(1)) }
    }
    fn local(&self) -> futures::future::LocalBoxFuture<'_, std::io::Result<u8>> {
        Box::pin(async { hit!(Ok(1)) })
    }
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: RegistryClient<Book> = seawall.spawn("it", Book).await.unwrap();
    let look = Look::at(&seawall);
    look.method("look", || it.look(&String::from("a"))).await;
    look.method("list", || it.list("a")).await;
    look.method("load", || it.load("a")).await;
    look.method("save", || it.save("a")).await;
    look.method("local", || it.local()).await;
    fn outlives(it: &RegistryClient<Book>) -> BoxFuture<'static, std::io::Result<u8>> {
        it.look(&String::from("gone before it is polled"))
    }
    assert_eq!(tokio::spawn(outlives(&it)).await.unwrap().unwrap(), 1);
}
