//! The line of those who wait for permits.

use std::collections::VecDeque;
use std::task::Waker;

use crate::backpressure::{self, MAX_BLOCKED, Strategy};

/// First come, first served. The first `capacity` of them are in the queue; those behind are blocked in front of it.
///
/// A ring, so that neighbours in the line are neighbours in memory: two threads that take turns at it move few cache lines. Who leaves
/// from its middle leaves an empty entry, and those are cleared away once they are the half: amortised, every operation takes
/// constant time but for a search in the order of numbers.
#[derive(Debug)]
pub(super) struct Line {
    /// The first one still waits.
    ring: VecDeque<Entry>,
    /// The number of the last one that came.
    last: u64,
    /// Of the first one that is blocked, if one is.
    first_blocked: u64,
    waiting: u32,
    blocked: u32,
    empty: u32,
    /// Of those who are in the line, who need several permits.
    heavy: u32,
    capacity: u32,
    when_full: Strategy,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// Who is to be woken; `None`: it has left.
    waker: Option<Waker>,
    weight: u32,
}

/// The first in line, that has left it.
#[derive(Debug)]
pub(super) struct First {
    pub(super) number: u64,
    pub(super) waker: Option<Waker>,
}

/// What became of a newcomer.
#[derive(Debug)]
pub(super) enum Pushed {
    /// It has this number.
    Waiting(u64),
    Blocked(u64),
    /// It waits, in place of the one that was first.
    Evicted(u64, First),
    Full(Waker),
    Dropped(Waker),
}

impl Line {
    /// Allocates nothing.
    pub(super) fn new(mailbox: &backpressure::Config) -> Self {
        Self {
            ring: VecDeque::new(),
            last: 0,
            first_blocked: 0,
            waiting: 0,
            blocked: 0,
            empty: 0,
            heavy: 0,
            capacity: mailbox.capacity(),
            when_full: mailbox.on_full(),
        }
    }

    pub(super) fn len(&self) -> u32 {
        self.waiting + self.blocked
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// How many permits the first one needs.
    #[inline]
    pub(super) fn first_weight(&self) -> Option<u32> {
        self.ring.front().map(|first| first.weight)
    }

    /// Whether anybody needs several.
    #[inline]
    pub(super) fn has_heavy(&self) -> bool {
        self.heavy > 0
    }

    #[inline]
    pub(super) fn push(&mut self, weight: u32, waker: Waker) -> Pushed {
        if self.waiting < self.capacity {
            self.waiting += 1;
            return Pushed::Waiting(self.append(weight, waker));
        }
        self.push_full(weight, waker)
    }

    fn push_full(&mut self, weight: u32, waker: Waker) -> Pushed {
        match self.when_full {
            Strategy::Block { .. } if self.blocked < MAX_BLOCKED => {
                let number = self.append(weight, waker);
                if self.blocked == 0 {
                    self.first_blocked = number;
                }
                self.blocked += 1;
                Pushed::Blocked(number)
            }
            Strategy::DropOldest => match self.pop() {
                Some(first) => {
                    self.waiting += 1;
                    Pushed::Evicted(self.append(weight, waker), first)
                }
                // A full line has a first one, for its capacity is at least 1.
                None => Pushed::Full(waker),
            },
            Strategy::Block { .. } | Strategy::Error => Pushed::Full(waker),
            Strategy::DropNewest => Pushed::Dropped(waker),
        }
    }

    #[inline]
    fn append(&mut self, weight: u32, waker: Waker) -> u64 {
        self.last += 1;
        self.heavy += u32::from(weight > 1);
        self.ring.push_back(Entry { number: self.last, waker: Some(waker), weight });
        self.last
    }

    /// Takes out the first one.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<First> {
        let Entry { number, waker, weight } = self.ring.pop_front()?;
        self.has_left(number, weight);
        Some(First { number, waker })
    }

    /// The waker of one that is in the line.
    pub(super) fn waker_mut(&mut self, number: u64) -> Option<&mut Option<Waker>> {
        let at = self.find(number)?;
        Some(&mut self.ring.get_mut(at)?.waker).filter(|waker| waker.is_some())
    }

    /// Takes out one that is in the line. Its waker, and whether it was blocked.
    pub(super) fn remove(&mut self, number: u64) -> Option<(Waker, bool)> {
        let is_blocked = self.is_blocked(number);
        let at = self.find(number)?;
        let entry = self.ring.get_mut(at)?;
        let (waker, weight) = (entry.waker.take()?, entry.weight);
        self.empty += 1;
        self.has_left(number, weight);
        if self.empty as usize > self.ring.len() / 2 {
            self.ring.retain(|entry| entry.waker.is_some());
            self.empty = 0;
        }
        Some((waker, is_blocked))
    }

    /// Whether one that is in the line is in front of the full queue.
    pub(super) fn is_blocked(&self, number: u64) -> bool {
        self.blocked > 0 && number >= self.first_blocked
    }

    /// This one's entry is empty, or gone from the front.
    #[inline]
    fn has_left(&mut self, number: u64, weight: u32) {
        self.heavy -= u32::from(weight > 1);
        if self.blocked > 0 {
            self.moves_up(number);
        } else {
            self.waiting -= 1;
        }
        while self.ring.front().is_some_and(|first| first.waker.is_none()) {
            self.ring.pop_front();
            self.empty -= 1;
        }
    }

    /// One less is blocked: the one that has left, or the first one, which has the other's place.
    fn moves_up(&mut self, left: u64) {
        self.blocked -= 1;
        if left <= self.first_blocked {
            let at = self.ring.partition_point(|entry| entry.number <= self.first_blocked);
            let mut behind = self.ring.range(at..);
            let next = behind.find(|entry| entry.waker.is_some());
            self.first_blocked = next.map_or(0, |entry| entry.number);
        }
    }

    fn find(&self, number: u64) -> Option<usize> {
        self.ring.binary_search_by_key(&number, |entry| entry.number).ok()
    }
}

#[cfg(all(test, not(seawall_loom)))]
#[allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]
mod tests {
    use proptest::prelude::{
        Just, Strategy as _, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
    };

    use super::*;

    fn line(capacity: u32, on_full: Strategy) -> Line {
        let mailbox = backpressure::Config::builder().capacity(capacity).on_full(on_full);
        Line::new(&mailbox.build().unwrap())
    }

    fn push(line: &mut Line, weight: u32) -> Pushed {
        line.push(weight, Waker::noop().clone())
    }

    #[test]
    fn entries_of_those_who_left_are_cleared_away_once_they_are_the_half() {
        let mut line = line(1_000, Strategy::Error);
        let _ = push(&mut line, 1);
        let mut longest = 0;
        for number in 2..10_000 {
            assert!(matches!(push(&mut line, 1), Pushed::Waiting(it) if it == number));
            if number > 100 {
                assert_eq!(line.remove(number - 50).map(|(_, is_blocked)| is_blocked), Some(false));
                assert!(line.remove(number - 50).is_none(), "it has left");
            }
            longest = longest.max(line.ring.len());
        }
        assert!(longest <= 205, "{longest} entries for 100 who wait");
        assert_eq!((line.len(), line.pop().unwrap().number), (100, 1));
        while line.pop().is_some() {}
        assert!(line.is_empty() && line.empty == 0 && line.ring.is_empty());
    }

    #[test]
    fn no_more_are_blocked_than_may_be() {
        let mut line = line(1, Strategy::Block { timeout: std::time::Duration::from_secs(1) });
        for _ in 0..=MAX_BLOCKED {
            assert!(matches!(push(&mut line, 1), Pushed::Waiting(_) | Pushed::Blocked(_)));
        }
        assert!(matches!(push(&mut line, 1), Pushed::Full(_)));
        assert_eq!(line.len(), MAX_BLOCKED + 1);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push(u32),
        Pop,
        /// Of those in line, this one, counted round.
        Remove(usize),
    }

    fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (1_u32..4).prop_map(Step::Push),
            2 => Just(Step::Pop),
            3 => (0_usize..30).prop_map(Step::Remove),
        ];
        prop::collection::vec(step, 0..200)
    }

    /// Numbers and weights in order; all behind the first `capacity` are blocked.
    #[derive(Default)]
    struct Model(Vec<(u64, u32)>);

    impl Model {
        fn take(&mut self, at: usize) -> Option<u64> {
            (at < self.0.len()).then(|| self.0.remove(at).0)
        }
    }

    proptest! {
        #[test]
        fn equals_a_plain_list(
            capacity in 1_usize..6,
            on_full in prop::sample::select(vec![
                Strategy::Error,
                Strategy::DropNewest,
                Strategy::DropOldest,
                Strategy::Block { timeout: std::time::Duration::from_secs(1) },
            ]),
            steps in steps(),
        ) {
            let (mut line, mut model, mut last) = (line(capacity as u32, on_full), Model::default(), 0);
            for step in steps {
                match step {
                    Step::Push(weight) => {
                        let is_full = model.0.len() >= capacity;
                        match push(&mut line, weight) {
                            Pushed::Waiting(number) => {
                                prop_assert!(!is_full && number > last);
                                last = number;
                            }
                            Pushed::Blocked(number) => {
                                prop_assert!(is_full && on_full.block_timeout().is_some());
                                prop_assert!(number > last);
                                last = number;
                            }
                            Pushed::Evicted(number, first) => {
                                prop_assert!(is_full && on_full == Strategy::DropOldest && number > last);
                                prop_assert_eq!(Some(first.number), model.take(0));
                                prop_assert!(first.waker.is_some());
                                last = number;
                            }
                            Pushed::Full(_) => {
                                prop_assert!(is_full && on_full == Strategy::Error);
                                continue;
                            }
                            Pushed::Dropped(_) => {
                                prop_assert!(is_full && on_full == Strategy::DropNewest);
                                continue;
                            }
                        }
                        model.0.push((last, weight));
                    }
                    Step::Pop => {
                        let first = line.pop();
                        prop_assert!(first.as_ref().is_none_or(|first| first.waker.is_some()));
                        prop_assert_eq!(first.map(|first| first.number), model.take(0));
                    }
                    Step::Remove(_) if model.0.is_empty() => {}
                    Step::Remove(at) => {
                        let at = at % model.0.len();
                        let number = model.take(at).unwrap();
                        prop_assert_eq!(line.remove(number).map(|(_, it)| it), Some(at >= capacity));
                        prop_assert!(line.waker_mut(number).is_none() && line.remove(number).is_none());
                    }
                }
                prop_assert_eq!((line.len() as usize, line.is_empty()), (model.0.len(), model.0.is_empty()));
                prop_assert_eq!(line.first_weight(), model.0.first().map(|(_, weight)| *weight));
                prop_assert_eq!(line.has_heavy(), model.0.iter().any(|(_, weight)| *weight > 1));
                for (at, (number, _)) in model.0.iter().enumerate() {
                    prop_assert_eq!(line.is_blocked(*number), at >= capacity);
                    prop_assert!(line.waker_mut(*number).is_some());
                }
            }
        }
    }
}
