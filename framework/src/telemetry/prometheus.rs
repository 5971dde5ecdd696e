//! Prometheus text, from a recorder of our own.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use metrics::SharedString;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::dependency::Dependency;
use crate::sync::Mutex;

use super::histogram_text::HistogramText;
use super::limits::WatchedLimit;
use super::publish::{Publisher, by_name};

/// Renders dependencies as a page of Prometheus text (format 0.0.4).
///
/// It has a recorder of its own, installed nowhere: two Seawalls, or the application's own metrics, never
/// meet in it. Nothing is kept up to date between scrapes; a page is made when it is asked for, and
/// costs nothing before the first. The families are in the order of their names.
///
/// A dependency that is gone takes its series with it: then the recorder is made anew, so that ten
/// thousand spawned and dropped leave nothing behind.
pub struct Exporter {
    page: Mutex<Page>,
}

struct Page {
    publisher: Publisher<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Page {
    fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        Self { publisher: Publisher::new(recorder).labels_as(unambiguous), handle }
    }
}

/// The recorder escapes label values when it renders, but takes a pair of backslashes for one that was
/// escaped already, and loses one that stands before a quote: two names could become one series, which
/// makes the whole page invalid. It leaves escaped backslashes alone.
fn unambiguous(value: &str) -> SharedString {
    SharedString::from(value.replace('\\', "\\\\"))
}

impl Exporter {
    /// Knows no dependency yet.
    #[must_use]
    pub fn new() -> Self {
        Self { page: Mutex::new(Page::new()) }
    }

    /// The page: these dependencies as they are now. Of two with one name the first counts.
    ///
    /// Snapshots are taken, published and rendered under one lock, so in every page exactly one state of
    /// each breaker is 1, and no counter of a living dependency is lower than in the page before.
    /// Concurrent renders wait for each other. Blocks for about 0.3 ms a dependency
    /// of one method, most of it in the recorder's own rendering.
    pub fn render<D: Borrow<Arc<Dependency>>>(
        &self,
        dependencies: impl IntoIterator<Item = D>,
    ) -> String {
        self.render_with(dependencies, &[])
    }

    /// The same, with these limits.
    pub fn render_with<D: Borrow<Arc<Dependency>>>(
        &self,
        dependencies: impl IntoIterator<Item = D>,
        limits: &[WatchedLimit],
    ) -> String {
        // Outside the lock: the iterator is somebody else's code.
        let living = by_name(dependencies);
        let mut page = self.page.lock();
        if page.publisher.has_lost_any(&living) {
            *page = Page::new();
        }
        let mut histogram = HistogramText::default();
        page.publisher.publish_each(&living, |snapshot| histogram.add(snapshot));
        page.publisher.publish_limits(limits);
        let rendered = page.handle.render();
        drop(page);
        let mut text = in_order(&rendered);
        text.push_str(&histogram.into_text());
        text
    }

    /// How much it holds, for tests.
    #[cfg(test)]
    pub(super) fn known(&self) -> String {
        format!("{:?}", self.page.lock().publisher)
    }
}

/// Families by name, series by labels. The recorder renders both in an order that changes every time.
fn in_order(rendered: &str) -> String {
    // Families end with a blank line, and nothing else is one: what comes from outside is escaped.
    let mut families: Vec<Vec<&str>> = rendered
        .split("\n\n")
        .map(|family| family.lines().filter(|line| !line.is_empty()).collect())
        .collect();
    families.sort_unstable_by_key(|family: &Vec<&str>| family.first().copied());
    let mut text = String::with_capacity(rendered.len());
    for mut family in families {
        // `# HELP`, `# TYPE`, then the series: so they sort.
        family.sort_unstable();
        for line in family {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
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
