//! Async_trait; Debug + Send + Sync + 'static; default body that hands `self` to a generic function; `&mut` argument; aliased Result, own error.
use super::pre::*;

#[derive(Debug)]
pub enum ShelfError {
    Backend(String),
}
pub type Result<T> = std::result::Result<T, ShelfError>;
#[derive(Clone, Debug)]
pub struct Book(pub u64);

#[resilient]
#[async_trait]
pub trait Shelf: std::fmt::Debug + Send + Sync + 'static {
    async fn create(&self, book: &mut Book) -> Result<()> {
        create_by_saving(self, book).await
    }
    async fn save(&self, book: &Book) -> Result<()>;
    async fn load(&self, id: &u64) -> Result<Option<Book>>;
}
async fn create_by_saving<S: Shelf + ?Sized>(shelf: &S, book: &mut Book) -> Result<()> {
    book.0 += 1;
    shelf.save(book).await
}

#[derive(Debug)]
struct Oak;
#[async_trait]
impl Shelf for Oak {
    async fn save(&self, _: &Book) -> Result<()> {
        hit!(Ok(()))
    }
    async fn load(&self, id: &u64) -> Result<Option<Book>> {
        hit!(Ok(Some(Book(*id))))
    }
}
impl From<Fault> for ShelfError {
    fn from(fault: Fault) -> Self {
        Self::Backend(fault.to_string())
    }
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: ShelfClient<Oak> = seawall.spawn("it", Oak).await.unwrap();
    let look = Look::at(&seawall);
    look.method("create", || async { it.create(&mut Book(1)).await.is_ok() }).await;
    look.method("save", || async { it.save(&Book(1)).await.is_ok() }).await;
    look.method("load", || it.load(&1)).await;
}
