//! Every key of `#[call(…)]`, alone and together, in one attribute or several.
#![deny(warnings)]

use std::io;
use std::time::Duration;

use seawall::client::{Class, Proxy};
use seawall::limit::headers::Report;
use seawall::{CallError, resilient};

#[resilient]
trait Keys {
    #[call(timeout = "1.5s")]
    async fn timeout(&self) -> io::Result<u8>;
    #[call(idempotent)]
    async fn idempotent(&self, text: String) -> io::Result<u8>;
    #[call(idempotent, retry = 1)]
    async fn once(&self) -> io::Result<u8>;
    #[call(idempotent, retry(when = passes))]
    async fn when(&self) -> io::Result<u8>;
    #[call(retry(max_attempts = 3, when = Rules::passes), classify = Rules::class, idempotent)]
    async fn both(&self) -> io::Result<u8>;
    #[call(classify = class::<u8>)]
    async fn classify(&self) -> io::Result<u8>;
    #[call(retry_after = Rules::soon)]
    async fn retry_after(&self) -> io::Result<u8>;
    #[call(quota = Rules::left)]
    async fn quota(&self) -> io::Result<u8>;
    #[call(slow_call = "200ms")]
    async fn slow_call(&self) -> io::Result<u8>;
    #[call(fallback = stale)]
    async fn fallback(&self, key: &str, more: Vec<u8>) -> io::Result<u8>;
    #[call(skip)]
    async fn skip(&self) -> u8;
    #[call(idempotent)]
    #[call(timeout = "1h", fallback = stale, classify = class)]
    #[call(retry(max_attempts = 2, when = passes), retry_after = soon, slow_call = "1m", quota = left)]
    async fn all(&self, key: &str, more: Vec<u8>) -> io::Result<u8>;
}

fn passes(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Interrupted
}
fn class<T>(result: &io::Result<T>) -> Class {
    if result.is_ok() { Class::Success } else { Class::Ignored }
}
fn soon<T>(_: &io::Result<T>) -> Option<Duration> {
    Some(Duration::from_secs(1))
}
fn left<T>(_: &io::Result<T>) -> Option<Report> {
    None
}
struct Rules;
impl Rules {
    fn passes(error: &io::Error) -> bool {
        passes(error)
    }
    fn class(result: &io::Result<u8>) -> Class {
        class(result)
    }
    fn soon(result: &io::Result<u8>) -> Option<Duration> {
        soon(result)
    }
    fn left(result: &io::Result<u8>) -> Option<Report> {
        left(result)
    }
}
async fn stale(
    _: &impl Keys,
    _: &CallError<io::Error>,
    key: &str,
    more: Vec<u8>,
) -> io::Result<u8> {
    Ok(more.len().max(key.len()).try_into().unwrap_or(u8::MAX))
}

struct Service;
impl Keys for Service {
    async fn timeout(&self) -> io::Result<u8> {
        Ok(1)
    }
    async fn idempotent(&self, _: String) -> io::Result<u8> {
        Ok(1)
    }
    async fn once(&self) -> io::Result<u8> {
        Ok(1)
    }
    async fn when(&self) -> io::Result<u8> {
        Ok(1)
    }
    async fn both(&self) -> io::Result<u8> {
        Ok(1)
    }
    async fn classify(&self) -> io::Result<u8> {
        Ok(1)
    }
    async fn retry_after(&self) -> io::Result<u8> {
        Ok(1)
    }
    async fn quota(&self) -> io::Result<u8> {
        Ok(1)
    }
    async fn slow_call(&self) -> io::Result<u8> {
        Ok(1)
    }
    async fn fallback(&self, _: &str, _: Vec<u8>) -> io::Result<u8> {
        Ok(1)
    }
    async fn skip(&self) -> u8 {
        1
    }
    async fn all(&self, _: &str, _: Vec<u8>) -> io::Result<u8> {
        Ok(1)
    }
}

fn send<T: Send>(_: T) {}

fn all(client: KeysClient<Service>) {
    send(client.timeout());
    send(client.idempotent(String::new()));
    send(client.once());
    send(client.when());
    send(client.both());
    send(client.classify());
    send(client.retry_after());
    send(client.quota());
    send(client.slow_call());
    send(client.fallback("", Vec::new()));
    send(client.skip());
    send(client.all("", Vec::new()));
}

pub(crate) fn main() {
    let _ = (Service, Rules, all);
    let methods = KeysClient::<Service>::METHODS;
    let names: Vec<_> = methods.iter().map(|method| method.name).collect();
    assert_eq!(
        names,
        [
            "timeout",
            "idempotent",
            "once",
            "when",
            "both",
            "classify",
            "retry_after",
            "quota",
            "slow_call",
            "fallback",
            "all"
        ]
    );
    let slow: Vec<_> = methods.iter().filter_map(|method| method.slow_call).collect();
    assert_eq!(slow, [Duration::from_millis(200), Duration::from_secs(60)]);
}
