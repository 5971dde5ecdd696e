//! A trait without a guarded method is fine, an empty one too.
#![deny(warnings)]

use seawall::client::Proxy;
use seawall::resilient;

#[resilient]
trait Nothing {}

#[resilient]
trait Unguarded: Send + Sync {
    #[call(skip)]
    async fn ping(&self) -> u8;
    fn plain(&self) -> u8;
}

#[resilient(errors = "wrapped")]
trait Plain {
    fn plain(&self) -> u8;
}

struct It;
impl Nothing for It {}
impl Plain for It {
    fn plain(&self) -> u8 {
        1
    }
}
impl Unguarded for It {
    async fn ping(&self) -> u8 {
        1
    }
    fn plain(&self) -> u8 {
        2
    }
}

pub(crate) fn main() {
    assert!(NothingClient::<It>::METHODS.is_empty());
    assert!(UnguardedClient::<It>::METHODS.is_empty());
    assert!(PlainClient::<It>::METHODS.is_empty());
    let _ = (UnguardedClient::<It>::ping, UnguardedClient::<It>::plain, Plain::plain(&It));
}
