//! One table, and what makes room in it: forgetting before growing, a few places with each newcomer.

use hashbrown::HashTable;

/// How many places of its own table each new key looks at, for keys to forget. So a table is gone through
/// while a quarter as many keys come as it has places: idle ones are an eighth of those places at most,
/// or thereabouts.
const LOOKS_A_NEWCOMER: usize = 4;
/// A table of which less than this part can be freed grows: else looking through all of it would soon
/// be due again.
const SLACK: usize = 8;
/// A table that is less full than this part of its room is made smaller when its end is reached. More than
/// the eighth above, or idle keys alone would keep it as large as it once was.
const SPARSE: usize = 4;

pub(super) struct Shard<K, V> {
    pub(super) table: HashTable<(K, V)>,
    /// The place that a sweep, or a look for room in all shards, looks at next.
    pub(super) hand: usize,
    /// The place that a newcomer looks at next. Another, so that sweeps come round to every place.
    step: usize,
    /// How many of [`Shards::len`](super::Shards::len) are this shard's.
    pub(super) counted: usize,
    /// How many keys it has forgotten.
    pub(super) evicted: u64,
}

impl<K, V> Shard<K, V> {
    pub(super) fn new() -> Self {
        Self { table: HashTable::new(), hand: 0, step: 0, counted: 0, evicted: 0 }
    }

    /// Removes what `may_go` among the next `looks` places from the hand on, up to the end of the table.
    /// How many places were looked at. Whatever has a destructor of its own goes to `gone`.
    pub(super) fn forget(
        &mut self,
        looks: usize,
        may_go: &impl Fn(&V) -> bool,
        gone: &mut Vec<(K, V)>,
    ) -> usize {
        let first = self.hand;
        self.hand = self.forget_from(first, looks, may_go, gone);
        self.hand.saturating_sub(first)
    }

    /// The same from `first` on. The place after the last that was looked at.
    fn forget_from(
        &mut self,
        first: usize,
        looks: usize,
        may_go: &impl Fn(&V) -> bool,
        gone: &mut Vec<(K, V)>,
    ) -> usize {
        let end = self.table.num_buckets().min(first.saturating_add(looks));
        for at in first..end {
            if self.table.get_bucket(at).is_none_or(|(_, value)| !may_go(value)) {
                continue;
            }
            if let Ok(entry) = self.table.get_bucket_entry(at) {
                let (pair, _) = entry.remove();
                if std::mem::needs_drop::<(K, V)>() {
                    gone.push(pair);
                }
            }
        }
        end
    }

    /// A newcomer's own looks: the same amount each time, whatever is found.
    pub(super) fn step(
        &mut self,
        may_go: &impl Fn(&V) -> bool,
        hasher: impl Fn(&(K, V)) -> u64,
        gone: &mut Vec<(K, V)>,
    ) {
        self.step = self.forget_from(self.step, LOOKS_A_NEWCOMER, may_go, gone);
        if self.step >= self.table.num_buckets() {
            self.step = 0;
            self.shrink(hasher);
        }
    }

    /// Gives memory back if most of it is unused.
    pub(super) fn shrink(&mut self, hasher: impl Fn(&(K, V)) -> u64) {
        let len = self.table.len();
        if len < self.full() / SPARSE {
            self.table.shrink_to(len * 2, hasher);
        }
    }

    /// How many keys make a table of this size full. Its own capacity is less by the marks that keys
    /// which went can leave behind.
    fn full(&self) -> usize {
        self.table.num_buckets() / 8 * 7
    }

    /// Makes room for one more. A table that has none left first forgets what `may_go` in all of it, and
    /// grows only if nearly all stays. Afterwards there is room for an eighth of the table or more: that
    /// many keys come before it is looked through again, so it is a few looks and moves for each.
    pub(super) fn make_way(
        &mut self,
        may_go: &impl Fn(&V) -> bool,
        hasher: impl Fn(&(K, V)) -> u64,
        gone: &mut Vec<(K, V)>,
    ) {
        if self.table.len() < self.table.capacity() {
            return;
        }
        self.forget_from(0, usize::MAX, may_go, gone);
        let (len, full) = (self.table.len(), self.full());
        let slack = (full / SLACK).max(1);
        if len + slack > full {
            self.table.reserve((full + 1).saturating_sub(len).max(1), hasher);
        } else if self.table.capacity() - len < slack || len < full / SPARSE {
            // Without the marks, in a table of the same size or a smaller one.
            let room = if len < full / SPARSE { len * 2 + 1 } else { full };
            let table = std::mem::replace(&mut self.table, HashTable::with_capacity(room));
            for pair in table {
                self.table.insert_unique(hasher(&pair), pair, &hasher);
            }
        }
    }
}
