//! `enum_dispatch`, which has to see `async fn`s as they are written.

use crate::pre::*;
use enum_dispatch::enum_dispatch;
type R<T> = std::io::Result<T>;
#[resilient]
#[enum_dispatch]
pub trait D: Send + Sync {
    async fn get(&self) -> R<u8>;
    fn name(&self) -> String {
        "d".into()
    }
}
pub struct X;
pub struct Y;
impl D for X {
    async fn get(&self) -> R<u8> {
        hit!(Ok(1))
    }
}
impl D for Y {
    async fn get(&self) -> R<u8> {
        hit!(Ok(2))
    }
}
#[enum_dispatch(D)]
pub enum E {
    X,
    Y,
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: DClient<E> = seawall.spawn("it", E::X(X)).await.unwrap();
    let look = Look::at(&seawall);
    look.method("get", || it.get()).await;
}
