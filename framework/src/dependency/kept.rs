//! The last good answers of a method, for calls that get none.
//!
//! Bounded: when there are as many as may be, the one that was stored longest ago goes. In shards of at least 64, each with a
//! lock that is held for a look-up: an answer is cloned and dropped outside of it.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::time::Duration;

use crate::clock::Moment;
use crate::sync::Mutex;

/// As many shards at most, and so many answers in each at least.
const SHARDS: usize = 16;
const SHARD_MIN: usize = 64;

/// Answers by the key of their call, each with when it was stored.
#[derive(Debug)]
pub(crate) struct KeptAnswers<T> {
    shards: Box<[Mutex<Shard<T>>]>,
    most_in_shard: usize,
}

#[derive(Debug)]
struct Shard<T> {
    answers: HashMap<u128, Kept<T>>,
    /// In the order of their storing; one that was stored again since is there twice, and is passed over.
    order: VecDeque<(u128, u64)>,
    stored: u64,
}

#[derive(Debug)]
struct Kept<T> {
    answer: T,
    at: Moment,
    number: u64,
}

impl<T: Clone> KeptAnswers<T> {
    /// Keeps at most this many; at least one.
    pub(crate) fn new(max_entries: usize) -> Self {
        let shards = (max_entries / SHARD_MIN).clamp(1, SHARDS);
        let shard =
            || Mutex::new(Shard { answers: HashMap::new(), order: VecDeque::new(), stored: 0 });
        Self {
            shards: (0..shards).map(|_| shard()).collect(),
            most_in_shard: (max_entries / shards).max(1),
        }
    }

    fn shard(&self, key: u128) -> &Mutex<Shard<T>> {
        // In bounds: modulo their count. Keys are hashes.
        &self.shards[(key >> 64) as usize % self.shards.len()]
    }

    /// Stores an answer in place of the one before.
    pub(crate) fn put(&self, key: u128, answer: T, now: Moment) {
        let most = self.most_in_shard;
        let mut shard = self.shard(key).lock();
        let gone = shard.put(key, answer, now, most);
        drop(shard);
        // The user's code, perhaps.
        drop(gone);
    }

    /// The answer of the last call with this key that is no older than `max_age`, and its age.
    pub(crate) fn get(&self, key: u128, max_age: Duration, now: Moment) -> Option<(T, Duration)> {
        let shard = self.shard(key).lock();
        let kept = shard.answers.get(&key)?;
        let age = now.since(kept.at);
        (age <= max_age).then(|| (kept.answer.clone(), age))
    }
}

impl<T> Shard<T> {
    /// What had to go.
    fn put(&mut self, key: u128, answer: T, at: Moment, most: usize) -> Option<T> {
        self.stored += 1;
        let number = self.stored;
        self.order.push_back((key, number));
        let kept = Kept { answer, at, number };
        let replaced = match self.answers.entry(key) {
            Entry::Occupied(mut there) => {
                return Some(there.insert(kept).answer).inspect(|_| self.tidy(most));
            }
            Entry::Vacant(free) => {
                free.insert(kept);
                None
            }
        };
        if self.answers.len() <= most {
            return replaced;
        }
        while let Some((oldest, number)) = self.order.pop_front() {
            if self.answers.get(&oldest).is_some_and(|kept| kept.number == number) {
                return self.answers.remove(&oldest).map(|kept| kept.answer);
            }
        }
        replaced
    }

    /// Forgets what is in the order for nothing, once that is most of it.
    fn tidy(&mut self, most: usize) {
        if self.order.len() > 2 * most + SHARD_MIN {
            let answers = &self.answers;
            self.order.retain(|(key, number)| {
                answers.get(key).is_some_and(|kept| kept.number == *number)
            });
        }
    }
}

#[cfg(all(test, not(seawall_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn an_answer_that_is_stored_again_and_again_takes_no_more_room() {
        let kept = KeptAnswers::new(8);
        let lengths = (0..300).map(|number| {
            kept.put(1, number, at(0));
            kept.shards[0].lock().order.len()
        });
        assert_eq!(lengths.max(), Some(2 * 8 + SHARD_MIN));
        (2..10).for_each(|key| kept.put(key, 0, at(0)));
        assert_eq!(kept.get(1, Duration::MAX, at(0)), None, "and goes when it is the oldest");
    }

    proptest! {
        /// One shard, against a list in the order of storing.
        #[test]
        fn it_keeps_what_a_list_keeps(
            most in 1usize..8,
            steps in prop::collection::vec((0u128..12, any::<bool>(), 0u64..5), 0..200),
        ) {
            let kept = KeptAnswers::new(most);
            let mut list: Vec<(u128, u32, Moment)> = Vec::new();
            let mut now = at(0);
            for (number, (key, is_put, passes)) in steps.into_iter().enumerate() {
                now = now + Duration::from_secs(passes);
                if is_put {
                    kept.put(key, number as u32, now);
                    list.retain(|(other, ..)| *other != key);
                    list.push((key, number as u32, now));
                    if list.len() > most {
                        list.remove(0);
                    }
                }
                for key in 0..12 {
                    let found = list.iter().find(|(other, ..)| *other == key);
                    let found = found.map(|(_, answer, stored)| (*answer, now.since(*stored)));
                    let max_age = Duration::from_secs(6);
                    let fresh = found.filter(|(_, age)| *age <= max_age);
                    prop_assert_eq!(kept.get(key, max_age, now), fresh);
                }
                prop_assert!(kept.shards[0].lock().order.len() <= 2 * most + SHARD_MIN + 1);
            }
        }
    }

    #[test]
    fn of_many_there_are_never_more_than_may_be() {
        let kept = KeptAnswers::new(1_000);
        for number in 0..10_000_u64 {
            kept.put(u128::from(number) << 64, number, at(number));
        }
        let count: usize = kept.shards.iter().map(|shard| shard.lock().answers.len()).sum();
        assert!((900..=1_000).contains(&count), "{count}");
        let latest = kept.get(9_999 << 64, Duration::from_secs(1), at(10_000));
        assert_eq!(latest, Some((9_999, Duration::from_secs(1))));
    }
}
