//! Generic trait <K, V>; `Self::Error` comes from a supertrait; `-> impl Future + Send`; must_use, doc alias, cfg on the trait.
use super::pre::*;

pub trait DrawerBase {
    type Error;
}

#[resilient]
#[cfg_attr(test, doc(alias = "drawer"))]
pub trait Drawer<K, V>: DrawerBase {
    #[must_use = "the value is what you asked for"]
    #[doc(alias = "fetch")]
    fn get(&self, key: &K) -> impl Future<Output = Result<Option<V>, Self::Error>> + Send;
    fn set(&self, key: K, value: V) -> impl Future<Output = Result<Option<V>, Self::Error>> + Send;
}

#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error(transparent)]
    Fault(#[from] Fault),
}
struct Pine;
impl DrawerBase for Pine {
    type Error = Stuck;
}
impl Drawer<u8, u8> for Pine {
    async fn get(&self, _: &u8) -> Result<Option<u8>, Stuck> {
        hit!(Ok(None))
    }
    async fn set(&self, _: u8, _: u8) -> Result<Option<u8>, Stuck> {
        hit!(Ok(None))
    }
}
/// A supertrait that is no service is passed on by hand.
impl<S: Drawer<K, V>, K, V> DrawerBase for DrawerClient<S, K, V> {
    type Error = S::Error;
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: DrawerClient<Pine, u8, u8> = seawall.spawn("it", Pine).await.unwrap();
    let look = Look::at(&seawall);
    look.method("get", || it.get(&1)).await;
    look.method("set", || it.set(1, 1)).await;
}
