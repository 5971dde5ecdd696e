//! A running Seawall.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::actor::{ActorHandle, Supervision, actix};
use crate::call::timer::Time;
use crate::call::{Core, Dependency, Snapshot};
use crate::client::{Link, Proxy};
use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::error::DependencyName;
use crate::event::Observer;
use crate::policy::{Policy, PolicyFile};
use crate::sync::Mutex;

use super::builder::Builder;
use super::dependency::DependencyHandle;
use super::exporting::Exporting;
use super::registry::{Registered, Registry, Tenancy};
use super::shutdown::ShutdownReport;

/// Longest name a dependency may have, in bytes: names become metric labels.
const MAX_NAME: usize = 128;

/// A dependency could not be spawned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// There is a dependency of this name, and somebody still holds a client of it.
    #[error(
        "dependency `{name}` is already spawned; for a second trait on it use `Seawall::client`, for a second client clone the first"
    )]
    AlreadySpawned {
        /// The name.
        name: String,
    },
    /// There is no dependency of this name to make a second client of.
    #[error("dependency `{name}` is not spawned: spawn it before asking for a second client of it")]
    NotSpawned {
        /// The name.
        name: String,
    },
    /// The name cannot be a dependency's.
    #[error(
        "`{name}` cannot name a dependency: a name has 1 to 128 bytes and no control characters"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// Seawall is shutting down, or has.
    #[error("dependency `{name}` cannot be spawned: seawall is shutting down")]
    ShutDown {
        /// The name.
        name: String,
    },
}

/// A running Seawall: dependencies, their supervision, their metrics.
///
/// Clones are the same Seawall. It runs until [`Seawall::shutdown`], or until the last clone, the last
/// client and the last actor handle are gone; that last drop signals its threads and does not wait.
/// Two Seawalls in one process know nothing of each other.
#[derive(Clone)]
pub struct Seawall(Arc<Inner>);

/// What clients keep alive.
pub(super) struct Inner {
    pub(super) time: Time,
    pub(super) supervision: Supervision,
    pub(super) registry: Arc<Registry>,
    pub(super) exporting: Exporting,
    policies: PolicyFile,
    own_policies: BTreeMap<String, Policy>,
    entropy: Entropy,
    forks: AtomicU64,
    observer: Arc<dyn Observer>,
    pub(super) closed: AtomicBool,
    /// Sections of the policy file that nobody has spawned yet.
    pub(super) unspawned: Mutex<BTreeSet<String>>,
    pub(super) finished: tokio::sync::OnceCell<ShutdownReport>,
}

/// What Seawall is made of, as the builder hands it over.
pub(super) struct Parts {
    pub(super) time: Time,
    pub(super) supervision: Supervision,
    pub(super) registry: Arc<Registry>,
    pub(super) exporting: Exporting,
    pub(super) policies: PolicyFile,
    pub(super) own_policies: BTreeMap<String, Policy>,
    pub(super) entropy: Entropy,
    pub(super) observer: Arc<dyn Observer>,
}

impl Seawall {
    /// Starts with no policy file, no exporter and the system's time.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(super) fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            time: parts.time,
            supervision: parts.supervision,
            registry: parts.registry,
            exporting: parts.exporting,
            unspawned: Mutex::new(parts.policies.names().map(str::to_owned).collect()),
            policies: parts.policies,
            own_policies: parts.own_policies,
            entropy: parts.entropy,
            forks: AtomicU64::new(0),
            observer: parts.observer,
            closed: AtomicBool::new(false),
            finished: tokio::sync::OnceCell::new(),
        }))
    }

    /// Puts a service behind its guards, and an actor in charge of them. The annotation on the left
    /// picks the client: `let payments: PaymentsClient<_> = seawall.spawn("payments", service).await?`.
    ///
    /// The dependency lives as long as any clone of the client. Does not wait for the actor, nor for
    /// the dependency to be reachable.
    ///
    /// # Errors
    /// [`SpawnError`]: the name is taken or cannot be one, or Seawall is shutting down.
    #[expect(
        clippy::unused_async,
        reason = "a factory that builds the client will be awaited here"
    )]
    pub async fn spawn<P: Proxy>(&self, name: &str, service: P::Service) -> Result<P, SpawnError> {
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(SpawnError::BadName { name: name.escape_debug().to_string() });
        }
        if self.0.closed.load(Ordering::Acquire) {
            return Err(SpawnError::ShutDown { name: name.to_owned() });
        }
        let name: DependencyName = name.into();
        let inner = Box::new(Arc::clone(&self.0));
        let register = |name| self.register(name);
        let settled = self.0.registry.settle(Arc::clone(&name), register, inner);
        let Some(tenancy) = settled else {
            return Err(SpawnError::AlreadySpawned { name: name.to_string() });
        };
        // A shutdown that began meanwhile may have missed it.
        if self.0.closed.load(Ordering::Acquire) {
            tenancy.dependency().cancel();
        }
        Ok(link::<P>(service, tenancy))
    }

    fn register(&self, name: DependencyName) -> Registered {
        self.0.unspawned.lock().remove(&*name);
        let policy = match self.0.own_policies.get(&*name) {
            Some(policy) => policy.clone(),
            None => self.0.policies.policy(&name),
        };
        let entropy = self.0.entropy.fork(self.0.forks.fetch_add(1, Ordering::Relaxed));
        let observer = Arc::clone(&self.0.observer);
        let dependency =
            Arc::new(Dependency::new(name, policy, self.0.time.clone(), entropy, observer));
        let attendance = self.0.supervision.attend(Arc::clone(&dependency));
        Registered { dependency, attendance }
    }

    /// A client of another trait on a dependency that is already spawned: both share its breaker, its
    /// permits, its mailbox and its limits.
    ///
    /// # Errors
    /// [`SpawnError::NotSpawned`]: there is no such dependency, or the last client of it is gone.
    pub fn client<P: Proxy>(&self, name: &str, service: P::Service) -> Result<P, SpawnError> {
        match self.0.registry.tenancy(name) {
            Some(tenancy) => Ok(link::<P>(service, tenancy)),
            None => Err(SpawnError::NotSpawned { name: name.to_owned() }),
        }
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

fn link<P: Proxy>(service: P::Service, tenancy: Arc<Tenancy>) -> P {
    let dependency = Arc::clone(tenancy.dependency());
    let core = Core::new(dependency, P::METHODS, Box::new(tenancy));
    P::from_link(Link::new(Arc::new(core), service))
}
