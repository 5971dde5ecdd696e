//! A client stands wherever its service could, another client included.
#![deny(warnings)]

use std::fmt::{self, Display};
use std::io;

use seawall::resilient;

#[resilient]
trait Greeter: Display + Named {
    async fn greet(&self, name: &str) -> io::Result<String>;
}

/// A supertrait of one's own is the user's to give the client.
trait Named {
    fn name(&self) -> &'static str;
}
impl<S: Greeter> Named for GreeterClient<S> {
    fn name(&self) -> &'static str {
        self.service().name()
    }
}

struct English;
impl Named for English {
    fn name(&self) -> &'static str {
        "English"
    }
}
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
    let _ = (greeter.name(), greeter.to_string());
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
