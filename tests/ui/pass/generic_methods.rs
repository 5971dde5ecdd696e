//! Generics of methods survive, with bounds, `where` clauses, constants and `impl Trait`.
#![deny(warnings)]

use std::fmt::Display;
use std::io;
use std::str::FromStr;

use seawall::resilient;

#[resilient]
trait Codec {
    async fn put<T>(&self, value: T) -> io::Result<()>
    where
        T: Display + Send;
    /// Only the caller says what `T` is.
    #[call(idempotent)]
    async fn get<T: FromStr + Send, const N: usize>(&self, key: &str) -> io::Result<Vec<T>>;
    #[call(idempotent, fallback = zero)]
    async fn count<K: Clone + Send + Sync>(&self, keys: Vec<K>) -> io::Result<usize>;
    async fn print(
        &self,
        what: impl Display + Send,
        and: &(impl Display + Sync),
    ) -> io::Result<String>;
    #[call(idempotent)]
    async fn show(&self, what: &(impl Display + Sync + ?Sized)) -> io::Result<String>;
}

async fn zero<K>(
    _: &impl Codec,
    _: &seawall::CallError<io::Error>,
    _: Vec<K>,
) -> io::Result<usize> {
    Ok(0)
}

struct Text;
impl Codec for Text {
    async fn put<T: Display + Send>(&self, value: T) -> io::Result<()> {
        let _ = value.to_string();
        Ok(())
    }
    async fn get<T: FromStr + Send, const N: usize>(&self, key: &str) -> io::Result<Vec<T>> {
        Ok((0..N).filter_map(|_| key.parse().ok()).collect())
    }
    async fn count<K: Clone + Send + Sync>(&self, keys: Vec<K>) -> io::Result<usize> {
        Ok(keys.len())
    }
    async fn print(
        &self,
        what: impl Display + Send,
        and: &(impl Display + Sync),
    ) -> io::Result<String> {
        Ok(format!("{what}{and}"))
    }
    async fn show(&self, what: &(impl Display + Sync + ?Sized)) -> io::Result<String> {
        Ok(what.to_string())
    }
}

fn send<T: Send>(value: T) -> T {
    value
}

async fn all(codec: CodecClient<Text>) -> io::Result<()> {
    send(codec.put(1)).await?;
    let numbers = send(codec.get::<u8, 3>("7")).await?;
    send(codec.count(numbers)).await?;
    send(codec.print('a', &"b")).await?;
    send(codec.show("c")).await?;
    Ok(())
}

pub(crate) fn main() {
    let _ = (Text, all, CodecClient::<Text>::spawn);
}
