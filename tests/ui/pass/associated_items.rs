//! Constants, types, functions and methods that are not async are the service's; the rest of the trait survives.
#![deny(warnings)]

use std::fmt::{Debug, Display};
use std::io;

use seawall::resilient;

fn nothing(_: seawall::Fault) -> u8 {
    0
}

#[resilient]
trait Shop {
    const NAME: &'static str;
    const SIZE: usize = 3;
    type Item: Debug + Send + Sync + Clone + 'static;
    type View<'a>: Display + Send
    where
        Self: 'a;

    async fn take(&self) -> io::Result<Self::Item>;
    async fn look(&self) -> io::Result<Self::View<'_>>;
    #[call(idempotent)]
    async fn put(&self, item: Self::Item) -> io::Result<<Self as Shop>::Item>;

    /// Not async: passed on.
    fn open(&self, (from, _to): (u8, u8)) -> bool {
        from > 8
    }
    fn name() -> String;
    /// Guarded as an async one is.
    #[call(on_fault = nothing)]
    fn late(&self) -> impl Future<Output = u8> + Send;
    /// By value: each keeps the trait's own.
    fn boxed(self) -> Box<Self>
    where
        Self: Sized,
    {
        Box::new(self)
    }

    /// A default body stays one, with its patterns, its coercions and its early returns.
    async fn both(
        &self,
        (one, mut two): (u32, u32),
    ) -> Result<Box<dyn Debug + Send + Sync>, Box<dyn std::error::Error + Send + Sync>>
    where
        Self: Sized,
        Box<dyn std::error::Error + Send + Sync>: From<seawall::Fault>,
    {
        two += one;
        if two == 0 {
            return Err("nothing".into());
        }
        let taken = self.take().await?;
        Ok(Box::new((taken, two, Self::SIZE)))
    }
    async fn never(&self) -> io::Result<()> {
        unreachable!()
    }
    /// Unguarded, so it may return anything.
    #[call(skip)]
    async fn ping(&self) -> u8 {
        1
    }
    #[call(skip)]
    async fn hidden(&self, at: impl Display + Send) -> impl Display + Send {
        at.to_string()
    }
    #[call(skip)]
    async fn nothing(&self) {}
}

#[derive(Debug)]
struct Corner(String);
impl Shop for Corner {
    const NAME: &'static str = "corner";
    type Item = u8;
    type View<'a> = &'a str;
    async fn take(&self) -> io::Result<u8> {
        Ok(1)
    }
    async fn look(&self) -> io::Result<&str> {
        Ok(&self.0)
    }
    async fn put(&self, item: u8) -> io::Result<u8> {
        Ok(item)
    }
    fn name() -> String {
        String::from(Self::NAME)
    }
    fn late(&self) -> impl Future<Output = u8> + Send {
        std::future::ready(1)
    }
}

fn send<T: Send>(value: T) -> T {
    value
}

async fn all<S: Shop<Item = u8>>(shop: S) {
    let _ = (S::NAME, S::SIZE, S::name(), shop.open((1, 2)));
    let _ = send(shop.take()).await;
    let _ = send(shop.put(1)).await;
    if let Ok(view) = send(shop.look()).await {
        drop(format!("{view}"));
    }
    let _ = send(shop.both((1, 2))).await;
    let _ = send(shop.never()).await;
    drop(format!("{} {}", send(shop.ping()).await, send(shop.hidden(3)).await));
    shop.nothing().await;
    let _ = shop.late().await;
    let _ = shop.boxed();
}

pub(crate) fn main() {
    let _ = all::<ShopClient<Corner>>;
    drop(all::<Corner>(Corner(String::new())));
    assert_eq!(<ShopClient<Corner> as Shop>::NAME, "corner");
    assert_eq!(<ShopClient<Corner> as Shop>::name(), "corner");
}
