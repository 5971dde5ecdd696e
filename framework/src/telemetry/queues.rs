//! The series of queues that are watched.

use std::collections::HashMap;
use std::sync::Arc;

use metrics::{Gauge, Recorder};

use crate::backpressure::Counts;
use crate::queue::Counted;

use super::names;
use super::series::{Count, Registrar};

/// A queue that is watched, under its name.
pub type WatchedQueue = (Arc<str>, Arc<dyn Counted>);

/// The values of the label [`names::END`], and what has come to each.
pub(super) fn ends(counts: Counts) -> [(&'static str, u64); 5] {
    [
        ("received", counts.received),
        ("processed", counts.processed),
        ("dropped", counts.dropped),
        ("merged", counts.merged),
        ("blocked", counts.blocked),
    ]
}

/// Those of one queue.
struct QueueSeries {
    items: [Count; 5],
    depth: Gauge,
    fill_ratio: Gauge,
}

/// Those of all queues, by name.
#[derive(Default)]
pub(super) struct QueuesSeries(HashMap<Arc<str>, QueueSeries>);

impl QueuesSeries {
    /// Brings them up to date.
    pub(super) fn update(&mut self, recorder: &dyn Recorder, queues: &[WatchedQueue]) {
        for (name, queue) in queues {
            let registrar = || Registrar::of(recorder, names::QUEUE, name);
            let series = self.0.entry(Arc::clone(name)).or_insert_with(|| QueueSeries {
                items: ends(Counts::default()).map(|(end, _)| {
                    registrar().with_static(names::END, end).count(&names::QUEUE_ITEMS)
                }),
                depth: registrar().gauge(&names::QUEUE_DEPTH),
                fill_ratio: registrar().gauge(&names::QUEUE_FILL_RATIO),
            });
            let counts = queue.counts();
            for (count, (_, total)) in series.items.iter_mut().zip(ends(counts)) {
                count.raise_to(total);
            }
            series.depth.set(f64::from(counts.waiting));
            series.fill_ratio.set(queue.fill_ratio());
        }
    }
}
