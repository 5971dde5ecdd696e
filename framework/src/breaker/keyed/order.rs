//! Who is evicted when there is no room: two lists of the keys, closed ones and the others, each
//! with a hand that goes round.
//!
//! Apart, so that however many keys are open, a closed one to evict is found in the first few looks.
//! At the bound the hand looks at the next 16 closed keys and takes the least recently used: an
//! LRU by sampling, as Redis has (<https://redis.io/docs/latest/develop/reference/eviction/>).

use std::hash::Hash;
use std::time::Duration;

use crate::breaker::CircuitBreaker;
use crate::clock::Moment;
use crate::event::{State, Transition};
use crate::sync::{Arc, AtomicU64, Ordering, fence};

use super::map::Map;

/// How many keys one insertion looks at, of each list.
pub(super) const LOOKS: usize = 16;
/// How many keys one poll looks at, of each list.
pub(super) const POLL_LOOKS: usize = 256;

/// In no list.
const NOWHERE: u64 = u64::MAX;

/// A key with its breaker. Held by the map, by the order, and by each attempt on it.
#[derive(Debug)]
pub(super) struct KeyedBreaker<K> {
    pub(super) key: K,
    pub(super) breaker: CircuitBreaker,
    last_used: AtomicU64,
    /// When its latest open time, or ramp, ends or ended; the origin if it had none.
    refuses_until: AtomicU64,
    /// Index and list; written with the order locked.
    place: AtomicU64,
}

impl<K> KeyedBreaker<K> {
    pub(super) fn new(key: K, breaker: CircuitBreaker, now: Moment) -> Self {
        Self {
            key,
            breaker,
            last_used: AtomicU64::new(now.as_nanos()),
            refuses_until: AtomicU64::new(0),
            place: AtomicU64::new(NOWHERE),
        }
    }

    /// Notes a use. Of two at once either may stand: they are as good as simultaneous.
    #[inline]
    pub(super) fn touch(&self, now: Moment) {
        if self.last_used.load(Ordering::Relaxed) < now.as_nanos() {
            self.last_used.store(now.as_nanos(), Ordering::Relaxed);
        }
    }

    /// Its breaker has moved: notes for how long that refuses calls.
    fn moved(&self, now: Moment) {
        let until = self.breaker.refuses_until(now).unwrap_or(Moment::ZERO);
        self.refuses_until.store(until.as_nanos(), Ordering::Relaxed);
    }

    /// Since when it has been neither used nor refusing: a key is not idle while it has its calls refused.
    fn idle_since(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed).max(self.refuses_until.load(Ordering::Relaxed))
    }

    fn is_idle(&self, now: Moment, idle_after: Duration) -> bool {
        now.since(Moment::from_nanos(self.idle_since())) >= idle_after
    }

    fn still_refuses(&self, now: Moment) -> bool {
        self.breaker.refuses_until(now).is_some()
    }
}

/// Whether anybody but the map and the order holds it. With the key's shard locked for writing and
/// the order locked, a *no* stays true: nobody can get hold of it but through these two.
fn is_in_use<K>(entry: &Arc<KeyedBreaker<K>>) -> bool {
    if Arc::strong_count(entry) > 2 {
        return true;
    }
    // Pairs with the release in the last holder's drop: what it did to the breaker is seen from here.
    fence(Ordering::Acquire);
    false
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Closed,
    /// Open or half-open.
    Tripped,
}

impl Kind {
    fn of(state: State) -> Self {
        if state == State::Closed { Self::Closed } else { Self::Tripped }
    }
}

#[derive(Debug)]
struct List<K> {
    entries: Vec<Arc<KeyedBreaker<K>>>,
    hand: usize,
}

impl<K> Default for List<K> {
    fn default() -> Self {
        Self { entries: Vec::new(), hand: 0 }
    }
}

/// What an eviction takes out of the map. Users' keys: dropped after the lock is.
pub(super) type Gone<K> = (K, Arc<KeyedBreaker<K>>);

/// Every key that the map holds, in one of two lists. Guarded by a mutex that lookups never take.
#[derive(Debug)]
pub(super) struct Order<K> {
    closed: List<K>,
    tripped: List<K>,
}

impl<K> Default for Order<K> {
    fn default() -> Self {
        Self { closed: List::default(), tripped: List::default() }
    }
}

impl<K> Order<K> {
    pub(super) fn len(&self) -> usize {
        self.closed.entries.len() + self.tripped.entries.len()
    }

    /// The first `limit` that are open or half-open, in no order.
    pub(super) fn tripped(&self, limit: usize) -> Vec<Arc<KeyedBreaker<K>>> {
        self.tripped.entries.iter().take(limit).cloned().collect()
    }

    pub(super) fn tripped_len(&self) -> usize {
        self.tripped.entries.len()
    }

    pub(super) fn all(&self) -> Vec<Arc<KeyedBreaker<K>>> {
        self.closed.entries.iter().chain(&self.tripped.entries).cloned().collect()
    }

    fn list(&mut self, kind: Kind) -> &mut List<K> {
        match kind {
            Kind::Closed => &mut self.closed,
            Kind::Tripped => &mut self.tripped,
        }
    }

    pub(super) fn add(&mut self, entry: Arc<KeyedBreaker<K>>) {
        let kind = Kind::of(entry.breaker.state());
        let entries = &mut self.list(kind).entries;
        entry.place.store((entries.len() as u64) << 1 | kind as u64, Ordering::Relaxed);
        entries.push(entry);
    }

    fn take(&mut self, kind: Kind, at: usize) -> Arc<KeyedBreaker<K>> {
        let entries = &mut self.list(kind).entries;
        let entry = entries.swap_remove(at);
        entry.place.store(NOWHERE, Ordering::Relaxed);
        if let Some(moved) = entries.get(at) {
            moved.place.store((at as u64) << 1 | kind as u64, Ordering::Relaxed);
        }
        entry
    }

    /// Where an entry stands; `None` if it was evicted, or belongs to somebody else's order.
    fn find(&mut self, entry: &Arc<KeyedBreaker<K>>) -> Option<(Kind, usize)> {
        let place = entry.place.load(Ordering::Relaxed);
        let kind = if place & 1 == 0 { Kind::Closed } else { Kind::Tripped };
        let at = usize::try_from(place >> 1).ok()?;
        let found = self.list(kind).entries.get(at)?;
        Arc::ptr_eq(found, entry).then_some((kind, at))
    }

    /// Puts an entry whose breaker has moved into the list of its state. The thread that made the move calls
    /// this after it, and it looks at the state again, so the last to come leaves it right.
    pub(super) fn settle(&mut self, entry: &Arc<KeyedBreaker<K>>, now: Moment) {
        entry.moved(now);
        if let Some((kind, at)) = self.find(entry)
            && kind != Kind::of(entry.breaker.state())
        {
            let entry = self.take(kind, at);
            self.add(entry);
        }
    }

    /// The least recently used of the next [`LOOKS`] that `may` go, and the hand goes past them all.
    fn oldest(&mut self, kind: Kind, may: impl Fn(&Arc<KeyedBreaker<K>>) -> bool) -> Option<usize> {
        let list = self.list(kind);
        let len = list.entries.len();
        let looks = len.min(LOOKS);
        let first = list.hand;
        let oldest = (first..first + looks)
            .map(|at| at % len)
            .filter(|&at| may(&list.entries[at]))
            .min_by_key(|&at| list.entries[at].idle_since());
        list.hand = (first + looks).checked_rem(len).unwrap_or(0);
        oldest
    }
}

impl<K: Hash + Eq> Order<K> {
    /// Evicts one key, if one may go: a closed one that is not in use and refuses nothing, else one that has neither
    /// been used nor refused anything for `idle_after`.
    pub(super) fn make_room(
        &mut self,
        keys: &Map<K, Arc<KeyedBreaker<K>>>,
        now: Moment,
        idle_after: Duration,
    ) -> Option<Gone<K>> {
        // One that ramps up still refuses some: forgotten, it would be overrun at once.
        let may = |entry: &Arc<KeyedBreaker<K>>| !is_in_use(entry) && !entry.still_refuses(now);
        // Twice: the first choice may have come into use since it was looked at.
        for _ in 0..2 {
            let Some(at) = self.oldest(Kind::Closed, may) else { break };
            let gone = self.evict(Kind::Closed, at, keys, now);
            if gone.is_some() {
                return gone;
            }
        }
        let may =
            |entry: &Arc<KeyedBreaker<K>>| entry.is_idle(now, idle_after) && !is_in_use(entry);
        let at = self.oldest(Kind::Tripped, may)?;
        self.evict(Kind::Tripped, at, keys, now)
    }

    /// Takes the entry out of both, unless it is in use, or in another state than was thought.
    fn evict(
        &mut self,
        kind: Kind,
        at: usize,
        keys: &Map<K, Arc<KeyedBreaker<K>>>,
        now: Moment,
    ) -> Option<Gone<K>> {
        let entry = &self.list(kind).entries[at];
        // The closure runs with the key's shard locked: no lookup comes between.
        let gone = keys.remove_if(&entry.key, |held| {
            !is_in_use(held) && Kind::of(held.breaker.state()) == kind && !held.still_refuses(now)
        })?;
        self.take(kind, at);
        Some(gone)
    }

    /// Transitions on the next [`POLL_LOOKS`] whose open time is over, and evicts the idle among them and
    /// among as many closed ones.
    pub(super) fn sweep(
        &mut self,
        keys: &Map<K, Arc<KeyedBreaker<K>>>,
        now: Moment,
        idle_after: Duration,
    ) -> Sweep<K> {
        let mut sweep = Sweep { moved: Vec::new(), gone: Vec::new() };
        for kind in [Kind::Tripped, Kind::Closed] {
            let list = self.list(kind);
            if list.entries.len() <= POLL_LOOKS {
                // From the start, so that what moves up from the end has not been looked at yet.
                list.hand = 0;
            }
            for _ in 0..self.list(kind).entries.len().min(POLL_LOOKS) {
                let list = self.list(kind);
                let Some(at) = list.hand.checked_rem(list.entries.len()) else { break };
                // Where an evicted one stood stands another: the hand stays.
                list.hand = at;
                let entry = &list.entries[at];
                if entry.is_idle(now, idle_after)
                    && !is_in_use(entry)
                    && let Some(gone) = self.evict(kind, at, keys, now)
                {
                    sweep.gone.push(gone);
                    continue;
                }
                let list = self.list(kind);
                list.hand = at + 1;
                let entry = &list.entries[at];
                if let Some(transition) = entry.breaker.poll(now).0 {
                    sweep.moved.push((Arc::clone(entry), transition));
                }
            }
        }
        sweep
    }
}

/// What a sweep did.
pub(super) struct Sweep<K> {
    pub(super) moved: Vec<(Arc<KeyedBreaker<K>>, Transition)>,
    pub(super) gone: Vec<Gone<K>>,
}

#[cfg(test)]
impl<K: Hash + Eq> Order<K> {
    /// With nobody at work, map and order hold the same, and each entry knows its place.
    pub(super) fn assert_whole(&self, keys: &Map<K, Arc<KeyedBreaker<K>>>) {
        assert_eq!(self.len(), keys.len());
        for (kind, list) in [(Kind::Closed, &self.closed), (Kind::Tripped, &self.tripped)] {
            for (at, entry) in list.entries.iter().enumerate() {
                let place = entry.place.load(Ordering::Relaxed);
                assert_eq!(place, (at as u64) << 1 | kind as u64);
                assert_eq!(Kind::of(entry.breaker.state()), kind);
                assert!(keys.look(&entry.key, |held| Arc::ptr_eq(held, entry)) == Some(true));
                assert_eq!(Arc::strong_count(entry), 2);
            }
        }
    }
}
