//! Brings what dependencies have counted into a recorder of the `metrics` facade.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, with_recorder,
};

use crate::dependency::Dependency;
use crate::error::DependencyName;

use super::limits::LimitSeries;
use super::names;
use super::pools::PoolsSeries;
use super::queues::QueuesSeries;
use super::series::Series;
use super::watched::Watched;

/// Dependencies by name, each name once.
pub(super) type Living = BTreeMap<DependencyName, Arc<Dependency>>;

/// The first of each name: one recorder cannot hold two of the same.
pub(super) fn by_name<D: Borrow<Arc<Dependency>>>(
    dependencies: impl IntoIterator<Item = D>,
) -> Living {
    let mut living = Living::new();
    for dependency in dependencies {
        let dependency: &Arc<Dependency> = dependency.borrow();
        living.entry(dependency.name().clone()).or_insert_with(|| Arc::clone(dependency));
    }
    living
}

/// Brings the counters and gauges of dependencies into a recorder, whenever it is told to.
///
/// Handles are registered when a dependency or method is first seen: a publication hashes no labels,
/// and a call never meets the recorder at all. Every series shows from the first publication,
/// at zero if need be. What is published is as old as the last [`Publisher::publish`]: call it about as
/// often as the recorder is read.
///
/// **Dependencies that are gone.** The facade has no way to take a series back. Counters stay where they
/// are, gauges (all of the breaker's states among them) go to 0, and the handles are let go. One that is
/// spawned again under the same name counts on where the former stopped. Two Seawalls that publish
/// dependencies of the same name into one recorder add up; so would two publishers of the same
/// dependency, so have one.
///
/// **Latency.** Not forwarded unless asked for; see [`Publisher::forward_latency`].
pub struct Publisher<R> {
    recorder: R,
    latency: bool,
    known: HashMap<DependencyName, Series>,
    limits: LimitSeries,
    queues: QueuesSeries,
    pools: PoolsSeries,
}

impl<R: Recorder> Publisher<R> {
    /// Publishes into this recorder, which is told at once what every metric means. For the one that the
    /// application has installed globally, give [`GlobalRecorder`].
    #[must_use]
    pub fn new(recorder: R) -> Self {
        names::describe(&recorder);
        Self {
            recorder,
            latency: false,
            known: HashMap::new(),
            limits: LimitSeries::default(),
            queues: QueuesSeries::default(),
            pools: PoolsSeries::default(),
        }
    }

    /// Whether calls' latency goes into the recorder's own histogram `seawall_call_duration_seconds`.
    /// Default false. Set it before the first publication; methods already seen keep what they had.
    ///
    /// **Resolution**: a call is recorded as the upper bound of its bucket (seven to a decade from 1 µs to
    /// 100 s), so as at most half as much again as it took, and the sum is too high by as much; above
    /// 100 s as 150 s. Configure buckets in the recorder: without, some render a summary, which cannot
    /// be aggregated.
    ///
    /// **Price**: one `record_many` for each bucket that has grown, and most recorders make that a loop
    /// of `record` over every call since the last publication. In `metrics-exporter-prometheus` each is a
    /// clock read and 16 bytes until its next upkeep or render: at 100,000 calls a second, and a
    /// publication every 15 s, some 50 ms and 24 MB a time.
    #[must_use]
    pub fn forward_latency(mut self, forward: bool) -> Self {
        self.latency = forward;
        self
    }

    /// Brings every one of these dependencies up to date, and retires those that are not among them.
    /// Of two with one name the first counts.
    ///
    /// # Panics
    /// If the recorder does.
    pub fn publish<D: Borrow<Arc<Dependency>>>(
        &mut self,
        dependencies: impl IntoIterator<Item = D>,
    ) {
        let living = by_name(dependencies);
        self.known.retain(|name, series| {
            let listed = living.get(name).is_some_and(|dependency| series.is_of(dependency));
            if !listed {
                series.clear_gauges();
            }
            // One that still exists may be listed again, and must not be counted again from zero.
            listed || (series.is_alive() && !living.contains_key(name))
        });
        // Snapshots are taken here, one after the other, by the thread that has this publisher to itself: that is
        // what keeps an older one from being published after a newer.
        for (name, dependency) in &living {
            let series = match self.known.get_mut(name) {
                Some(series) => series,
                None => self.known.entry(name.clone()).or_insert_with(|| Series::new(dependency)),
            };
            series.update(&self.recorder, &dependency.snapshot(), self.latency);
        }
    }

    /// Brings the counts of these limits, queues and pools up to date. One that is not among them any more keeps its series.
    pub fn publish_watched(&mut self, watched: &Watched) {
        self.limits.update(&self.recorder, &watched.limits);
        self.queues.update(&self.recorder, &watched.queues);
        self.pools.update(&self.recorder, &watched.pools);
    }

    /// The recorder.
    #[must_use]
    pub fn recorder(&self) -> &R {
        &self.recorder
    }
}

impl<R> fmt::Debug for Publisher<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("latency", &self.latency)
            .field("dependencies", &self.known.len())
            .finish_non_exhaustive()
    }
}

/// The recorder that the application has installed with `metrics::set_global_recorder`. Install it before
/// the publisher is made: what is described or registered before that goes nowhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct GlobalRecorder;

impl Recorder for GlobalRecorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        with_recorder(|recorder| recorder.describe_counter(key, unit, description));
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        with_recorder(|recorder| recorder.describe_gauge(key, unit, description));
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        with_recorder(|recorder| recorder.describe_histogram(key, unit, description));
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        with_recorder(|recorder| recorder.register_counter(key, metadata))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        with_recorder(|recorder| recorder.register_gauge(key, metadata))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        with_recorder(|recorder| recorder.register_histogram(key, metadata))
    }
}
