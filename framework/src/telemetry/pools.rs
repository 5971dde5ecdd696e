//! The series of thread pools that are watched.

use std::collections::HashMap;

use metrics::{Gauge, Recorder};

use crate::blocking::{PoolCounts, PoolView};
use crate::error::DependencyName;

use super::names;
use super::series::{Count, Registrar};

/// The values of the label [`names::END`], and what has come to each.
pub(super) fn ends(counts: PoolCounts) -> [(&'static str, u64); 5] {
    [
        ("received", counts.received),
        ("completed", counts.completed),
        ("panicked", counts.panicked),
        ("rejected", counts.rejected),
        ("withdrawn", counts.withdrawn),
    ]
}

/// What a metric is of a pool.
type Of = fn(&PoolView, PoolCounts) -> u32;

/// What goes up and down.
pub(super) static LEVELS: [(names::Metric, Of); 4] = [
    (names::POOL_ABANDONED, |_, counts| counts.abandoned),
    (names::POOL_ACTIVE, |_, counts| counts.active),
    (names::POOL_QUEUED, |_, counts| counts.queued),
    (names::POOL_THREADS, |pool, _| pool.threads()),
];

/// Those of one pool.
struct PoolSeries {
    works: [Count; 5],
    levels: [Gauge; LEVELS.len()],
}

/// Those of all pools, by name.
#[derive(Default)]
pub(super) struct PoolsSeries(HashMap<DependencyName, PoolSeries>);

impl PoolsSeries {
    /// Brings them up to date.
    pub(super) fn update(&mut self, recorder: &dyn Recorder, pools: &[PoolView]) {
        for pool in pools {
            let counts = pool.counts();
            let registrar = || Registrar::of(recorder, names::POOL, pool.name());
            let series = self.0.entry(pool.name().clone()).or_insert_with(|| PoolSeries {
                works: ends(counts).map(|(end, _)| {
                    registrar().with_static(names::END, end).count(&names::POOL_WORKS)
                }),
                levels: LEVELS.each_ref().map(|(metric, _)| registrar().gauge(metric)),
            });
            for (count, (_, total)) in series.works.iter_mut().zip(ends(counts)) {
                count.raise_to(total);
            }
            for (gauge, (_, of)) in series.levels.iter().zip(&LEVELS) {
                gauge.set(f64::from(of(pool, counts)));
            }
        }
    }
}
