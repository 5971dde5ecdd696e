//! What every shape needs: a count of the calls that reach the service, and a look at each method with the breaker closed and
//! forced open.

use std::cell::Cell;

use seawall::DependencyHandle;

pub(crate) use async_trait::async_trait;
pub(crate) use futures::future::BoxFuture;
pub(crate) use futures::stream::{BoxStream, Stream, StreamExt};
pub(crate) use seawall::{Fault, Seawall, resilient};
pub(crate) use std::collections::HashMap;
pub(crate) use std::future::Future;
pub(crate) use std::pin::Pin;
pub(crate) use std::sync::Arc;
pub(crate) use std::time::Duration;

pub(crate) use crate::hit;

thread_local! {
    /// Each test has a thread of its own.
    static REACHED: Cell<usize> = const { Cell::new(0) };
}

/// Called by every method of every service here.
pub(crate) fn reach() {
    REACHED.set(REACHED.get() + 1);
}

/// `hit!(value)`: the service was reached, and answers `value`.
#[macro_export]
macro_rules! hit {
    ($value:expr) => {{
        $crate::pre::reach();
        $value
    }};
}

pub(crate) fn start() -> Seawall {
    Seawall::builder().start().unwrap()
}

/// Holds each method to being guarded.
pub(crate) struct Look {
    it: DependencyHandle,
}

impl Look {
    pub(crate) fn at(seawall: &Seawall) -> Self {
        Self::of(seawall, "it")
    }

    pub(crate) fn of(seawall: &Seawall, name: &str) -> Self {
        Self { it: seawall.dependency(name).unwrap() }
    }

    /// It reaches the service while the breaker is closed, and not while it is forced open.
    pub(crate) async fn method<F: Future>(&self, name: &str, call: impl Fn() -> F) {
        let reached = async || {
            let before = REACHED.get();
            drop(call().await);
            REACHED.get() - before
        };
        self.it.force_closed().await.unwrap();
        assert!(reached().await > 0, "{name} does not reach the service");
        self.it.force_open().await.unwrap();
        assert_eq!(reached().await, 0, "{name} is not guarded");
        self.it.force_closed().await.unwrap();
    }

    /// For a body in the trait that reaches nothing: guarded if it answers otherwise while the breaker is open.
    pub(crate) async fn answer<F: Future<Output = String>>(
        &self,
        name: &str,
        call: impl Fn() -> F,
    ) {
        self.it.force_closed().await.unwrap();
        let closed = call().await;
        self.it.force_open().await.unwrap();
        assert_ne!(call().await, closed, "{name} is not guarded");
        self.it.force_closed().await.unwrap();
    }
}
