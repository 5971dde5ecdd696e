//! A trait that another crate has: its signatures are written down again, and the client implements it.

use super::pre::*;

/// As if of another crate.
mod store {
    use super::super::pre::*;

    pub type Result<T> = std::io::Result<T>;

    #[async_trait]
    pub trait Store: Send + Sync + std::fmt::Display {
        async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<()>;
        async fn get(&self, path: &str) -> Result<Vec<u8>>;
        fn name(&self) -> &str;
        async fn copy(&self, from: &str, to: &str) -> Result<()> {
            let bytes = self.get(from).await?;
            self.put(to, bytes).await
        }
    }

    /// One whose futures nothing makes `Send`.
    #[allow(async_fn_in_trait)]
    pub trait Local {
        async fn read(&self) -> Result<u8>;
    }
}

#[resilient(remote = store::Store)]
#[async_trait]
trait Store: std::fmt::Display {
    async fn put(&self, path: &str, bytes: Vec<u8>) -> store::Result<()>;
    #[call(idempotent)]
    async fn get(&self, path: &str) -> store::Result<Vec<u8>>;
    fn name(&self) -> &str;
}

#[resilient(remote = store::Local)]
trait Local {
    async fn read(&self) -> store::Result<u8>;
}

struct Shelf;
#[async_trait]
impl store::Store for Shelf {
    async fn put(&self, _: &str, _: Vec<u8>) -> store::Result<()> {
        hit!(Ok(()))
    }
    async fn get(&self, _: &str) -> store::Result<Vec<u8>> {
        hit!(Ok(vec![]))
    }
    fn name(&self) -> &str {
        "shelf"
    }
}
impl store::Local for Shelf {
    async fn read(&self) -> store::Result<u8> {
        hit!(Ok(1))
    }
}
impl std::fmt::Display for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a shelf")
    }
}

#[tokio::test]
async fn every_method_is_guarded() {
    use store::Store as _;
    let seawall = start();
    let it: StoreClient<Shelf> = seawall.spawn("it", Shelf).await.unwrap();
    let look = Look::at(&seawall);
    let used: Arc<dyn store::Store> = Arc::new(it.clone());
    look.method("put", || used.put("a", vec![])).await;
    look.method("get", || it.get("a")).await;
    // What is not written down has its own body, which calls what is.
    look.method("copy", || used.copy("a", "b")).await;
    assert_eq!((used.name(), used.to_string().as_str()), ("shelf", "a shelf"));
    let service: Arc<dyn store::Store> = Arc::new(Shelf);
    let again: StoreClient<dyn store::Store> = seawall.spawn_arc("again", service).await.unwrap();
    Look::of(&seawall, "again").method("get", || again.get("a")).await;
}

#[tokio::test]
async fn a_native_one_is_guarded_too() {
    use store::Local as _;
    let seawall = start();
    let it: LocalClient<Shelf> = seawall.spawn("it", Shelf).await.unwrap();
    Look::at(&seawall).method("read", || it.read()).await;
}
