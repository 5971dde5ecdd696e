//! The client of a generic trait takes the service first and then what the trait takes.
#![deny(warnings)]

use std::fmt::Debug;
use std::io;

use seawall::resilient;

/// Parameters of every kind, with bounds, defaults and conditions.
#[resilient]
pub(crate) trait Repo<'a, K: ?Sized, T: Debug + Clone = u32, const N: usize = 2>:
    Debug
where
    T: Send + Sync,
    K: Sync,
    Self::Row: Into<T>,
{
    /// What is stored.
    type Row: Send + Clone;
    /// Reads.
    #[call(idempotent)]
    async fn get(&self, key: &K, seed: &'a str) -> io::Result<[Self::Row; N]>;
    /// Writes.
    async fn put(&self, key: &K, row: Self::Row, value: T) -> Result<T, io::Error>;
}

#[derive(Debug)]
struct Rows;
impl<'a> Repo<'a, str> for Rows {
    type Row = u16;
    async fn get(&self, _: &str, _: &'a str) -> io::Result<[u16; 2]> {
        Ok([1, 2])
    }
    async fn put(&self, _: &str, row: u16, value: u32) -> Result<u32, io::Error> {
        Ok(value + u32::from(row))
    }
}

fn send<T: Send>(value: T) -> T {
    value
}

async fn all(repo: RepoClient<'_, Rows, str>) -> io::Result<()> {
    let rows = send(repo.get("a", "b")).await?;
    send(repo.clone().put("a", rows[0], 3)).await?;
    drop(format!("{repo:?}"));
    Ok(())
}

/// Its parameters need not be `Send`, `Sync`, `Clone` or `Debug` for the client to be.
struct Inert(#[allow(dead_code)] *const ());
#[resilient]
trait Of<T> {
    async fn is(&self) -> io::Result<()>;
}
impl Of<Inert> for Rows {
    async fn is(&self) -> io::Result<()> {
        Ok(())
    }
}
fn shared<C: Clone + Send + Sync + Debug + 'static>() {}

pub(crate) fn main() {
    shared::<OfClient<Rows, Inert>>();
    let _ = (
        Rows,
        all,
        Inert(&raw const NOTHING),
        <Rows as Of<Inert>>::is,
        OfClient::<Rows, Inert>::is,
    );
    let _ = RepoClient::<Rows, str>::spawn;
}
static NOTHING: () = ();
