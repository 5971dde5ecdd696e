//! The sampler under the model checker.

use std::sync::Arc;

use loom::thread;

use super::{SAMPLE_EVERY, Sampler};
use crate::clock::Moment;
use crate::sync::{Ordering, model};

/// Each thread counts at these moments, in nanoseconds. What is told of must add up in every interleaving,
/// and stay within `most`.
fn check(name: &str, threads: [Vec<u64>; 2], most: usize) {
    model(name, move || {
        let sampler = Arc::new(Sampler::default());
        let all: u64 = threads.iter().map(|moments| moments.len() as u64).sum();
        let counting: Vec<_> = threads
            .clone()
            .into_iter()
            .map(|moments| {
                let sampler = Arc::clone(&sampler);
                let count = move |at| sampler.count(Moment::from_nanos(at));
                thread::spawn(move || moments.into_iter().filter_map(count).collect::<Vec<_>>())
            })
            .collect();
        let told: Vec<u64> =
            counting.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect();
        assert!(!told.is_empty(), "the first one is always told of");
        assert!(told.len() <= most, "{told:?}");
        let accounted: u64 = told.iter().map(|unreported| unreported + 1).sum();
        assert_eq!(accounted, sampler.told.load(Ordering::Relaxed));
        assert!(accounted <= all, "{told:?} of {all}");
        assert_eq!(sampler.seen(), all);
    });
}

#[test]
fn of_those_at_once_one_is_told_of() {
    check("at once", [vec![5, 5], vec![5, 5]], 1);
}

#[test]
fn threads_that_overtake_each_other_tell_of_nothing_twice() {
    let every = SAMPLE_EVERY.as_nanos() as u64;
    check("overtaking", [vec![0, every], vec![every, 2 * every]], 3);
}
