//! The shape every generated client has.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use crate::deadline;
use crate::dependency::{MethodSpec, MethodTable};

/// A client that `#[resilient]` generated.
#[diagnostic::on_unimplemented(
    message = "nothing says which client `spawn` is to make: `{Self}` is none that `#[resilient]` made",
    label = "the type on the left picks it: `let payments: PaymentsClient<_> = seawall.spawn(…).await?`",
    note = "a trait `Payments` under `#[resilient]` has the client `PaymentsClient`"
)]
pub trait Proxy: Sized {
    /// The user's implementation, which does the real work. It may be a `dyn Trait`.
    type Service: ?Sized + 'static;
    /// How the client's clones share it: an [`Arc`], or an [`Exclusive`].
    type Shared;
    /// The trait's guarded methods, in the order of their indices.
    const METHODS: &'static [MethodSpec];
    /// Whether calls have the service to themselves, so that the bulkhead has one permit.
    const IS_EXCLUSIVE: bool = false;
    /// Wraps the two pointers.
    fn from_link(link: Link<Self::Shared>) -> Self;
}

/// The two pointers that a client is: to its dependency's guards, and to the service behind them.
#[derive(Clone)]
pub struct Link<H> {
    methods: Arc<MethodTable>,
    service: H,
}

impl<H> Link<H> {
    /// Joins a service to its guards.
    #[must_use]
    pub fn new(methods: Arc<MethodTable>, service: H) -> Self {
        Self { methods, service }
    }
    /// The guards.
    #[must_use]
    pub fn methods(&self) -> &MethodTable {
        &self.methods
    }
    /// The guards, to be kept by an answer.
    #[must_use]
    pub fn table(&self) -> &Arc<MethodTable> {
        &self.methods
    }
    /// The same, for calls that take no longer than this, whatever the policy says.
    #[must_use]
    pub fn within(&self, length: Duration) -> Self
    where
        H: Clone,
    {
        deadline::is_used_from_now_on();
        Self { methods: Arc::new(self.methods.within(length)), service: self.service.clone() }
    }
    /// The service, as clones share it.
    #[must_use]
    pub fn shared(&self) -> &H {
        &self.service
    }
}

impl<S: ?Sized> Link<Arc<S>> {
    /// The service.
    #[must_use]
    pub fn service(&self) -> &S {
        &self.service
    }
}

impl<H> fmt::Debug for Link<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("methods", &self.methods).finish_non_exhaustive()
    }
}

/// A service whose methods take `&mut self`, for one call at a time. The bulkhead, which has one permit, does the waiting;
/// the lock only shows the compiler that nobody else is there.
pub struct Exclusive<S: ?Sized>(Arc<Mutex<Box<S>>>);

impl<S: ?Sized> Exclusive<S> {
    /// Shares a service that is in a box.
    #[must_use]
    pub fn new(service: Box<S>) -> Self {
        Self(Arc::new(Mutex::new(service)))
    }

    /// The service, for as long as the guard is held.
    pub async fn lock(&self) -> ExclusiveGuard<'_, S> {
        ExclusiveGuard(self.0.lock().await)
    }
}

impl<S> From<S> for Exclusive<S> {
    fn from(service: S) -> Self {
        Self::new(Box::new(service))
    }
}

impl<S: ?Sized> Clone for Exclusive<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: ?Sized> fmt::Debug for Exclusive<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exclusive").finish_non_exhaustive()
    }
}

/// A service that nobody else has.
pub struct ExclusiveGuard<'a, S: ?Sized>(MutexGuard<'a, Box<S>>);

impl<S: ?Sized> Deref for ExclusiveGuard<'_, S> {
    type Target = S;
    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S: ?Sized> DerefMut for ExclusiveGuard<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.0
    }
}

impl<S: ?Sized> fmt::Debug for ExclusiveGuard<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExclusiveGuard").finish_non_exhaustive()
    }
}
