//! A running Seawall.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::actor::{ActorHandle, Job, Supervision, actix};
use crate::client::{Exclusive, Link, Proxy};
use crate::clock::Moment;
use crate::dependency::{Dependency, Fleet, MethodTable, Snapshot};
use crate::entropy::Entropy;
use crate::error::DependencyName;
use crate::event::Observer;
use crate::policy::{Policy, PolicyFile};
use crate::telemetry::EventStream;
use crate::time::Time;

use super::builder::Builder;
use super::dependency::DependencyHandle;
use super::drained::ShutdownReport;
use super::error::SpawnError;
use super::events::Broadcast;
use super::exporting::Exporting;
use super::history::Keeper;
use super::registry::{Registered, Registry, Tenancy};
use super::reload::{Policies, ReloadError, Reloaded};
use super::sets::SharedSets;
use super::unused::Unused;
use super::warnings::Warnings;

/// Longest name a dependency may have, in bytes: names become metric labels.
const MAX_NAME: usize = 128;

/// A running Seawall: dependencies, their supervision, their metrics.
///
/// Clones are the same Seawall. It runs until [`Seawall::shutdown`], or until the last clone, the last
/// client and the last actor handle are gone; that last drop signals its threads and does not wait.
/// Two Seawalls in one process know nothing of each other.
#[derive(Clone)]
pub struct Seawall(pub(super) Arc<Inner>);

/// What clients keep alive.
pub(super) struct Inner {
    pub(super) time: Time,
    pub(super) supervision: Supervision,
    pub(super) registry: Arc<Registry>,
    pub(super) exporting: Exporting,
    pub(super) keeper: Option<Arc<Keeper>>,
    /// Held so that it goes on, on supervision's thread.
    _keeping: Option<ActorHandle<Job>>,
    pub(super) policies: Policies,
    pub(super) sets: SharedSets,
    fleets: Box<[Arc<Fleet>]>,
    entropy: Entropy,
    forks: AtomicU64,
    observer: Arc<dyn Observer>,
    pub(super) events: Broadcast,
    pub(super) closed: AtomicBool,
    pub(super) unused: Arc<Unused>,
    warnings: Warnings,
    /// Held so that it goes on, on supervision's thread.
    _looking: Option<ActorHandle<Job>>,
    pub(super) finished: tokio::sync::OnceCell<ShutdownReport>,
}

/// What Seawall is made of, as the builder hands it over.
pub(super) struct Parts {
    pub(super) time: Time,
    pub(super) supervision: Supervision,
    pub(super) registry: Arc<Registry>,
    pub(super) exporting: Exporting,
    pub(super) keeper: Option<Arc<Keeper>>,
    pub(super) keeping: Option<ActorHandle<Job>>,
    pub(super) policies: Policies,
    pub(super) fleets: Box<[Arc<Fleet>]>,
    pub(super) unused: Arc<Unused>,
    pub(super) warnings: Warnings,
    pub(super) looking: Option<ActorHandle<Job>>,
    pub(super) entropy: Entropy,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) events: Broadcast,
}

impl Seawall {
    /// Starts with no policy file, no exporter and the system's time. Start it after the process has forked, if it does:
    /// a child has none of the threads that were started before.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            time: parts.time,
            supervision: parts.supervision,
            registry: parts.registry,
            exporting: parts.exporting,
            keeper: parts.keeper,
            _keeping: parts.keeping,
            unused: parts.unused,
            warnings: parts.warnings,
            _looking: parts.looking,
            policies: parts.policies,
            sets: SharedSets::default(),
            fleets: parts.fleets,
            entropy: parts.entropy,
            forks: AtomicU64::new(0),
            observer: parts.observer,
            events: parts.events,
            closed: AtomicBool::new(false),
            finished: tokio::sync::OnceCell::new(),
        }))
    }

    /// Puts a service behind its guards, and an actor in charge of them. The annotation on the left
    /// picks the client: `let payments: PaymentsClient<_> = seawall.spawn("payments", service).await?`.
    ///
    /// The dependency lives as long as any clone of the client. Does not wait for the actor, nor for
    /// the dependency to be reachable; for what its breaker has learned in earlier runs, if that is kept,
    /// at most 5 s.
    ///
    /// # Errors
    /// [`SpawnError`]: the name is taken or cannot be one, or Seawall is shutting down.
    pub async fn spawn<P: Proxy>(&self, name: &str, service: P::Service) -> Result<P, SpawnError>
    where
        P::Service: Sized,
        P::Shared: From<P::Service>,
    {
        self.spawn_shared(name, P::Shared::from(service)).await
    }

    /// The same for a service that is shared already, or known by its trait only:
    /// `let payments: PaymentsClient<dyn Payments> = seawall.spawn_arc("payments", service).await?`.
    ///
    /// # Errors
    /// As [`Seawall::spawn`].
    pub async fn spawn_arc<P>(&self, name: &str, service: Arc<P::Service>) -> Result<P, SpawnError>
    where
        P: Proxy<Shared = Arc<<P as Proxy>::Service>>,
    {
        self.spawn_shared(name, service).await
    }

    /// The same for a service in a box, behind a client made by `#[resilient(exclusive)]`: its methods take `&mut self`, and
    /// one call at a time has it.
    ///
    /// # Errors
    /// As [`Seawall::spawn`].
    pub async fn spawn_box<P>(&self, name: &str, service: Box<P::Service>) -> Result<P, SpawnError>
    where
        P: Proxy<Shared = Exclusive<<P as Proxy>::Service>>,
    {
        self.spawn_shared(name, Exclusive::new(service)).await
    }

    async fn spawn_shared<P: Proxy>(
        &self,
        name: &str,
        service: P::Shared,
    ) -> Result<P, SpawnError> {
        let tenancy = self.settle(name).await?;
        let dependency = Arc::clone(tenancy.dependency());
        self.start_threads(&dependency, P::METHODS)?;
        let client = link::<P>(service, tenancy);
        self.tell_unused(&dependency);
        Ok(client)
    }

    /// Tells of what the policy has for this dependency and nothing uses.
    pub(super) fn tell_unused(&self, dependency: &Dependency) {
        self.0.unused.tell_methods(dependency);
    }

    /// What the dependency of this name goes by, where no section says anything of it.
    pub(super) fn set_usual(&self, name: &str, usual: fn() -> Policy) {
        self.0.policies.set_usual(name, usual);
    }

    /// Makes a dependency of this name, with its actor.
    pub(super) async fn settle(&self, name: &str) -> Result<Arc<Tenancy>, SpawnError> {
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(SpawnError::BadName { name: name.escape_debug().to_string() });
        }
        if self.0.closed.load(Ordering::Acquire) {
            return Err(SpawnError::ShutDown { name: name.to_owned() });
        }
        let name = DependencyName::kept(name);
        let policies = &self.0.policies;
        let seen = policies.replaced();
        let (register, inner) = (|name| self.register(name), Arc::<Inner>::clone(&self.0));
        let settled = self.0.registry.settle(name.clone(), register, inner);
        let Some(tenancy) = settled else {
            return Err(SpawnError::AlreadySpawned { name: name.to_string() });
        };
        // A reload that was under way may have missed it, and so may a shutdown that began meanwhile.
        if policies.replaced() != seen {
            tenancy.dependency().reload(policies.of(tenancy.dependency().name()));
        }
        if self.0.closed.load(Ordering::Acquire) {
            tenancy.dependency().cancel();
        }
        if let Some(keeper) = &self.0.keeper
            && let Some(read) = keeper.read(tenancy.dependency())
        {
            keeper.await_answer(read, &self.0.time).await;
        }
        self.share_by_policy(tenancy.dependency().name()).await?;
        Ok(tenancy)
    }

    fn register(&self, name: DependencyName) -> Registered {
        self.0.unused.spawned(&name);
        let policy = self.0.policies.of(&name);
        self.0.warnings.tell(&name, &policy);
        let entropy = self.0.entropy.fork(self.0.forks.fetch_add(1, Ordering::Relaxed));
        let observer = Arc::clone(&self.0.observer);
        let dependency =
            Arc::new(Dependency::new(name, policy, self.0.time.clone(), entropy, observer));
        self.0.fleets.iter().for_each(|fleet| fleet.seat(&dependency));
        let supervised = self.0.supervision.supervise(Arc::clone(&dependency));
        Registered { dependency, supervised, keeper: self.0.keeper.clone() }
    }

    /// A client of another trait on a dependency that is already spawned: both share its breaker, its
    /// permits, its mailbox and its limits.
    ///
    /// # Errors
    /// [`SpawnError::NotSpawned`]: there is no such dependency, or the last client of it is gone.
    pub fn client<P: Proxy>(&self, name: &str, service: P::Service) -> Result<P, SpawnError>
    where
        P::Service: Sized,
        P::Shared: From<P::Service>,
    {
        match self.0.registry.tenancy(name) {
            Some(tenancy) => {
                self.start_threads(tenancy.dependency(), P::METHODS)?;
                Ok(link::<P>(service.into(), tenancy))
            }
            None => Err(SpawnError::NotSpawned { name: name.to_owned() }),
        }
    }

    /// Reads the policy file again, and puts every dependency under what it says now, while calls go on.
    /// Blocks while it reads.
    ///
    /// Breaker state and counts, orders by hand, permits that are out and calls that wait are all kept.
    /// Calls under way go on by what they began with, but for a timeout that has not begun to run. A rate
    /// limit that changes keeps what is spent of it; a retry budget that changes begins anew. Policies built in code stay.
    ///
    /// # Errors
    /// [`ReloadError`]: there is no file, it cannot be read, something in it is wrong, or it has lost the section of a spawned
    /// dependency. Nothing has changed then.
    pub fn reload(&self) -> Result<Reloaded, ReloadError> {
        Ok(self.reload_from(self.0.policies.read(&self.0.registry)?))
    }

    /// As [`Seawall::reload`], with policies from elsewhere.
    pub fn reload_from(&self, policies: PolicyFile) -> Reloaded {
        let mut reloaded = self.0.policies.replace(policies, &self.0.registry);
        reloaded.changed.extend(self.reload_limits());
        self.0.policies.warn(&self.0.warnings);
        self.0.unused.set_sections(reloaded.unspawned.iter().cloned());
        for registered in self.0.registry.all() {
            self.0.unused.tell_methods(&registered.dependency);
        }
        reloaded
    }

    /// A hold on a dependency for operators: what it has seen, and its breaker by hand.
    #[must_use]
    pub fn dependency(&self, name: &str) -> Option<DependencyHandle> {
        self.0.registry.get(name).map(|found| DependencyHandle::new(found, self.0.time.clone()))
    }

    /// Every dependency at this instant, by name.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.0.registry.all().iter().map(|found| found.dependency.snapshot()).collect()
    }

    /// Everything that happens from now on, to be read in a task of its own. Each
    /// stream gets every event; how many it may fall behind is [`Builder::event_capacity`]. Of several moves of
    /// one breaker the latest has the highest [`sequence`](crate::event::Transition::sequence), not the last place.
    ///
    /// ```
    /// use std::time::Duration;
    /// use seawall::prelude::*;
    /// use seawall::Event;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), seawall::StartError> {
    /// let seawall = Seawall::builder().start()?;
    /// let mut events = seawall.events();
    /// let listening = tokio::spawn(async move {
    ///     while let Some(received) = events.recv().await {
    ///         if received.lost > 0 {
    ///             println!("too slow for {} events", received.lost);
    ///         }
    ///         match received.event {
    ///             Event::Transition { dependency, transition } => {
    ///                 println!("{dependency}: {} to {}", transition.from, transition.to);
    ///             }
    ///             Event::Refused { dependency, by, unreported, .. } => {
    ///                 println!("{dependency}: {} calls refused by {by}", unreported + 1);
    ///             }
    ///             other => println!("{other:?}"),
    ///         }
    ///     }
    /// });
    /// seawall.shutdown(Duration::from_secs(5)).await;
    /// // The stream has ended.
    /// assert!(listening.await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn events(&self) -> EventStream {
        self.0.events.0.subscribe()
    }

    /// Runs any actix actor under the same root: it is built by the factory on the supervision thread,
    /// rebuilt after a panic, and reached through a handle that survives that. An actor that stops of
    /// its own accord is not started again.
    ///
    /// Handlers must not block: they share their thread with every dependency's actor.
    pub fn actor<A, F>(&self, name: &str, factory: F) -> ActorHandle<A>
    where
        A: actix::Actor<Context = actix::Context<A>>,
        F: Fn() -> A + Send + 'static,
    {
        self.0.supervision.adopt(name, factory)
    }

    /// The present moment, by the clock that everything here is driven by.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.0.time.now()
    }

    /// Where metrics are served, if they are.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.0.exporting.address()
    }

    /// The metrics of every dependency as Prometheus text (`text/plain; version=0.0.4`), for a `/metrics` route that the
    /// application has already. It needs no [`Builder::prometheus`].
    ///
    /// Blocks for about 0.03 ms a dependency of five methods, and makes 3 to 17 KB of text of it: with hundreds of them, call it
    /// on a thread for blocking work, behind a layer that compresses.
    ///
    /// ```
    /// use seawall::Seawall;
    ///
    /// /// `axum::Router::new().route("/metrics", get(metrics)).with_state(seawall)`, say.
    /// async fn metrics(seawall: Seawall) -> ([(&'static str, &'static str); 1], String) {
    ///     ([("content-type", "text/plain; version=0.0.4")], seawall.render_metrics())
    /// }
    /// ```
    #[cfg(feature = "prometheus")]
    #[must_use]
    pub fn render_metrics(&self) -> String {
        self.0.exporting.render(&self.0.registry)
    }

    /// Where things that are watched are listed, and who is told what happens.
    pub(super) fn watching(&self) -> (&Registry, &Arc<dyn Observer>) {
        (&self.0.registry, &self.0.observer)
    }

    /// Takes no new calls, waits for those in flight for up to `limit`, then ends the rest, and says
    /// which. Later calls get [`Fault::Unavailable`](crate::error::Fault::Unavailable). Metrics end too.
    ///
    /// Shutting down again, at the same time or later, gives the same report and waits for it.
    ///
    /// # Cancellation
    /// Dropped, it leaves Seawall taking no new calls; another shutdown carries on.
    pub async fn shutdown(&self, limit: Duration) -> ShutdownReport {
        self.0.shut_down(limit).await
    }
}

impl fmt::Debug for Seawall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seawall")
            .field("dependencies", &self.0.registry.len())
            .field("metrics", &self.metrics_address())
            .finish_non_exhaustive()
    }
}

fn link<P: Proxy>(service: P::Shared, tenancy: Arc<Tenancy>) -> P {
    let dependency = Arc::clone(tenancy.dependency());
    if P::IS_EXCLUSIVE {
        dependency.allow_one_at_a_time();
    }
    let core = MethodTable::new(dependency, P::METHODS, tenancy);
    P::from_link(Link::new(Arc::new(core), service))
}
