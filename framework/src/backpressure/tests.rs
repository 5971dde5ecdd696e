use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use super::{Config, Counts, ItemKey, MAX_BLOCKED, MAX_CAPACITY, Push, Queue, Strategy};

fn queue(capacity: u32, on_full: Strategy) -> Queue<u64> {
    Queue::new(&Config::builder().capacity(capacity).on_full(on_full).build().unwrap())
}

fn key(push: Push<u64>) -> ItemKey {
    match push {
        Push::Waiting(key) | Push::Blocked(key) | Push::Evicted { key, .. } => key,
        Push::Full(item) | Push::Dropped(item) => panic!("{item} was refused"),
    }
}

#[test]
fn the_defaults_are_a_hundred_places_and_thirty_seconds_of_blocking() {
    let config = Config::default();
    assert_eq!(config.capacity(), 100);
    assert_eq!(config.on_full(), Strategy::Block { timeout: Duration::from_secs(30) });
    assert_eq!(Config::builder().build().unwrap(), config);
}

#[test]
fn a_capacity_of_zero_and_a_block_of_no_time_are_told_at_once() {
    let wrong = Config::builder()
        .capacity(0)
        .on_full(Strategy::Block { timeout: Duration::ZERO })
        .build()
        .unwrap_err();
    let keys: Vec<_> = wrong.as_slice().iter().map(|setting| setting.key).collect();
    assert_eq!(keys, ["capacity", "on_full.block.timeout"]);
    assert!(Config::builder().capacity(MAX_CAPACITY + 1).build().is_err());
    assert!(Config::builder().capacity(MAX_CAPACITY).build().is_ok());
}

#[test]
fn drop_oldest_with_one_place_keeps_only_the_newest() {
    let mut queue = queue(1, Strategy::DropOldest);
    let first = key(queue.push(1));
    let Push::Evicted { key, evicted: 1 } = queue.push(2) else { panic!("1 must make room") };
    assert_eq!(queue.is_blocked(key), Some(false));
    assert_eq!(queue.remove(first), None, "1 has left already");
    assert_eq!(queue.pop(), Some(2));
    assert_eq!(queue.pop(), None);
    let counts = queue.counts();
    assert_eq!((counts.received, counts.processed, counts.dropped), (2, 1, 1));
}

#[test]
fn error_and_drop_newest_give_the_newcomer_back() {
    let mut error = queue(1, Strategy::Error);
    key(error.push(1));
    assert_eq!(error.push(2), Push::Full(2));
    let mut newest = queue(1, Strategy::DropNewest);
    key(newest.push(1));
    assert_eq!(newest.push(2), Push::Dropped(2));
    assert_eq!((error.counts().dropped, newest.counts().dropped), (1, 1));
    assert_eq!((error.pop(), newest.pop()), (Some(1), Some(1)));
}

#[test]
fn a_blocked_newcomer_moves_up_when_a_waiter_leaves_from_the_middle() {
    let mut queue = queue(2, Strategy::default());
    let keys: Vec<ItemKey> = (0..4).map(|item| key(queue.push(item))).collect();
    assert_eq!((queue.len(), queue.blocked(), queue.fill_ratio()), (2, 2, 1.0));
    assert_eq!(queue.is_blocked(keys[2]), Some(true));
    assert_eq!(queue.remove(keys[1]), Some(1));
    assert_eq!(queue.is_blocked(keys[2]), Some(false));
    assert_eq!(queue.is_blocked(keys[3]), Some(true));
    assert_eq!(queue.remove(keys[3]), Some(3), "a blocked one may give up too");
    assert_eq!(queue.drain(), [0, 2]);
    assert_eq!(queue.counts().blocked, 2, "how many ever had to block");
}

#[test]
fn a_key_kept_over_a_flush_never_finds_somebody_else() {
    let mut queue = queue(4, Strategy::Error);
    let old = key(queue.push(1));
    assert_eq!(queue.drain(), [1]);
    assert_eq!(queue.get(old), None);
    let new = key(queue.push(2));
    assert_ne!(old, new);
    assert_eq!((queue.get(old).copied(), queue.is_blocked(old)), (None, None));
    assert_eq!(queue.remove(old), None);
    *queue.get_mut(new).unwrap() = 3;
    assert_eq!((queue.front(), queue.back()), (Some(&3), Some(&3)));
}

#[test]
fn blocking_is_bounded_too() {
    let mut queue: Queue<()> = Queue::new(&Config::builder().capacity(1).build().unwrap());
    for _ in 0..=MAX_BLOCKED {
        assert!(matches!(queue.push(()), Push::Waiting(_) | Push::Blocked(_)));
    }
    assert_eq!(queue.push(()), Push::Full(()));
    assert_eq!(queue.blocked(), MAX_BLOCKED);
}

/// The line as a list: what it says is right by being obvious.
struct Model {
    capacity: usize,
    strategy: Strategy,
    line: VecDeque<u64>,
    counts: Counts,
}

impl Model {
    fn push(&mut self, item: u64) -> &'static str {
        self.counts.received += 1;
        if self.line.len() < self.capacity {
            self.line.push_back(item);
            return "waiting";
        }
        match self.strategy {
            Strategy::Block { .. } => {
                self.counts.blocked += 1;
                self.line.push_back(item);
                "blocked"
            }
            Strategy::DropOldest => {
                self.line.pop_front();
                self.line.push_back(item);
                self.counts.dropped += 1;
                "evicted"
            }
            Strategy::DropNewest | Strategy::Error => {
                self.counts.dropped += 1;
                "refused"
            }
        }
    }

    /// How many stand in the line itself, not behind it.
    fn may_wait(&self) -> usize {
        if matches!(self.strategy, Strategy::Block { .. }) { self.capacity } else { usize::MAX }
    }

    fn counts(&self) -> Counts {
        let waiting = self.line.len().min(self.may_wait());
        Counts {
            waiting: waiting as u32,
            blocked_now: (self.line.len() - waiting) as u32,
            ..self.counts
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push,
    Pop,
    DropFront,
    /// The n-th key ever given out, stale or not.
    Remove(prop::sample::Index),
    /// Every one that this divides.
    RemoveMultiples(u64),
    Drain,
    /// The newest that waits.
    PopNewest,
    /// Into the newest that waits, which takes it or gives it back.
    Merge(bool),
    TurnAway,
    /// Another capacity, another strategy.
    Reconfigure(u32, Strategy),
}

const STRATEGIES: [Strategy; 4] = [
    Strategy::Block { timeout: Duration::from_secs(30) },
    Strategy::DropOldest,
    Strategy::DropNewest,
    Strategy::Error,
];

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Push),
        3 => Just(Step::Pop),
        1 => Just(Step::DropFront),
        4 => any::<prop::sample::Index>().prop_map(Step::Remove),
        1 => (1_u64..4).prop_map(Step::RemoveMultiples),
        1 => Just(Step::Drain),
        2 => Just(Step::PopNewest),
        2 => any::<bool>().prop_map(Step::Merge),
        1 => Just(Step::TurnAway),
        1 => (1_u32..6, prop::sample::select(&STRATEGIES[..]))
            .prop_map(|(capacity, strategy)| Step::Reconfigure(capacity, strategy)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn a_naive_list_says_the_same(
        capacity in 1_u32..6,
        which in 0_usize..4,
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let strategy = STRATEGIES[which];
        let mut queue = queue(capacity, strategy);
        let mut model = Model {
            capacity: capacity as usize, strategy, line: VecDeque::new(), counts: Counts::default(),
        };
        let mut keys: Vec<(ItemKey, u64)> = Vec::new();
        for (item, step) in (0_u64..).zip(steps) {
            match step {
                Step::Push => {
                    let expected = model.push(item);
                    let (said, key) = match queue.push(item) {
                        Push::Waiting(key) => ("waiting", Some(key)),
                        Push::Blocked(key) => ("blocked", Some(key)),
                        Push::Evicted { key, evicted } => {
                            prop_assert!(!model.line.contains(&evicted));
                            ("evicted", Some(key))
                        }
                        Push::Full(back) | Push::Dropped(back) => {
                            prop_assert_eq!(back, item);
                            ("refused", None)
                        }
                    };
                    prop_assert_eq!(said, expected);
                    keys.extend(key.map(|key| (key, item)));
                }
                Step::Pop => {
                    let expected = model.line.pop_front();
                    model.counts.processed += u64::from(expected.is_some());
                    prop_assert_eq!(queue.pop(), expected);
                }
                Step::DropFront => {
                    let expected = model.line.pop_front();
                    model.counts.dropped += u64::from(expected.is_some());
                    prop_assert_eq!(queue.drop_front(), expected);
                }
                Step::RemoveMultiples(of) => {
                    let goes = |item: &u64| item.is_multiple_of(of);
                    let expected: Vec<_> = model.line.iter().copied().filter(goes).collect();
                    model.line.retain(|item| !goes(item));
                    model.counts.dropped += expected.len() as u64;
                    prop_assert_eq!(queue.remove_where(goes), expected);
                }
                Step::Remove(index) if !keys.is_empty() => {
                    let (key, item) = *index.get(&keys);
                    let at = model.line.iter().position(|other| *other == item);
                    let expected = at.and_then(|at| model.line.remove(at));
                    model.counts.dropped += u64::from(expected.is_some());
                    prop_assert_eq!(queue.remove(key), expected);
                }
                Step::Remove(_) => {}
                Step::Drain => {
                    model.counts.dropped += model.line.len() as u64;
                    prop_assert_eq!(queue.drain(), model.line.drain(..).collect::<Vec<_>>());
                }
                Step::PopNewest => {
                    let newest = model.line.len().min(model.may_wait()).checked_sub(1);
                    let expected = newest.and_then(|at| model.line.remove(at));
                    model.counts.processed += u64::from(expected.is_some());
                    prop_assert_eq!(queue.pop_newest(), expected);
                }
                Step::Merge(fits) => {
                    let newest = model.line.len().min(model.may_wait()).checked_sub(1);
                    let mut into = None;
                    let merged = queue.merge(item, |waiting, newcomer| {
                        into = Some(*waiting);
                        if fits { Ok(()) } else { Err(newcomer) }
                    });
                    prop_assert_eq!(into, newest.map(|at| model.line[at]));
                    let expected = if fits && newest.is_some() { Ok(()) } else { Err(item) };
                    prop_assert_eq!(merged, expected);
                    model.counts.received += u64::from(expected.is_ok());
                    model.counts.merged += u64::from(expected.is_ok());
                }
                Step::TurnAway => {
                    queue.turn_away();
                    model.counts.received += 1;
                    model.counts.dropped += 1;
                }
                Step::Reconfigure(capacity, strategy) => {
                    let config = Config::builder().capacity(capacity).on_full(strategy);
                    queue.reconfigure(&config.build().unwrap());
                    (model.capacity, model.strategy) = (capacity as usize, strategy);
                }
            }
            let counts = queue.counts();
            prop_assert_eq!(counts, model.counts());
            prop_assert_eq!(
                counts.received,
                counts.processed + counts.dropped + counts.merged + u64::from(counts.waiting) + u64::from(counts.blocked_now)
            );
            prop_assert_eq!(queue.front(), model.line.front());
            prop_assert_eq!(queue.back(), model.line.back());
            prop_assert_eq!(queue.is_empty(), model.line.is_empty());
            let first_blocked = queue.first_blocked().and_then(|key| queue.get(key));
            prop_assert_eq!(first_blocked, model.line.get(model.may_wait()));
            let mut seen = Vec::new();
            queue.for_each_mut(|item| seen.push(*item));
            prop_assert_eq!(&seen, &model.line.iter().copied().collect::<Vec<_>>());
            for (key, item) in &keys {
                let at = model.line.iter().position(|other| other == item);
                prop_assert_eq!(queue.is_blocked(*key), at.map(|at| at >= model.may_wait()));
                prop_assert_eq!(queue.get(*key).is_some(), at.is_some());
            }
        }
    }
}
