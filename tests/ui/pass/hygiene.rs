//! Nothing that a user calls by a name of ours gets in our way.
#![deny(warnings)]
#![allow(clippy::too_many_arguments)]
#![no_implicit_prelude]

use ::seawall::resilient;
use ::std::string::String;

mod core {}
mod std {}
#[allow(dead_code)]
struct Option;
#[allow(dead_code)]
struct Result;
#[allow(dead_code, non_snake_case)]
fn Ok() {}
#[allow(dead_code, non_snake_case)]
fn Err() {}
#[derive(::std::clone::Clone)]
struct S;
#[derive(::std::clone::Clone)]
struct Service;
type Is<T> = ::std::io::Result<T>;

#[resilient]
trait Named<Service> {
    #[call(idempotent, fallback = instead, classify = class, retry(when = always))]
    async fn r#type(
        &self,
        __link: S,
        __service: &str,
        __call: u8,
        __result: String,
        __error: u8,
        __answer: u8,
    ) -> Is<S>;
    async fn link(&self, r#fn: u8, _: u8, _unused: u8, self_: u8, index: u8) -> Is<Service>;
    async fn core(&self, core: u8) -> Is<()>;
    async fn begin(&self) -> Is<()>;
}

async fn instead<T>(
    _: &impl Named<T>,
    _: &::seawall::CallError<::std::io::Error>,
    _: S,
    _: &str,
    _: u8,
    _: String,
    _: u8,
    _: u8,
) -> Is<S> {
    ::std::result::Result::Ok(S)
}
fn class<T>(_: &Is<T>) -> ::seawall::Class {
    ::seawall::Class::Success
}
fn always<E>(_: &E) -> bool {
    true
}

struct It;
impl Named<Service> for It {
    async fn r#type(&self, s: S, _: &str, _: u8, _: String, _: u8, _: u8) -> Is<S> {
        ::std::result::Result::Ok(s)
    }
    async fn link(&self, _: u8, _: u8, _: u8, _: u8, _: u8) -> Is<Service> {
        ::std::result::Result::Ok(Service)
    }
    async fn core(&self, _: u8) -> Is<()> {
        ::std::result::Result::Ok(())
    }
    async fn begin(&self) -> Is<()> {
        ::std::result::Result::Ok(())
    }
}

async fn all(it: NamedClient<It, Service>) {
    let _ = it.r#type(S, "", 1, String::new(), 2, 3).await;
    let _ = it.link(1, 2, 3, 4, 5).await;
    let _ = it.core(1).await;
    let _ = it.begin().await;
}

/// From a macro, with fragments and names of its own.
macro_rules! offered {
    ($name:ident, $arg:ty, $answer:ty, $timeout:literal, $instead:path) => {
        #[resilient]
        trait $name {
            #[call(idempotent, retry = 2, timeout = $timeout, fallback = $instead)]
            async fn get(&self, one: $arg, two: $arg) -> $answer;
            async fn body(&self, one: $arg) -> $answer {
                self.get(one, one).await
            }
        }
    };
}
offered!(Made, &str, Is<u8>, "3s", made_up);
async fn made_up(
    _: &impl Made,
    _: &::seawall::CallError<::std::io::Error>,
    _: &str,
    _: &str,
) -> Is<u8> {
    ::std::result::Result::Ok(1)
}
impl Made for It {
    async fn get(&self, _: &str, _: &str) -> Is<u8> {
        ::std::result::Result::Ok(1)
    }
}

mod inner {
    #[::seawall::resilient]
    pub(super) trait Visible {
        async fn seen(&self) -> ::std::io::Result<()>;
    }
    pub(super) mod deeper {
        #[::seawall::resilient(client = Otherwise)]
        pub(in super::super) trait Visible {
            async fn seen(&self) -> ::std::io::Result<()>;
        }
    }
}
impl inner::deeper::Visible for It {
    async fn seen(&self) -> Is<()> {
        ::std::result::Result::Ok(())
    }
}
impl inner::Visible for It {
    async fn seen(&self) -> Is<()> {
        ::std::result::Result::Ok(())
    }
}

pub(crate) fn main() {
    let _ = (It, all);
    let _ = MadeClient::<It>::get;
    let _ = MadeClient::<It>::body;
    let _ = <inner::VisibleClient<It> as inner::Visible>::seen;

    let _ = <inner::deeper::Otherwise<It> as inner::deeper::Visible>::seen;

    #[resilient]
    trait Local {
        async fn here(&self) -> Is<()>;
    }
    impl Local for It {
        async fn here(&self) -> Is<()> {
            ::std::result::Result::Ok(())
        }
    }
    let _ = LocalClient::<It>::here;
}
