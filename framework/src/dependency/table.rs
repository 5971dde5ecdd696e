//! What a client holds of its dependency: the guards, and one plan per method.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use once_cell::race::OnceBox;

use crate::clock::nanos;

use super::keys::HeldKey;
use super::method::Method;
use super::shared::Dependency;
use super::traits::Specs;

/// A dependency as one trait sees it. Clients share it; with the last one goes the `tenancy`.
pub struct MethodTable {
    dependency: Arc<Dependency>,
    /// The trait's methods, as all its clients share them, once one has been called.
    methods: OnceLock<Arc<[Method]>>,
    /// How long each call may take, whatever the policy says, in nanoseconds; the largest number for no limit.
    within: u64,
    /// Which of the dependency's traits it is.
    index: usize,
    kept: OnceBox<Arc<[Kept]>>,
    /// Whatever must live as long as somebody may call: dropped with the last client.
    _tenancy: Arc<dyn Any + Send + Sync>,
}

/// What calls of one method keep from one to the next, of a type that only the method itself knows.
type Kept = OnceBox<Box<dyn Any + Send + Sync>>;

impl MethodTable {
    /// Lays the policy over the trait, by the first call.
    #[must_use]
    pub fn new(
        dependency: Arc<Dependency>,
        methods: impl Into<Specs>,
        tenancy: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        let index = dependency.add_trait(methods.into());
        let (methods, kept) = (OnceLock::new(), OnceBox::new());
        Self { dependency, methods, within: u64::MAX, index, kept, _tenancy: tenancy }
    }

    /// The same, for calls that take no longer than this, nor than the table allows that it is made of.
    #[must_use]
    pub(crate) fn within(self: &Arc<Self>, length: Duration) -> Self {
        let kept = OnceBox::new();
        let _ = kept.set(Box::new(Arc::clone(self.all_kept())));
        Self {
            dependency: Arc::clone(&self.dependency),
            methods: self.methods.clone(),
            within: self.within.min(nanos(length)),
            index: self.index,
            kept,
            _tenancy: Arc::<Self>::clone(self),
        }
    }

    /// How long each call may take, in nanoseconds; the largest number for no limit.
    #[inline]
    pub(crate) fn limit_nanos(&self) -> u64 {
        self.within
    }

    /// The dependency.
    #[must_use]
    #[inline]
    pub fn dependency(&self) -> &Arc<Dependency> {
        &self.dependency
    }

    /// The key of one call, to be held for as long as that takes; see `Call::by_key`.
    /// `None` if the policy has no breakers by key.
    ///
    /// # Panics
    /// If the key's `Display` does.
    #[must_use]
    pub fn key(&self, key: impl fmt::Display) -> Option<HeldKey> {
        self.dependency.key(&key)
    }

    /// The index of the method of this name; of any other name, that of the last.
    pub(crate) fn index_or_last(&self, name: &str) -> usize {
        let methods = self.methods();
        let found = methods.iter().position(|method| method.name() == name);
        found.unwrap_or(methods.len() - 1)
    }

    /// Whether the method of this index may be repeated.
    #[cfg(feature = "tower")]
    pub(crate) fn is_idempotent(&self, index: usize) -> bool {
        self.method(index).is_idempotent()
    }

    /// The timeout of an attempt that begins now.
    pub(crate) fn timeout(&self, index: usize) -> Duration {
        self.method(index).plan.timeout()
    }

    /// The method of this index. Generated code names only indices that its own list has.
    #[inline]
    pub(crate) fn method(&self, index: usize) -> &Method {
        &self.methods()[index]
    }

    #[inline]
    fn methods(&self) -> &[Method] {
        match self.methods.get() {
            Some(methods) => methods,
            None => self.first_called(),
        }
    }

    #[cold]
    fn first_called(&self) -> &[Method] {
        self.methods.get_or_init(|| self.dependency.methods_of(self.index))
    }

    /// What this method's calls keep; made by the first one that asks for it.
    pub(crate) fn kept(
        &self,
        index: usize,
        make: impl FnOnce() -> Box<dyn Any + Send + Sync>,
    ) -> &(dyn Any + Send + Sync) {
        &**self.all_kept()[index].get_or_init(|| Box::new(make()))
    }

    fn all_kept(&self) -> &Arc<[Kept]> {
        let nothing = || self.methods().iter().map(|_| OnceBox::new()).collect();
        self.kept.get_or_init(|| Box::new(nothing()))
    }
}

impl fmt::Debug for MethodTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MethodTable").field("dependency", &self.dependency).finish_non_exhaustive()
    }
}
