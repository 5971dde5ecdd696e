//! A client stands wherever its service could, another client included.
#![deny(warnings)]

use std::fmt::{self, Display};
use std::io;

use seawall::resilient;

#[resilient]
trait Greeter: Display {
    async fn greet(&self, name: &str) -> io::Result<String>;
}

struct English;
impl Greeter for English {
    async fn greet(&self, name: &str) -> io::Result<String> {
        Ok(format!("hello {name}"))
    }
}
impl Display for English {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("English")
    }
}
/// A supertrait is the user's to give the client.
impl<S: Greeter> Display for GreeterClient<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.service().fmt(f)
    }
}

/// Knows nothing of guards.
struct Door<G> {
    greeter: G,
}
impl<G: Greeter + Clone + 'static> Door<G> {
    fn open(&self) -> impl Future<Output = io::Result<String>> + Send + 'static {
        let greeter = self.greeter.clone();
        async move { greeter.greet("you").await }
    }
}

async fn greeted(greeter: impl Greeter) -> io::Result<String> {
    greeter.greet("all").await
}

async fn all(greeter: GreeterClient<English>, twice: GreeterClient<GreeterClient<English>>) {
    let _ = Door { greeter: greeter.clone() }.open().await;
    let _ = Door { greeter: twice.clone() }.open().await;
    let _ = (greeted(greeter).await, greeted(twice).await, greeted(English).await);
}

pub(crate) fn main() {
    let _ = all;
}
