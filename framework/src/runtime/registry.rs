//! Which dependencies there are, and for how long.

use std::any::Any;
use std::sync::{Arc, Weak};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::actor::{DependencyActor, Supervised};
use crate::blocking::PoolView;
use crate::dependency::Dependency;
use crate::error::DependencyName;
use crate::sync::Mutex;
use crate::telemetry::{Watched, WatchedLimit, WatchedQueue};

use super::history::Keeper;

/// Every dependency that somebody holds a client of. Read by every scrape, so it is shared with the
/// exporter, which keeps nothing else of Seawall alive.
#[derive(Default)]
pub(super) struct Registry {
    places: DashMap<DependencyName, Registration>,
    watched: Mutex<Watched>,
}

/// A place in the registry, for as long as anybody holds a client.
struct Registration {
    registered: Registered,
    tenancy: Weak<Tenancy>,
}

#[derive(Clone)]
pub(super) struct Registered {
    pub(super) dependency: Arc<Dependency>,
    pub(super) supervised: Arc<Supervised<DependencyActor>>,
    /// Keeps what its breaker learns, if that is kept.
    pub(super) keeper: Option<Arc<Keeper>>,
}

fn put<T>(among: &mut Vec<(Arc<str>, T)>, one: (Arc<str>, T)) {
    among.retain(|(name, _)| *name != one.0);
    among.push(one);
}

impl Registry {
    /// Puts a dependency in its place. `None`: the name is taken.
    pub(super) fn settle(
        self: &Arc<Self>,
        name: DependencyName,
        register: impl FnOnce(DependencyName) -> Registered,
        seawall: Arc<dyn Any + Send + Sync>,
    ) -> Option<Arc<Tenancy>> {
        match self.places.entry(name.clone()) {
            Entry::Occupied(taken) if taken.get().tenancy.strong_count() > 0 => None,
            // Vacant, or left by clients the last of which is being dropped just now.
            entry => {
                let registered = register(name);
                let tenancy = Arc::new(Tenancy {
                    registry: Arc::clone(self),
                    registered: registered.clone(),
                    _seawall: seawall,
                });
                entry.insert(Registration { registered, tenancy: Arc::downgrade(&tenancy) });
                Some(tenancy)
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// By name.
    pub(super) fn all(&self) -> Vec<Registered> {
        let mut all: Vec<_> =
            self.places.iter().map(|entry| entry.value().registered.clone()).collect();
        all.sort_by(|a, b| a.dependency.name().cmp(b.dependency.name()));
        all
    }

    /// Watches a limit from now on, in place of another of its name.
    pub(super) fn watch_limit(&self, limit: WatchedLimit) {
        put(&mut self.watched.lock().limits, limit);
    }

    /// The same for a queue.
    pub(super) fn watch_queue(&self, queue: WatchedQueue) {
        put(&mut self.watched.lock().queues, queue);
    }

    /// The same for a pool, until its last thread has ended.
    pub(super) fn watch_pool(&self, pool: PoolView) {
        let pools = &mut self.watched.lock().pools;
        pools.retain(|other| other.name() != pool.name());
        pools.push(pool);
    }

    pub(super) fn watched(&self) -> Watched {
        let mut watched = {
            let mut watched = self.watched.lock();
            watched.pools.retain(|pool| !pool.has_ended());
            watched.clone()
        };
        for dependency in self.dependencies() {
            let queues = dependency.queues().living().into_iter();
            let named = |(method, queue)| (format!("{}.{method}", dependency.name()).into(), queue);
            watched.queues.extend(queues.map(named));
        }
        watched
    }

    /// For the edges that read them.
    pub(super) fn dependencies(&self) -> Vec<Arc<Dependency>> {
        self.places.iter().map(|entry| Arc::clone(&entry.value().registered.dependency)).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<Registered> {
        self.places.get(name).map(|entry| entry.value().registered.clone())
    }

    pub(super) fn tenancy(&self, name: &str) -> Option<Arc<Tenancy>> {
        self.places.get(name).and_then(|entry| entry.value().tenancy.upgrade())
    }
}

/// What every core of one dependency shares: with the last client the dependency is let go.
pub(super) struct Tenancy {
    registry: Arc<Registry>,
    registered: Registered,
    /// Clients keep all of Seawall running.
    _seawall: Arc<dyn Any + Send + Sync>,
}

impl Tenancy {
    pub(super) fn dependency(&self) -> &Arc<Dependency> {
        &self.registered.dependency
    }
}

impl Drop for Tenancy {
    fn drop(&mut self) {
        let mine = &self.registered.dependency;
        self.registry
            .places
            .remove_if(mine.name(), |_, other| Arc::ptr_eq(&other.registered.dependency, mine));
        mine.retire();
        self.registered.supervised.dismiss();
        if let Some(keeper) = &self.registered.keeper {
            keeper.keep(mine);
        }
    }
}
