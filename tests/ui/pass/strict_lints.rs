//! What is generated stands up to the strictest of users.
#![deny(warnings, missing_docs, missing_debug_implementations, rust_2018_idioms)]
#![deny(single_use_lifetimes, unused_lifetimes, unused_qualifications, elided_lifetimes_in_paths)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery, clippy::missing_docs_in_private_items)]
#![allow(unreachable_pub, clippy::redundant_pub_crate)] // of no use in a program: nothing there is reached from outside
#![deny(clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated)]
#![deny(clippy::unwrap_used, clippy::panic, clippy::unreachable, clippy::indexing_slicing)]

/// Public, so that every lint about documents looks at it.
pub mod shop {
    use std::io;

    use futures::future::BoxFuture;
    use futures::stream::BoxStream;
    use seawall::{CallError, resilient};

    /// A trait with one of everything.
    #[resilient]
    pub trait Shop<T: Send + Sync = u8> {
        /// How many.
        const SIZE: usize;
        /// What is sold.
        type Item: Send + Sync + Clone;
        /// Sells.
        ///
        /// # Errors
        /// Closed.
        #[call(idempotent, timeout = "1s", retry(max_attempts = 3, when = always), fallback = none, classify = super::class)]
        async fn sell(&self, of: &str, to: String, _more: T) -> io::Result<Self::Item>
        where
            T: Clone;
        /// Opens.
        ///
        /// # Errors
        /// No key.
        async fn open(&self) -> io::Result<()> {
            Ok(())
        }
        /// The name.
        #[must_use]
        fn name(&self) -> &str;
        /// Is it there?
        #[call(skip)]
        #[deprecated = "of no use"]
        async fn ping(&self) -> u8;
    }

    /// The same, wrapped.
    #[resilient(errors = "wrapped")]
    pub trait Wrapped {
        /// What is sold.
        type Item: Send;
        /// Sells.
        ///
        /// # Errors
        /// Closed.
        #[call(idempotent)]
        async fn sell(&self, of: &str, to: String) -> io::Result<Self::Item>;
        /// Is it there?
        #[call(skip)]
        async fn ping(&self) -> u8;
    }

    /// What a trait can be besides.
    #[resilient(on_fault = super::nothing)]
    #[async_trait::async_trait]
    pub trait Boxed: Send + Sync {
        /// Boxed by an attribute.
        ///
        /// # Errors
        /// Closed.
        async fn get(&self, of: &str, mut more: Vec<u8>) -> io::Result<u8> {
            more.push(1);
            Ok(self.future(of).await? + u8::from(more.is_empty()))
        }
        /// Boxed by hand.
        ///
        /// # Errors
        /// Closed.
        fn future<'a>(&'a self, of: &'a str) -> BoxFuture<'a, io::Result<u8>>;
        /// Asked at once.
        ///
        /// # Errors
        /// Closed.
        fn eager(&self, of: &str) -> BoxFuture<'static, io::Result<u8>>;
        /// A stream.
        fn stream(&self) -> BoxStream<'_, io::Result<u8>>;
        /// Without a result.
        async fn count(&self) -> u8;
    }

    /// One call at a time.
    #[resilient(exclusive)]
    #[async_trait::async_trait]
    pub trait Alone: Send {
        /// Adds.
        ///
        /// # Errors
        /// Closed.
        #[call(idempotent)]
        async fn add(&mut self, of: String) -> io::Result<u8>;
    }

    /// A part.
    #[resilient(part)]
    pub trait Half: Send + Sync {
        /// Gets.
        ///
        /// # Errors
        /// Closed.
        async fn half(&self) -> io::Result<u8>;
    }

    /// The whole.
    #[resilient(with(Half))]
    pub trait Whole: Half {
        /// Gets.
        ///
        /// # Errors
        /// Closed.
        async fn whole(&self) -> io::Result<u8>;
    }

    fn always(error: &io::Error) -> bool {
        error.raw_os_error().is_none()
    }

    async fn none<S: Shop<T>, T: Send + Sync>(
        service: &S,
        error: &CallError<io::Error>,
        of: &str,
        to: String,
        more: T,
    ) -> io::Result<S::Item> {
        drop((service, error, of, to, more));
        std::future::ready(()).await;
        Err(io::ErrorKind::NotFound.into())
    }
}

/// Nothing.
#[allow(clippy::needless_pass_by_value)]
fn nothing<T: Default>(_: seawall::Fault) -> T {
    T::default()
}

/// Nothing is against the service.
const fn class<T>(result: &std::io::Result<T>) -> seawall::Class {
    if result.is_ok() { seawall::Class::Success } else { seawall::Class::Ignored }
}

/// Sells nothing.
#[derive(Clone, Debug)]
struct Empty;

impl shop::Shop for Empty {
    const SIZE: usize = 0;
    type Item = u8;
    async fn sell(&self, _: &str, _: String, more: u8) -> std::io::Result<u8> {
        Ok(more)
    }
    fn name(&self) -> &'static str {
        "empty"
    }
    async fn ping(&self) -> u8 {
        0
    }
}

impl shop::Wrapped for Empty {
    type Item = u8;
    async fn sell(&self, _: &str, _: String) -> std::io::Result<u8> {
        Ok(0)
    }
    async fn ping(&self) -> u8 {
        0
    }
}

/// Uses it as a user would.
async fn all(shop: shop::ShopClient<Empty>, wrapped: shop::WrappedClient<Empty>) -> Option<u8> {
    use shop::Shop;
    shop.open().await.ok()?;
    drop(format!("{} {}", shop.name(), <shop::ShopClient<Empty> as Shop>::SIZE));
    drop(format!("{:?}", wrapped.sell("", String::new()).await.ok()?));
    let _ = wrapped.ping().await;
    #[allow(deprecated)]
    let _ = shop.ping().await;
    shop.sell("", String::new(), 1).await.ok()
}

/// The same for the rest.
async fn rest<B: shop::Boxed + 'static, A: shop::Alone + 'static, W: shop::Whole>(
    boxed: shop::BoxedClient<B>,
    mut alone: shop::AloneClient<A>,
    whole: shop::WholeClient<W>,
) -> Option<u8> {
    use futures::StreamExt;
    use shop::{Alone, Boxed, Half, Whole};
    let first = boxed.stream().next().await?.ok()?;
    let more = boxed.get("", Vec::new()).await.ok()? + boxed.future("").await.ok()?;
    let eager = boxed.eager("").await.ok()? + boxed.count().await;
    let halves = whole.half().await.ok()? + whole.whole().await.ok()?;
    Some(first + more + eager + halves + alone.add(String::new()).await.ok()?)
}

impl shop::Half for Empty {
    async fn half(&self) -> std::io::Result<u8> {
        Ok(0)
    }
}

impl shop::Whole for Empty {
    async fn whole(&self) -> std::io::Result<u8> {
        Ok(0)
    }
}

#[async_trait::async_trait]
impl shop::Alone for Empty {
    async fn add(&mut self, of: String) -> std::io::Result<u8> {
        drop(of);
        Ok(0)
    }
}

#[async_trait::async_trait]
impl shop::Boxed for Empty {
    fn future<'a>(&'a self, _: &'a str) -> futures::future::BoxFuture<'a, std::io::Result<u8>> {
        Box::pin(std::future::ready(Ok(0)))
    }
    fn eager(&self, _: &str) -> futures::future::BoxFuture<'static, std::io::Result<u8>> {
        Box::pin(std::future::ready(Ok(0)))
    }
    fn stream(&self) -> futures::stream::BoxStream<'_, std::io::Result<u8>> {
        Box::pin(futures::stream::empty())
    }
    async fn count(&self) -> u8 {
        0
    }
}

/// Nothing to do but compile.
pub(crate) const fn main() {
    let _ = (Empty, all, rest::<Empty, Empty, Empty>);
}
