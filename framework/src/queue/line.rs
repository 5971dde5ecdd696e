//! The line of a queue: items that wait, and behind them those whose producers wait for room.

use std::collections::VecDeque;
use std::task::Waker;

use crate::backpressure::{Config, Counts, ItemKey, MAX_BLOCKED, Next, Push, Queue, Strategy};
use crate::clock::Moment;

/// What waits leaves at its ends only, so it is in a ring: neighbours in the line are neighbours in memory. What is blocked leaves
/// wherever it stands.
#[derive(Debug)]
pub(super) struct Line<T> {
    waiting: VecDeque<(T, Moment)>,
    capacity: u32,
    strategy: Strategy,
    /// Without `waiting`, `blocked_now` and what of `dropped` is counted by `blocked`.
    counts: Counts,
    blocked: Queue<Blocked<T>>,
}

/// An item in front of the full line.
#[derive(Debug)]
pub(super) struct Blocked<T> {
    pub(super) item: T,
    since: Moment,
    /// Who is to be woken when it has room.
    pub(super) producer: Option<Waker>,
}

/// What became of a newcomer.
#[derive(Debug, PartialEq)]
pub(super) enum Pushed<T> {
    Waiting,
    /// It waits, in place of this one, the oldest.
    Evicted(T),
    Full(T),
    Dropped(T),
    Blocked(ItemKey),
}

/// An item that has left.
#[derive(Debug)]
pub(super) struct Left<T> {
    pub(super) item: T,
    /// One that was blocked has its place, with its producer if that has been polled.
    pub(super) moved_up: Option<Option<Waker>>,
}

impl<T> Line<T> {
    /// Allocates nothing.
    pub(super) fn new(config: &Config) -> Self {
        // Its own bound is asked before it is pushed to.
        let blocked = Queue::new(&Config::default());
        Self {
            waiting: VecDeque::new(),
            capacity: config.capacity(),
            strategy: config.on_full(),
            counts: Counts::default(),
            blocked,
        }
    }

    /// Puts an item at the end of the line, or does what the strategy says when that is full.
    #[inline]
    pub(super) fn push(&mut self, item: T, now: Moment) -> Pushed<T> {
        self.counts.received += 1;
        if self.is_full() {
            return self.push_full(item, now);
        }
        self.waiting.push_back((item, now));
        Pushed::Waiting
    }

    fn push_full(&mut self, item: T, now: Moment) -> Pushed<T> {
        match self.strategy {
            Strategy::Block { .. } if self.blocked_now() < MAX_BLOCKED => {
                let blocked = Blocked { item, since: now, producer: None };
                match self.blocked.push(blocked) {
                    Push::Waiting(key) | Push::Blocked(key) | Push::Evicted { key, .. } => {
                        self.counts.blocked += 1;
                        Pushed::Blocked(key)
                    }
                    Push::Full(blocked) | Push::Dropped(blocked) => self.refuse(blocked.item),
                }
            }
            Strategy::DropOldest => match self.waiting.pop_front() {
                Some((evicted, _)) => {
                    self.counts.dropped += 1;
                    self.waiting.push_back((item, now));
                    Pushed::Evicted(evicted)
                }
                // A full line has an oldest, for its capacity is at least 1.
                None => self.refuse(item),
            },
            Strategy::Block { .. } | Strategy::Error => self.refuse(item),
            Strategy::DropNewest => {
                self.counts.dropped += 1;
                Pushed::Dropped(item)
            }
        }
    }

    fn refuse(&mut self, item: T) -> Pushed<T> {
        self.counts.dropped += 1;
        Pushed::Full(item)
    }

    /// Counts a newcomer that is not let in, whether there is room or not: as received, and as dropped.
    pub(super) fn turn_away(&mut self) {
        self.counts.received += 1;
        self.counts.dropped += 1;
    }

    /// Takes an item in without a place of its own: `merge` makes it part of the newest that waits, or gives it back, as it is
    /// given back if nothing waits; then nothing is counted. Of a `merge` that panics, the item counts as merged.
    ///
    /// # Errors
    /// The item, which was not merged.
    pub(super) fn merge(
        &mut self,
        item: T,
        merge: impl FnOnce(&mut T, T) -> Result<(), T>,
    ) -> Result<(), T> {
        let Some((newest, _)) = self.waiting.back_mut() else { return Err(item) };
        self.counts.received += 1;
        self.counts.merged += 1;
        merge(newest, item).inspect_err(|_| {
            self.counts.received -= 1;
            self.counts.merged -= 1;
        })
    }

    /// Since when the oldest waits.
    #[inline]
    pub(super) fn oldest(&self) -> Option<Moment> {
        self.waiting.front().map(|(_, since)| *since)
    }

    /// Takes out what is next: as processed, or as dropped.
    #[inline]
    pub(super) fn take(&mut self, next: Next) -> Option<Left<T>> {
        let taken = match next {
            Next::Oldest | Next::DropOldest => self.waiting.pop_front(),
            Next::Newest => self.waiting.pop_back(),
        };
        let (item, _) = taken?;
        match next {
            Next::Oldest | Next::Newest => self.counts.processed += 1,
            Next::DropOldest => self.counts.dropped += 1,
        }
        let moved_up = if self.blocked.is_empty() { None } else { self.move_up() };
        Some(Left { item, moved_up })
    }

    #[cold]
    fn move_up(&mut self) -> Option<Option<Waker>> {
        let Blocked { item, since, producer } = self.blocked.pop()?;
        self.waiting.push_back((item, since));
        Some(producer)
    }

    /// The producer of one that is still in front of the full line.
    pub(super) fn producer(&mut self, key: ItemKey) -> Option<&mut Option<Waker>> {
        Some(&mut self.blocked.get_mut(key)?.producer)
    }

    /// Takes one out that is still in front of the full line, because its producer has given up: it counts as dropped.
    pub(super) fn remove_blocked(&mut self, key: ItemKey) -> Option<Blocked<T>> {
        self.blocked.remove(key)
    }

    /// Shows the producers of all that are blocked. Takes time in proportion to their number.
    pub(super) fn for_each_producer(&mut self, mut look: impl FnMut(&mut Option<Waker>)) {
        self.blocked.for_each_mut(|blocked| look(&mut blocked.producer));
    }

    /// How many wait. Blocked ones are not among them.
    #[inline]
    pub(super) fn len(&self) -> u32 {
        // No more than the capacity.
        self.waiting.len() as u32
    }

    /// Whether nothing waits; then nothing is blocked either.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    fn blocked_now(&self) -> u32 {
        let counts = self.blocked.counts();
        counts.waiting + counts.blocked_now
    }

    pub(super) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// How full it is, 0 to 1.
    pub(super) fn fill_ratio(&self) -> f64 {
        f64::from(self.len()) / f64::from(self.capacity)
    }

    /// What it has seen.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = self.counts;
        counts.dropped += self.blocked.counts().dropped;
        (counts.waiting, counts.blocked_now) = (self.len(), self.blocked_now());
        counts
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use proptest::prelude::{
        Just, Strategy as _, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
    };

    use super::*;

    const fn at(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    /// What befalls a line.
    #[derive(Clone, Debug)]
    enum Event {
        Comes,
        Leaves(u8),
        /// Of the blocked ones that have ever been, this one gives up.
        GivesUp(usize),
        Merges(bool),
        TurnedAway,
    }

    fn events() -> impl proptest::strategy::Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            6 => Just(Event::Comes),
            4 => (0u8..3).prop_map(Event::Leaves),
            2 => (0usize..8).prop_map(Event::GivesUp),
            1 => any::<bool>().prop_map(Event::Merges),
            1 => Just(Event::TurnedAway),
        ];
        prop::collection::vec(event, 0..200)
    }

    proptest! {
        /// Against the line of a mailbox, which does the same with links.
        #[test]
        fn does_what_the_line_of_a_mailbox_does(
            capacity in 1u32..5,
            strategy in 0usize..4,
            events in events(),
        ) {
            let timeout = std::time::Duration::from_secs(1);
            let all = [Strategy::Block { timeout }, Strategy::DropOldest, Strategy::DropNewest, Strategy::Error];
            let config = Config::builder().capacity(capacity).on_full(all[strategy]).build().unwrap();
            let (mut line, mut naive) = (Line::new(&config), Queue::new(&config));
            let mut blocked = Vec::new();
            for (number, event) in (1u64..).zip(events) {
                match event {
                    Event::Comes => match (line.push(number, at(number)), naive.push(number)) {
                        (Pushed::Waiting, Push::Waiting(_)) => {}
                        (Pushed::Blocked(key), Push::Blocked(theirs)) => blocked.push((key, theirs)),
                        (Pushed::Evicted(ours), Push::Evicted { evicted, .. }) => {
                            prop_assert_eq!(ours, evicted);
                        }
                        (Pushed::Full(ours), Push::Full(theirs))
                        | (Pushed::Dropped(ours), Push::Dropped(theirs)) => {
                            prop_assert_eq!(ours, theirs);
                        }
                        other => prop_assert!(false, "{:?}", other),
                    },
                    Event::Leaves(how) => {
                        let moves_up = naive.first_blocked();
                        let (next, theirs) = match how {
                            0 => (Next::Oldest, naive.pop()),
                            1 => (Next::Newest, naive.pop_newest()),
                            _ => (Next::DropOldest, naive.drop_front()),
                        };
                        let ours = line.take(next);
                        prop_assert_eq!(
                            ours.as_ref().is_some_and(|left| left.moved_up.is_some()),
                            moves_up.is_some(),
                        );
                        prop_assert_eq!(ours.map(|left| left.item), theirs);
                    }
                    Event::GivesUp(which) if !blocked.is_empty() => {
                        let (key, theirs) = blocked[which % blocked.len()];
                        let is_blocked = naive.is_blocked(theirs) == Some(true);
                        prop_assert_eq!(line.producer(key).is_some(), is_blocked);
                        let expected = if is_blocked { naive.remove(theirs) } else { None };
                        prop_assert_eq!(line.remove_blocked(key).map(|it| it.item), expected);
                    }
                    Event::GivesUp(_) => {}
                    Event::Merges(fits) => {
                        let merge = |waiting: &mut u64, newcomer: u64| {
                            if fits { *waiting += newcomer; Ok(()) } else { Err(newcomer) }
                        };
                        prop_assert_eq!(line.merge(number, merge), naive.merge(number, merge));
                    }
                    Event::TurnedAway => {
                        line.turn_away();
                        naive.turn_away();
                    }
                }
                prop_assert_eq!(line.counts(), naive.counts());
                prop_assert_eq!((line.len(), line.is_empty()), (naive.len(), naive.is_empty()));
                prop_assert_eq!(line.fill_ratio(), naive.fill_ratio());
                prop_assert_eq!(line.waiting.front().map(|it| it.0), naive.front().copied());
                let blocked_now = line.counts().blocked_now;
                let mut producers = 0;
                line.for_each_producer(|_| producers += 1);
                prop_assert_eq!(producers, blocked_now);
            }
        }
    }

    #[test]
    fn an_item_that_was_blocked_has_waited_since_it_came() {
        let config = Config::builder().capacity(1).build().unwrap();
        let mut line = Line::new(&config);
        assert_eq!(line.push('a', at(1)), Pushed::Waiting);
        assert!(matches!(line.push('b', at(2)), Pushed::Blocked(_)));
        line.for_each_producer(|producer| *producer = Some(Waker::noop().clone()));
        let left = line.take(Next::Oldest).unwrap();
        assert!(left.item == 'a' && left.moved_up.unwrap().is_some());
        assert_eq!((line.oldest(), line.len(), line.capacity()), (Some(at(2)), 1, 1));
    }
}
