//! Limits, queues and thread pools that are no dependencies, in the metrics.

use std::sync::Arc;

use crate::blocking::BlockingPool;
use crate::limit::Metered;
use crate::queue::Counted;

use super::seawall::Seawall;

impl Seawall {
    /// Has a limit in front of a server in the metrics, and its refusals among the events, under this name: what it allowed and
    /// refused, by policy, and the keys that it holds. A `RateLimitLayer` is one, and its clones share all that: `seawall.watch_limit("edge",
    /// layer.clone())`. Another of the same name takes its place.
    pub fn watch_limit(&self, name: impl Into<Arc<str>>, limit: impl Metered + 'static) {
        let name = name.into();
        let (registry, observer) = self.watching();
        limit.tell(Arc::clone(&name), Arc::clone(observer));
        registry.watch_limit((name, Arc::new(limit)));
    }

    /// Has a queue in the metrics under this name: how many items it received, processed, dropped and merged, how many producers had to wait,
    /// and how full it is. Another of the same name takes its place.
    ///
    /// ```
    /// # fn watched(seawall: &seawall::Seawall) -> Result<(), seawall::constraint::InvalidSettings> {
    /// let samples = seawall::queue::BackpressureQueue::<f64>::builder().capacity(1_000).build()?;
    /// seawall.watch_queue("samples", samples.clone());
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch_queue(&self, name: impl Into<Arc<str>>, queue: impl Counted + 'static) {
        self.watching().0.watch_queue((name.into(), Arc::new(queue)));
    }

    /// Has a pool of an application's own in the metrics, under its name, until its threads have ended. The pool of a dependency with blocking
    /// methods is there by itself. Another of the same name takes its place.
    pub fn watch_pool(&self, pool: &BlockingPool) {
        self.watching().0.watch_pool(pool.view());
    }
}
