//! A page of Prometheus text.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::dependency::{Dependency, Snapshot};
use crate::sync::Mutex;

use super::publish::by_name;
use super::text;
use super::watched::Watched;

/// Renders dependencies as a page of Prometheus text (format 0.0.4).
///
/// The page is written from what the dependencies have counted; no recorder is asked, and two Seawalls, or the
/// application's own metrics, never meet in it. Nothing is kept up to date between pages. A dependency that is gone
/// takes its series with it.
///
/// **Counters begin at zero**, so that a rate does not miss the first event. Where more than 1,000 methods have not been
/// called, each of those shows only the outcomes `success` and `failure` of its calls; the others come with its
/// first call. Latency is shown of methods that have been called.
pub struct Exporter {
    /// How long the last page was. Locked while a page is made.
    length: Mutex<usize>,
}

impl Exporter {
    /// Has made no page yet.
    #[must_use]
    pub fn new() -> Self {
        Self { length: Mutex::new(0) }
    }

    /// The page: these dependencies as they are now. Of two with one name the first counts.
    ///
    /// Snapshots are taken and written under one lock, so in every page exactly one state of
    /// each breaker is 1, and no counter of a living dependency is lower than in the page before.
    /// Concurrent renders wait for each other. Blocks for about 0.03 ms a dependency of five methods.
    pub fn render<D: Borrow<Arc<Dependency>>>(
        &self,
        dependencies: impl IntoIterator<Item = D>,
    ) -> String {
        self.render_with(dependencies, &Watched::default())
    }

    /// The same, with these limits and queues.
    pub fn render_with<D: Borrow<Arc<Dependency>>>(
        &self,
        dependencies: impl IntoIterator<Item = D>,
        watched: &Watched,
    ) -> String {
        // Outside the lock: the iterator is somebody else's code.
        let living = by_name(dependencies);
        let mut length = self.length.lock();
        let snapshots: Vec<Snapshot> = living.values().map(|living| living.snapshot()).collect();
        let page = text::page(&snapshots, watched, *length);
        *length = page.len();
        page
    }
}

impl Default for Exporter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}
