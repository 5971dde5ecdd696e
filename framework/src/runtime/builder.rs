//! Starting a Seawall.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::actor::{ActorHandle, Job, RestartPolicy, Supervision};
use crate::breaker::adaptive::HistoryStore;
use crate::bulkhead::FleetConfig;
use crate::call::want_spans;
use crate::constraint::{Constraints, InvalidSettings};
use crate::dependency::Fleet;
use crate::entropy::Entropy;
use crate::event::{Event, Observer};
use crate::policy::{Policy, PolicyFile};
use crate::telemetry::{DEFAULT_CAPACITY, Events, Publisher, Tracing};
use crate::time::Time;

use super::error::StartError;
use super::events::Broadcast;
use super::exporting::Exporting;
use super::history::{FileStore, KEPT_EVERY, Keeper};
use super::registry::Registry;
use super::reload::Policies;
use super::seawall::{Parts, Seawall};
use super::unused::{LOOKED_FOR_EVERY, Unused};
use super::warnings::Warnings;

/// Gathers what a Seawall is to be like; nothing happens before [`Builder::start`].
#[must_use = "a builder starts nothing until `start`"]
pub struct Builder {
    policy: PolicySource,
    own_policies: BTreeMap<String, Policy>,
    fleets: Vec<FleetConfig>,
    time: Option<Time>,
    seed: Option<u64>,
    restart: RestartPolicy,
    observers: Vec<Arc<dyn Observer>>,
    event_capacity: usize,
    metrics: Option<String>,
    publishing: Option<Publishing>,
    history: Option<HistorySource>,
    on_this_runtime: bool,
    spans: bool,
}

enum PolicySource {
    BuiltIn,
    File(PathBuf),
    Text { name: String, text: String },
}

enum HistorySource {
    Directory(PathBuf),
    Store(Arc<dyn HistoryStore>),
}

impl HistorySource {
    fn start(self, registry: &Arc<Registry>) -> Result<Keeper, StartError> {
        let (directory, store) = match self {
            Self::Store(store) => (None, Ok(store)),
            Self::Directory(directory) => {
                let store = FileStore::new(&directory);
                (Some(directory), store.map(|store| Arc::new(store) as Arc<dyn HistoryStore>))
            }
        };
        store
            .and_then(|store| Keeper::start(store, Arc::clone(registry)))
            .map_err(|source| StartError::History { directory, source })
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            policy: PolicySource::BuiltIn,
            own_policies: BTreeMap::new(),
            fleets: Vec::new(),
            time: None,
            seed: None,
            restart: RestartPolicy::default(),
            observers: Vec::new(),
            event_capacity: DEFAULT_CAPACITY,
            metrics: None,
            publishing: None,
            history: None,
            on_this_runtime: false,
            spans: false,
        }
    }
}

impl Builder {
    /// Reads policies from a TOML file, when started.
    pub fn policy_file(mut self, path: impl AsRef<Path>) -> Self {
        self.policy = PolicySource::File(path.as_ref().to_owned());
        self
    }

    /// Reads policies from TOML text; `name` is what mistakes in it are reported under.
    pub fn policy_text(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.policy = PolicySource::Text { name: name.into(), text: text.into() };
        self
    }

    /// The policy of one dependency, built in code. It stands alone: what a file says of that
    /// dependency, its defaults included, no longer applies.
    pub fn policy(mut self, dependency: impl Into<String>, policy: Policy) -> Self {
        self.own_policies.insert(dependency.into(), policy);
        self
    }

    /// One total of permits for several dependencies, each of which has a minimum of its own.
    ///
    /// ```
    /// use seawall::Seawall;
    /// use seawall::bulkhead::FleetConfig;
    ///
    /// // 100 permits. Each has 10 in any case; of the other 70, what payments need comes first, two to one.
    /// let fleet = FleetConfig::builder(100)
    ///     .member("payments", 10, 2.0)
    ///     .member("inventory", 10, 1.0)
    ///     .member("recommendations", 10, 1.0)
    ///     .build()?;
    /// let seawall = Seawall::builder().fleet(fleet);
    /// # Ok::<(), seawall::constraint::InvalidSettings>(())
    /// ```
    ///
    /// A member still has no more than its policy's `max_concurrent`, or what its `limit` finds: set that to what the dependency can
    /// bear. `cargo run --release --example lab -- fleet` says what it is worth.
    pub fn fleet(mut self, fleet: FleetConfig) -> Self {
        self.fleets.push(fleet);
        self
    }

    /// Where the time comes from. Default [`Time::system`], or [`Time::tokio`] where it is started on a runtime whose clock is
    /// paused: calls just work in a `#[tokio::test(start_paused = true)]`.
    pub fn time(mut self, time: impl Into<Time>) -> Self {
        self.time = Some(time.into());
        self
    }

    /// Fixes all chance, jitter above all, so that a run can be repeated. Default: the system's.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Whether each call has a `tracing` span, and each of its attempts one below it; for all of the process. Default: no, and
    /// then they cost nothing; nor do they where no subscriber wants them. [`guide::operating`](crate::guide) has their fields.
    pub fn spans(mut self, are_wanted: bool) -> Self {
        self.spans = are_wanted;
        self
    }

    /// How failed actors are rebuilt.
    pub fn restart(mut self, policy: RestartPolicy) -> Self {
        self.restart = policy;
        self
    }

    /// Tells `observer` of every event; may be called several times.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// How many events are kept for subscribers of [`Seawall::events`] that are slow; from 1 to 1,048,576,
    /// default 1,024. They take room only while somebody subscribes, some 100 bytes each.
    pub fn event_capacity(mut self, events: usize) -> Self {
        self.event_capacity = events;
        self
    }

    /// Serves metrics to Prometheus at this address, under `/metrics`, from a thread and a recorder of
    /// Seawall's own. Port 0 picks a free one: [`Seawall::metrics_address`]. An address that is not
    /// loopback can be read by anyone who reaches it.
    #[cfg(feature = "prometheus")]
    pub fn prometheus(mut self, address: impl Into<String>) -> Self {
        self.metrics = Some(address.into());
        self
    }

    /// Publishes counters and gauges into a recorder that the application already has; latency only by
    /// [`Publisher::forward_latency`], with [`Builder::publisher`].
    ///
    /// Every `period`, from the supervision thread. For the one that is installed globally give
    /// [`GlobalRecorder`](crate::telemetry::GlobalRecorder), once it is installed.
    pub fn recorder<R>(self, recorder: R, period: Duration) -> Self
    where
        R: metrics::Recorder + Send + 'static,
    {
        self.publisher(Publisher::new(recorder), period)
    }

    /// The same through a [`Publisher`], which can forward latency too; see there for what that costs.
    pub fn publisher<R>(mut self, mut publisher: Publisher<R>, period: Duration) -> Self
    where
        R: metrics::Recorder + Send + 'static,
    {
        let publish = move |registry: &Registry| {
            publisher.publish(registry.dependencies());
            publisher.publish_watched(&registry.watched());
        };
        self.publishing = Some(Publishing { publish: Box::new(publish), period });
        self
    }

    /// Keeps what adaptive breakers learn in files in this directory, which is made if it is not there, and
    /// reads it when a dependency is spawned: see [`FileStore`]. Written every five minutes and at shutdown, by
    /// a thread that it has to itself. Without this, or [`Builder::history_store`], every run begins anew.
    pub fn history_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.history = Some(HistorySource::Directory(directory.as_ref().to_owned()));
        self
    }

    /// The same in a store of another kind.
    pub fn history_store(mut self, store: impl HistoryStore) -> Self {
        self.history = Some(HistorySource::Store(Arc::new(store)));
        self
    }

    /// Runs the actors on the runtime that starts Seawall, not on a thread of their own: with
    /// [`Time::tokio`] a test's paused clock then drives them too. Needs a runtime that runs local
    /// tasks: `#[actix::main]`, `#[actix::test]`, or a tokio `LocalSet`.
    pub fn on_this_runtime(mut self) -> Self {
        self.on_this_runtime = true;
        self
    }

    /// Starts it. Blocks while its threads come up, and the first time in a process for up to 200 ms while
    /// the clock is calibrated.
    ///
    /// # Errors
    /// [`StartError`]: a policy or a setting is wrong, an address cannot be listened on, a thread cannot be had.
    pub fn start(self) -> Result<Seawall, StartError> {
        let (path, file) = match self.policy {
            PolicySource::BuiltIn => (None, PolicyFile::default()),
            PolicySource::File(path) => {
                let file = PolicyFile::load(&path)?;
                (Some(path), file)
            }
            PolicySource::Text { name, text } => (None, PolicyFile::parse(&text, &name)?),
        };
        let events = Arc::new(Events::new(self.event_capacity)?);
        one_fleet_each(&self.fleets)?;
        let time = self.time.unwrap_or_else(Time::usual);
        let registry = Arc::new(Registry::default());
        // Before any thread but its own: the one step that fails for reasons outside.
        let mut exporting = Exporting::start(self.metrics, &registry)?;
        let keeper =
            self.history.map(|history| history.start(&registry)).transpose()?.map(Arc::new);
        if self.spans {
            want_spans();
        }
        let supervision = if self.on_this_runtime {
            Supervision::on_this_runtime(time.clone(), self.restart)?
        } else {
            Supervision::on_own_thread(time.clone(), self.restart)?
        };
        if let Some(Publishing { mut publish, period }) = self.publishing {
            let registry = Arc::clone(&registry);
            let handle =
                supervision.repeat("metrics publisher", period, move || publish(&registry));
            exporting.publisher = Some(handle);
        }
        let keeping = keeper
            .clone()
            .map(|keeper| supervision.repeat("history", KEPT_EVERY, move || keeper.keep_all()));
        let mut observers: Vec<Arc<dyn Observer>> = vec![Arc::new(Tracing)];
        observers.extend(self.observers);
        observers.push(Arc::clone(&events) as Arc<dyn Observer>);
        let observer: Arc<dyn Observer> = Arc::new(All(observers));
        let sections: BTreeSet<String> = file.names().map(str::to_owned).collect();
        let has_sections = !sections.is_empty() || path.is_some();
        let (clock, told) = (time.clone(), Arc::clone(&observer));
        let unused = Arc::new(Unused::new(clock, told, Arc::clone(&registry), sections));
        let looking = has_sections.then(|| look_for_unused(&supervision, Arc::clone(&unused)));
        let warnings = Warnings::new(time.clone(), Arc::clone(&observer));
        let policies = Policies::new(path, self.own_policies, file);
        policies.warn(&warnings);
        Ok(Seawall::new(Parts {
            time,
            supervision,
            registry,
            exporting,
            keeper,
            keeping,
            unused,
            looking,
            policies,
            fleets: self.fleets.iter().map(Fleet::new).collect(),
            warnings,
            entropy: self.seed.map_or_else(Entropy::system, Entropy::seeded),
            observer,
            events: Broadcast(events),
        }))
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}

/// A dependency has one limit, and so one fleet at most.
fn one_fleet_each(fleets: &[FleetConfig]) -> Result<(), InvalidSettings> {
    let mut check = Constraints::default();
    let mut known = BTreeSet::new();
    for name in fleets.iter().flat_map(FleetConfig::names) {
        check.require(known.insert(name), "fleet.member", name, "in one fleet");
    }
    check.finish(())
}

/// From a minute after the start on, once a minute.
fn look_for_unused(supervision: &Supervision, unused: Arc<Unused>) -> ActorHandle<Job> {
    let mut is_first = true;
    supervision.repeat("unused settings", LOOKED_FOR_EVERY, move || {
        // The first round is at the start, before anything can have been spawned.
        if !std::mem::take(&mut is_first) {
            unused.tell_sections();
        }
    })
}

/// Publication into somebody's recorder, of a type that only its closure knows.
struct Publishing {
    publish: Box<dyn FnMut(&Registry) + Send>,
    period: Duration,
}

struct All(Vec<Arc<dyn Observer>>);

impl Observer for All {
    fn on_event(&self, event: &Event) {
        for observer in &self.0 {
            // One by one: what panics in one observer is not the others' affair.
            if catch_unwind(AssertUnwindSafe(|| observer.on_event(event))).is_err() {
                tracing::error!(?event, "an observer panicked");
            }
        }
    }
}
