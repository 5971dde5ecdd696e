//! A permit that outlives the attempt that it was taken for.

use std::fmt;
use std::sync::Arc;

use super::shared::Dependency;

/// A permit of its own, for what goes on after an attempt has been answered: a stream. Given back when dropped.
pub(crate) struct HeldPermit(Arc<Dependency>);

impl HeldPermit {
    /// Taken by an attempt that holds one itself and is about to give that back: nobody comes in between.
    pub(crate) fn beside_another(dependency: &Arc<Dependency>) -> Self {
        dependency.gate().waiting_room().permits().add();
        Self(Arc::clone(dependency))
    }
}

impl Drop for HeldPermit {
    fn drop(&mut self) {
        self.0.gate().waiting_room().leave(|| self.0.now());
        self.0.left();
    }
}

impl fmt::Debug for HeldPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeldPermit").field(self.0.name()).finish()
    }
}
