//! Permits that outlive the attempt that they were taken for.

use std::fmt;
use std::sync::Arc;

use super::shared::Dependency;
use super::table::MethodTable;

/// Permits of its own, for what goes on after an attempt has been answered: a stream. Given back when dropped.
pub(crate) struct HeldPermit {
    dependency: Arc<Dependency>,
    weight: u32,
}

impl HeldPermit {
    /// As many as an attempt of the method of this index has: see [`HeldPermit::beside_another`].
    pub(crate) fn of(methods: &MethodTable, index: usize) -> Self {
        Self::beside_another(methods.dependency(), methods.method(index).weight())
    }

    /// Taken by an attempt that holds as many itself and is about to give them back: nobody comes in between.
    pub(crate) fn beside_another(dependency: &Arc<Dependency>, weight: u32) -> Self {
        dependency.gate().waiting_room().permits().add(weight);
        Self { dependency: Arc::clone(dependency), weight }
    }
}

impl Drop for HeldPermit {
    fn drop(&mut self) {
        self.dependency.gate().waiting_room().leave(self.weight, || self.dependency.now());
        self.dependency.left();
    }
}

impl fmt::Debug for HeldPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("HeldPermit");
        debug.field("dependency", self.dependency.name()).field("weight", &self.weight).finish()
    }
}
