//! Those who look at how much waits.

use std::sync::Arc;

use once_cell::race::OnceBox;
use tokio::sync::Notify;

/// Wakes those who look at the pressure. Nothing is there before the first of them.
#[derive(Debug, Default)]
pub(super) struct Upstream(OnceBox<Arc<Notify>>);

impl Upstream {
    /// Something may have changed.
    #[inline]
    pub(super) fn tell(&self) {
        if let Some(changed) = self.0.get() {
            changed.notify_waiters();
        }
    }

    pub(super) fn changed(&self) -> &Arc<Notify> {
        self.0.get_or_init(Box::default)
    }
}
