//! The shape every generated client has.

use std::fmt;
use std::sync::Arc;

use crate::dependency::{MethodSpec, MethodTable};

/// A client that `#[resilient]` generated.
pub trait Proxy: Sized {
    /// The user's implementation, which does the real work.
    type Service: Send + Sync + 'static;
    /// The trait's guarded methods, in the order of their indices.
    const METHODS: &'static [MethodSpec];
    /// Wraps the two pointers.
    fn from_link(link: Link<Self::Service>) -> Self;
}

/// The two pointers that a client is: to its dependency's guards, and to the service behind them.
pub struct Link<S> {
    methods: Arc<MethodTable>,
    service: Arc<S>,
}

impl<S> Link<S> {
    /// Joins a service to its guards.
    #[must_use]
    pub fn new(methods: Arc<MethodTable>, service: S) -> Self {
        Self { methods, service: Arc::new(service) }
    }
    /// The guards.
    #[must_use]
    pub fn methods(&self) -> &MethodTable {
        &self.methods
    }
    /// The service.
    #[must_use]
    pub fn service(&self) -> &S {
        &self.service
    }
}

impl<S> Clone for Link<S> {
    fn clone(&self) -> Self {
        Self { methods: Arc::clone(&self.methods), service: Arc::clone(&self.service) }
    }
}

impl<S> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("methods", &self.methods).finish_non_exhaustive()
    }
}
