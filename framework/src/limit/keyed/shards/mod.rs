//! A map in shards of unequal size, bounded in keys, in which forgetting is bounded work.
//!
//! The shares of the keys that shards get grow from the first to the last, by a factor of two in all.
//! Hash tables double; equal shards would all double at once, and just after that hold 39 bytes a key
//! where just before they held 19 (keys and values of 8 bytes). These take turns: at any number of keys
//! it is 27 to 29, and no single insertion moves more than one shard's keys, nor looks through more
//! than one shard's table.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use crate::limit::keyed::group::GroupHasher;
use crate::sync::{AtomicU64, CachePadded, Ordering};

use shard::Shard;

mod shard;

/// How many places in tables one insertion looks at, for keys to forget, and how many at a time: if
/// there are any among those, it looks no further.
const LOOKS: usize = 512;
const LOOKS_AT_A_TIME: usize = 32;
/// How many one sweep looks at.
pub(in crate::limit) const SWEEP_LOOKS: usize = 4_096;
/// What a visit to a shard costs beside the places looked at, in looks.
const VISIT: usize = 2;

/// So many keys to a shard, or thereabouts, when the bound is reached.
const KEYS_A_SHARD: usize = 4_096;
const SHARDS_MIN: usize = 16;
/// More would not fit the cache beside everything else.
const SHARDS_MAX: usize = 256;

/// Keys that find no room share states, at most one for so many keys that there may be. More than one, so
/// that a few who once found none are not paid for by all who come later.
const KEYS_AN_OVERFLOW: usize = 64;
const OVERFLOWS_MAX: usize = 1_024;

/// A look for what may go: at how many places still, and what has gone. That is dropped when the shards are free again.
struct Sweep<K, V> {
    looks: usize,
    gone: Vec<(K, V)>,
}

/// Apart from its neighbours: their locks are written to at each look.
type Locked<K, V> = CachePadded<RwLock<Shard<K, V>>>;

/// The map. `V` is changed through its own atomics under a read lock, or by the holder of the write lock.
pub(in crate::limit) struct Shards<K, V, S> {
    shards: Box<[Locked<K, V>]>,
    hasher: S,
    max_keys: u64,
    len: AtomicU64,
    /// The shard that is swept next.
    cursor: AtomicU64,
}

impl<K: Hash + Eq, V, S: BuildHasher> Shards<K, V, S> {
    pub(in crate::limit) fn new(max_keys: usize, hasher: S) -> Self {
        let shards = (max_keys / KEYS_A_SHARD).clamp(SHARDS_MIN, SHARDS_MAX);
        Self {
            shards: (0..shards).map(|_| CachePadded(RwLock::new(Shard::new()))).collect(),
            hasher,
            max_keys: max_keys as u64,
            len: AtomicU64::new(0),
            cursor: AtomicU64::new(0),
        }
    }

    pub(in crate::limit) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed) as usize
    }

    /// How many keys have been forgotten. Looks at every shard.
    pub(in crate::limit) fn evicted(&self) -> u64 {
        (0..self.shards.len()).map(|at| self.reading(at).evicted).sum()
    }

    /// Which of `count` a key belongs to, always the same: by its [`OverflowGroup`](super::OverflowGroup) if it has one.
    pub(in crate::limit) fn part<Q>(&self, key: &Q, count: usize) -> usize
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        let mut hasher = GroupHasher::new(self.hasher.build_hasher());
        key.hash(&mut hasher);
        (hasher.finish() % count.max(1) as u64) as usize
    }

    /// How many states stand in for keys that find no room.
    pub(in crate::limit) fn overflows(max_keys: usize) -> usize {
        (max_keys / KEYS_AN_OVERFLOW).clamp(1, OVERFLOWS_MAX)
    }

    /// Looks at a known key's value, which stays in the map meanwhile.
    #[inline]
    pub(in crate::limit) fn read<Q, R>(&self, key: &Q, look: impl FnOnce(&V) -> R) -> Option<R>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let shard = self.reading(self.shard_of(hash));
        let is_it = |(known, _): &(K, V)| known.borrow() == key;
        // The place where a key is that met no other. Asking there first changes no answer, but where
        // it is does not depend on the table's marks: both are fetched from memory at the same time.
        let home = hash as usize & shard.table.num_buckets().wrapping_sub(1);
        let found = match shard.table.get_bucket(home) {
            Some(pair) if is_it(pair) => Some(pair),
            _ => shard.table.find(hash, is_it),
        };
        found.map(|(_, value)| look(value))
    }

    /// Looks at a key's value, made by `make` if the key is new, with the shard locked. `None`: there is
    /// no room, and none of the values that were looked at `may_go`.
    pub(in crate::limit) fn write<Q, R>(
        &self,
        key: &Q,
        may_go: impl Fn(&V) -> bool,
        make: impl FnOnce() -> V,
        look: impl FnOnce(Option<&mut V>) -> R,
    ) -> R
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        if self.len() as u64 >= self.max_keys {
            self.make_room(&may_go);
        }
        // Dropped once the shard is free again.
        let mut gone = Vec::new();
        let mut guard = self.writing(self.shard_of(hash));
        let shard = &mut *guard;
        if let Some((_, value)) = shard.table.find_mut(hash, |(known, _)| known.borrow() == key) {
            return look(Some(value));
        }
        let hasher = |(known, _): &(K, V)| self.hasher.hash_one(known);
        shard.step(&may_go, hasher, &mut gone);
        if !self.take_place(shard) {
            return look(None);
        }
        shard.make_way(&may_go, hasher, &mut gone);
        self.settle_forgotten(shard, 1);
        let pair = (key.to_owned(), make());
        look(Some(&mut shard.table.insert_unique(hash, pair, hasher).into_mut().1))
    }

    /// The keys whose values `wanted` likes, at most so many.
    pub(in crate::limit) fn some(&self, at_most: usize, wanted: impl Fn(&V) -> bool) -> Vec<K>
    where
        K: Clone,
    {
        let mut found = Vec::new();
        for at in 0..self.shards.len() {
            let shard = self.reading(at);
            let left = at_most - found.len();
            let liked = shard.table.iter().filter(|(_, value)| wanted(value));
            found.extend(liked.take(left).map(|(key, _)| key.clone()));
        }
        found
    }

    /// Forgets keys whose values `may_go` among the next [`SWEEP_LOOKS`] places. How many went.
    pub(in crate::limit) fn sweep(&self, may_go: impl Fn(&V) -> bool) -> usize {
        let mut sweep = Sweep { looks: SWEEP_LOOKS, gone: Vec::new() };
        let mut evicted = 0;
        for _ in 0..self.shards.len() {
            if sweep.looks == 0 {
                break;
            }
            let at = self.cursor.load(Ordering::Relaxed);
            let guard = self.writing(at as usize % self.shards.len());
            evicted += self.forget(guard, at, &mut sweep, &may_go);
        }
        evicted
    }

    /// The same among the next [`LOOKS`] places, until there is one, unless somebody holds the shard.
    fn make_room(&self, may_go: &impl Fn(&V) -> bool) {
        let mut sweep = Sweep { looks: 0, gone: Vec::new() };
        let mut left = LOOKS;
        while left > 0 {
            let at = self.cursor.load(Ordering::Relaxed);
            let shard = &self.shards[at as usize % self.shards.len()].0;
            let guard = match shard.try_write() {
                Ok(guard) => guard,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                // Its holder is quick, or is looking too.
                Err(TryLockError::WouldBlock) => return,
            };
            sweep.looks = LOOKS_AT_A_TIME.min(left);
            left -= sweep.looks;
            if self.forget(guard, at, &mut sweep, may_go) > 0 {
                return;
            }
            left += sweep.looks;
        }
    }

    /// Forgets what may go among the next places of a shard, as many as the sweep still looks at, and sends the hand on to the next
    /// shard at its end.
    fn forget(
        &self,
        mut guard: RwLockWriteGuard<'_, Shard<K, V>>,
        at: u64,
        sweep: &mut Sweep<K, V>,
        may_go: &impl Fn(&V) -> bool,
    ) -> usize {
        let shard = &mut *guard;
        let looked = shard.forget(sweep.looks, may_go, &mut sweep.gone);
        sweep.looks = sweep.looks.saturating_sub(looked + VISIT);
        if shard.hand >= shard.table.num_buckets() {
            shard.hand = 0;
            // Somebody else may have sent it on.
            let next = at.wrapping_add(1);
            let _ = self.cursor.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
            shard.shrink(|(known, _)| self.hasher.hash_one(known));
        }
        self.settle_forgotten(shard, 0)
    }

    /// Counts one more key: in the place of one that has just been forgotten, or else in a free one, if there is one. Where a key
    /// goes for each that comes, nothing is written that other shards write too.
    fn take_place(&self, shard: &mut Shard<K, V>) -> bool {
        let forgotten = shard.counted.saturating_sub(shard.table.len());
        shard.evicted += forgotten as u64;
        if forgotten == 0 {
            let more = |len| (len < self.max_keys).then_some(len + 1);
            if self.len.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
                return false;
            }
            shard.counted += 1;
            return true;
        }
        let left_over = forgotten - 1;
        if left_over > 0 {
            shard.counted -= left_over;
            self.len.fetch_sub(left_over as u64, Ordering::Relaxed);
        }
        true
    }

    /// Gives back the places of keys that are not there any more, and of which `coming` are not there
    /// yet: forgotten, or never put in because a user's code panicked. How many.
    fn settle(&self, shard: &mut Shard<K, V>, coming: usize) -> usize {
        let gone = shard.counted.saturating_sub(shard.table.len() + coming);
        if gone > 0 {
            shard.counted -= gone;
            self.len.fetch_sub(gone as u64, Ordering::Relaxed);
        }
        gone
    }

    /// The same, of keys that were forgotten.
    fn settle_forgotten(&self, shard: &mut Shard<K, V>, coming: usize) -> usize {
        let evicted = self.settle(shard, coming);
        shard.evicted += evicted as u64;
        evicted
    }

    /// Which shard a hash belongs to. The bits used are neither those that choose the place in a table
    /// of fewer than 2^25 places, nor those that mark it there.
    #[inline]
    fn shard_of(&self, hash: u64) -> usize {
        // A fraction of 2^32, bent so that its density falls from 4/3 to 2/3.
        let even = (hash >> 25) & 0xFFFF_FFFF;
        let bent = even + ((even * (0xFFFF_FFFF - even)) >> 32) / 3;
        ((bent * self.shards.len() as u64) >> 32) as usize
    }

    #[inline]
    fn reading(&self, at: usize) -> RwLockReadGuard<'_, Shard<K, V>> {
        // Code of ours leaves a shard whole, any code panics in between.
        self.shards[at].0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self, at: usize) -> RwLockWriteGuard<'_, Shard<K, V>> {
        let mut guard = self.shards[at].0.write().unwrap_or_else(PoisonError::into_inner);
        self.settle(&mut guard, 0);
        guard
    }
}

#[cfg(all(test, not(seawall_loom)))]
impl<K: Hash + Eq, V, S: BuildHasher> Shards<K, V, S> {
    /// Places in all tables, used or not.
    pub(in crate::limit) fn room(&self) -> usize {
        (0..self.shards.len()).map(|at| self.reading(at).table.num_buckets()).sum()
    }
}
