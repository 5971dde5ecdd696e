//! From a key to its entry: a `DashMap`; under the model checker, which does not know its locks, a hash
//! map behind one of loom's. Has what [`Keyed`](super::Keyed) needs and no more.

use std::borrow::Borrow;
use std::hash::Hash;

#[cfg(not(seawall_loom))]
use dashmap::DashMap;
#[cfg(seawall_loom)]
use loom::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(seawall_loom)]
use std::collections::HashMap;

#[cfg(not(seawall_loom))]
pub(super) struct Map<K, V>(DashMap<K, V>);
#[cfg(seawall_loom)]
pub(super) struct Map<K, V>(RwLock<HashMap<K, V>>);

#[cfg(not(seawall_loom))]
impl<K: Hash + Eq, V> Map<K, V> {
    pub(super) fn new() -> Self {
        Self(DashMap::new())
    }

    /// What `look` sees in the value, with its shard locked for reading: nobody takes it out meanwhile.
    #[inline]
    pub(super) fn look<Q, R>(&self, key: &Q, look: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.get(key).map(|value| look(&value))
    }

    pub(super) fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }

    /// Takes the key out if its value `may` go, which is asked with its shard locked for writing.
    pub(super) fn remove_if(&self, key: &K, may: impl FnOnce(&V) -> bool) -> Option<(K, V)> {
        self.0.remove_if(key, |_, value| may(value))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(seawall_loom)]
impl<K: Hash + Eq, V> Map<K, V> {
    pub(super) fn new() -> Self {
        Self(RwLock::new(HashMap::new()))
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<K, V>> {
        self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<K, V>> {
        self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(super) fn look<Q, R>(&self, key: &Q, look: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.read().get(key).map(look)
    }

    pub(super) fn insert(&self, key: K, value: V) {
        self.write().insert(key, value);
    }

    pub(super) fn remove_if(&self, key: &K, may: impl FnOnce(&V) -> bool) -> Option<(K, V)> {
        let mut map = self.write();
        if map.get(key).is_some_and(may) { map.remove_entry(key) } else { None }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.read().len()
    }
}
