//! The queues of a dependency's one-way methods, for those who look at it.

use std::sync::{Arc, Weak};

use once_cell::race::OnceBox;
use serde::Serialize;

use crate::backpressure::Counts;
use crate::queue::Counted;
use crate::sync::Mutex;

/// By method. They live for as long as a client has the method. Few dependencies have one.
#[derive(Default)]
pub(crate) struct Queues(OnceBox<Mutex<List>>);

type List = Vec<(&'static str, Weak<dyn Counted>)>;

impl Queues {
    pub(crate) fn add(&self, method: &'static str, queue: Weak<dyn Counted>) {
        let mut queues = self.0.get_or_init(Box::default).lock();
        queues.retain(|(_, queue)| queue.strong_count() > 0);
        queues.push((method, queue));
    }

    /// Those that there are now.
    pub(crate) fn living(&self) -> Vec<(&'static str, Arc<dyn Counted>)> {
        let living =
            |(method, queue): &(&'static str, Weak<dyn Counted>)| Some((*method, queue.upgrade()?));
        self.0.get().map_or_else(Vec::new, |it| it.lock().iter().filter_map(living).collect())
    }
}

/// The queue of a one-way method at one instant.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct QueueSnapshot {
    /// The method.
    pub method: &'static str,
    /// What it has seen, and how many calls wait in it.
    pub counts: Counts,
    /// How full it is, 0 to 1.
    pub fill_ratio: f64,
}

impl QueueSnapshot {
    pub(super) fn all(queues: &Queues) -> Vec<Self> {
        let shown = queues.living().into_iter().map(|(method, queue)| Self {
            method,
            counts: queue.counts(),
            fill_ratio: queue.fill_ratio(),
        });
        shown.collect()
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use super::*;
    use crate::queue::BackpressureQueue;

    #[test]
    fn a_queue_that_is_gone_takes_no_room() {
        let queues = Queues::default();
        let queue = || -> Arc<dyn Counted> {
            Arc::new(BackpressureQueue::<u8>::builder().build().unwrap())
        };
        let kept = queue();
        queues.add("kept", Arc::downgrade(&kept));
        for _ in 0..100 {
            queues.add("gone", Arc::downgrade(&queue()));
        }
        assert!(queues.0.get().unwrap().lock().len() <= 2);
        assert_eq!(queues.living().len(), 1);
    }
}
