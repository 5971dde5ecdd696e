//! The line itself.

use super::config::Config;
use super::push::{Counts, ItemKey, MAX_BLOCKED, Push};
use super::strategy::Strategy;

/// No slot.
const NIL: u32 = u32::MAX;

#[derive(Debug)]
struct Node<T> {
    /// `None` while the slot is free.
    item: Option<T>,
    number: u64,
    prev: u32,
    /// The next in the line; for a free slot, the next free one.
    next: u32,
}

/// A bounded first-in-first-out line from whose middle an entry can leave.
///
/// The first `capacity` entries are *waiting*; those behind them, under [`Strategy::Block`] only,
/// are *blocked*. When a waiting entry leaves, the first blocked one moves up. A doubly linked list
/// in one growable slab: every operation takes constant time but for those that
/// say otherwise, nothing is allocated before the first push, and memory is bounded by `capacity +` [`MAX_BLOCKED`] entries.
///
/// It holds no lock and reads no clock: share it under a mutex, and remove by [`ItemKey`] what has waited too long.
#[derive(Debug)]
pub struct Queue<T> {
    capacity: u32,
    strategy: Strategy,
    nodes: Vec<Node<T>>,
    free: u32,
    head: u32,
    tail: u32,
    first_blocked: u32,
    counts: Counts,
}

impl<T> Queue<T> {
    /// An empty line. Allocates nothing.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            capacity: config.capacity(),
            strategy: config.on_full(),
            nodes: Vec::new(),
            free: NIL,
            head: NIL,
            tail: NIL,
            first_blocked: NIL,
            counts: Counts::default(),
        }
    }

    /// Goes by another capacity and strategy from now on. Everybody stays in line, in order: more than
    /// the capacity may wait until enough of them have left, unless the strategy is `block`, under
    /// which those behind the capacity are blocked. Takes time in proportion to the line.
    pub fn reconfigure(&mut self, config: &Config) {
        self.capacity = config.capacity();
        self.strategy = config.on_full();
        let all = self.counts.waiting + self.counts.blocked_now;
        (self.counts.waiting, self.counts.blocked_now, self.first_blocked) = (all, 0, NIL);
        if matches!(self.strategy, Strategy::Block { .. }) && all > self.capacity {
            let mut at = self.head;
            for _ in 0..self.capacity {
                at = self.node(at).map_or(NIL, |slot| slot.next);
            }
            self.first_blocked = at;
            self.counts.waiting = self.capacity;
            self.counts.blocked_now = all - self.capacity;
        }
    }

    /// Puts `item` at the end of the line, or does what the strategy says when the line is full.
    pub fn push(&mut self, item: T) -> Push<T> {
        self.counts.received += 1;
        if self.counts.waiting < self.capacity {
            self.counts.waiting += 1;
            return Push::Waiting(self.append(item));
        }
        match self.strategy {
            Strategy::Block { .. } if self.counts.blocked_now < MAX_BLOCKED => {
                let key = self.append(item);
                if self.first_blocked == NIL {
                    self.first_blocked = key.slot;
                }
                self.counts.blocked += 1;
                self.counts.blocked_now += 1;
                Push::Blocked(key)
            }
            Strategy::DropOldest => match self.take(self.head) {
                Some(evicted) => {
                    self.counts.dropped += 1;
                    self.counts.waiting += 1;
                    Push::Evicted { key: self.append(item), evicted }
                }
                // A line without room holds an entry, for its capacity is at least 1; were it ever
                // otherwise, the newcomer is refused rather than lost uncounted.
                None => self.refuse(item),
            },
            Strategy::Block { .. } | Strategy::Error => self.refuse(item),
            Strategy::DropNewest => {
                self.counts.dropped += 1;
                Push::Dropped(item)
            }
        }
    }

    /// Takes the head of the line, to be worked on: counts as processed.
    pub fn pop(&mut self) -> Option<T> {
        let item = self.take(self.head)?;
        self.counts.processed += 1;
        Some(item)
    }

    /// Takes the newest waiting entry, to be worked on: counts as processed. Those that are blocked came later, and stay.
    pub fn pop_newest(&mut self) -> Option<T> {
        let item = self.take(self.newest_waiting())?;
        self.counts.processed += 1;
        Some(item)
    }

    /// Takes `item` in without a place of its own: `merge` makes it part of the newest waiting entry, or gives it back,
    /// as it is given back if nothing waits; then nothing is counted. Of a `merge` that panics, `item` counts as merged.
    ///
    /// # Errors
    /// `item`, which was not merged.
    pub fn merge(
        &mut self,
        item: T,
        merge: impl FnOnce(&mut T, T) -> Result<(), T>,
    ) -> Result<(), T> {
        let newest = self.newest_waiting();
        let Some(waiting) = self.nodes.get_mut(newest as usize).and_then(|at| at.item.as_mut())
        else {
            return Err(item);
        };
        self.counts.received += 1;
        self.counts.merged += 1;
        merge(waiting, item).inspect_err(|_| {
            self.counts.received -= 1;
            self.counts.merged -= 1;
        })
    }

    /// Counts a newcomer that is not let in, whether there is room or not: as received, and as dropped.
    pub fn turn_away(&mut self) {
        self.counts.received += 1;
        self.counts.dropped += 1;
    }

    /// The head of the line.
    #[must_use]
    pub fn front(&self) -> Option<&T> {
        self.node(self.head)?.item.as_ref()
    }

    /// The end of the line: the newest entry, blocked or not.
    #[must_use]
    pub fn back(&self) -> Option<&T> {
        self.node(self.tail)?.item.as_ref()
    }

    /// The entry that [`Queue::pop_newest`] takes.
    pub(crate) fn newest(&self) -> Option<&T> {
        self.node(self.newest_waiting())?.item.as_ref()
    }

    /// Sheds the head of the line, because its time has passed, say: counts as dropped.
    pub fn drop_front(&mut self) -> Option<T> {
        let item = self.take(self.head)?;
        self.counts.dropped += 1;
        Some(item)
    }

    /// Takes an entry out of the line wherever it stands, because it gave up waiting: counts as
    /// dropped. `None` if it has already left.
    pub fn remove(&mut self, key: ItemKey) -> Option<T> {
        self.find(key)?;
        let item = self.take(key.slot)?;
        self.counts.dropped += 1;
        Some(item)
    }

    /// The entry that `key` names, if it is still in the line.
    #[must_use]
    pub fn get(&self, key: ItemKey) -> Option<&T> {
        self.find(key)?.item.as_ref()
    }

    /// As [`get`](Self::get), to be changed in place.
    pub fn get_mut(&mut self, key: ItemKey) -> Option<&mut T> {
        self.find(key)?;
        self.nodes.get_mut(key.slot as usize)?.item.as_mut()
    }

    /// Whether an entry stands behind the full line; `None` if it has left.
    #[must_use]
    pub fn is_blocked(&self, key: ItemKey) -> Option<bool> {
        let slot = self.find(key)?;
        // The line is in order of arrival, so everything from the first blocked one on is blocked.
        Some(self.node(self.first_blocked).is_some_and(|first| slot.number >= first.number))
    }

    /// Shows every entry to `look`, oldest first. Takes time in proportion to the line.
    pub fn for_each_mut(&mut self, mut look: impl FnMut(&mut T)) {
        let mut at = self.head;
        while let Some(slot) = self.nodes.get_mut(at as usize) {
            at = slot.next;
            slot.item.as_mut().into_iter().for_each(&mut look);
        }
    }

    /// Takes out of the line every entry that `leaves` says, oldest first: they count as dropped. Takes
    /// time in proportion to the line.
    pub fn remove_where(&mut self, mut leaves: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut items = Vec::new();
        let mut at = self.head;
        while let Some(slot) = self.node(at) {
            let next = slot.next;
            if slot.item.as_ref().is_some_and(&mut leaves) {
                items.extend(self.take(at));
                self.counts.dropped += 1;
            }
            at = next;
        }
        items
    }

    /// Empties the line, oldest first, and gives its memory back: all of it counts as dropped.
    /// Takes time in proportion to the line.
    pub fn drain(&mut self) -> Vec<T> {
        let mut items =
            Vec::with_capacity((self.counts.waiting + self.counts.blocked_now) as usize);
        while let Some(item) = self.drop_front() {
            items.push(item);
        }
        // Keys carry a number that is never used twice, so old ones stay stale without the nodes.
        self.nodes = Vec::new();
        self.free = NIL;
        items
    }

    /// The entry that moves up when the next waiting one leaves.
    #[must_use]
    pub fn first_blocked(&self) -> Option<ItemKey> {
        let slot = self.first_blocked;
        Some(ItemKey { slot, number: self.node(slot)?.number })
    }

    /// How many entries are waiting; above the capacity only after that was lowered. Blocked ones are not
    /// among them.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.counts.waiting
    }

    /// Whether nothing is waiting; then nothing is blocked either.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head == NIL
    }

    /// How many entries are blocked.
    #[must_use]
    pub fn blocked(&self) -> u32 {
        self.counts.blocked_now
    }

    /// How many entries may wait.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// What happens to a newcomer when the line is full.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// Entries waiting as a share of the capacity, 0 to 1; above 1 only after that was lowered.
    #[must_use]
    pub fn fill_ratio(&self) -> f64 {
        f64::from(self.counts.waiting) / f64::from(self.capacity)
    }

    /// What the line has seen.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn refuse(&mut self, item: T) -> Push<T> {
        self.counts.dropped += 1;
        Push::Full(item)
    }

    fn node(&self, at: u32) -> Option<&Node<T>> {
        self.nodes.get(at as usize)
    }

    fn newest_waiting(&self) -> u32 {
        self.node(self.first_blocked).map_or(self.tail, |blocked| blocked.prev)
    }

    /// The slot of an entry that is still in the line.
    fn find(&self, key: ItemKey) -> Option<&Node<T>> {
        self.node(key.slot).filter(|slot| slot.number == key.number && slot.item.is_some())
    }

    /// Links `item` in at the tail, in a free slot or a new one. Counts nothing.
    fn append(&mut self, item: T) -> ItemKey {
        let number = self.counts.received;
        let slot = Node { item: Some(item), number, prev: self.tail, next: NIL };
        let at = self.free;
        let at = match self.nodes.get_mut(at as usize) {
            Some(free) => {
                self.free = free.next;
                *free = slot;
                at
            }
            None => {
                // At most capacity + MAX_BLOCKED entries, so this neither truncates nor reaches NIL.
                let at = self.nodes.len() as u32;
                self.nodes.push(slot);
                at
            }
        };
        match self.nodes.get_mut(self.tail as usize) {
            Some(tail) => tail.next = at,
            None => self.head = at,
        }
        self.tail = at;
        ItemKey { slot: at, number }
    }

    /// Unlinks an entry, moves the first blocked one up if a waiting one left, and frees the slot.
    fn take(&mut self, at: u32) -> Option<T> {
        let first_blocked = self.node(self.first_blocked).map_or(u64::MAX, |first| first.number);
        let slot = self.nodes.get_mut(at as usize)?;
        let item = slot.item.take()?;
        let (prev, next, was_blocked) = (slot.prev, slot.next, slot.number >= first_blocked);
        slot.next = self.free;
        self.free = at;
        match self.nodes.get_mut(prev as usize) {
            Some(slot) => slot.next = next,
            None => self.head = next,
        }
        match self.nodes.get_mut(next as usize) {
            Some(slot) => slot.prev = prev,
            None => self.tail = prev,
        }
        if was_blocked {
            self.counts.blocked_now -= 1;
            if self.first_blocked == at {
                self.first_blocked = next;
            }
        } else if let Some(moved_up) = self.node(self.first_blocked) {
            self.first_blocked = moved_up.next;
            self.counts.blocked_now -= 1;
        } else {
            self.counts.waiting -= 1;
        }
        Some(item)
    }
}
