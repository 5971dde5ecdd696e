use std::sync::Barrier;
use std::thread;

use proptest::prelude::*;

use super::*;

const EVERY: u64 = SAMPLE_EVERY.as_nanos() as u64;

/// Says it with a list.
#[derive(Default)]
struct Naive {
    untold: u64,
    next_at: u64,
}

impl Naive {
    fn count(&mut self, now: u64) -> Option<u64> {
        if now < self.next_at && self.next_at - now < JUMP_NANOS {
            self.untold += 1;
            return None;
        }
        self.next_at = now.saturating_add(EVERY);
        Some(std::mem::take(&mut self.untold))
    }
}

proptest! {
    /// Steps forward mostly, sometimes back, sometimes far.
    #[test]
    fn it_is_what_the_naive_one_is(steps in prop::collection::vec(
        prop_oneof![
            8 => 0..2 * EVERY as i64,
            1 => -2 * EVERY as i64..0,
            1 => -2 * JUMP_NANOS as i64..2 * JUMP_NANOS as i64,
        ],
        1..200,
    )) {
        let (sampler, mut naive) = (Sampler::default(), Naive::default());
        let (mut now, mut told, mut since) = (0_u64, 0, 0);
        for (at, step) in steps.iter().enumerate() {
            now = now.saturating_add_signed(*step);
            let said = sampler.count(Moment::from_nanos(now));
            prop_assert_eq!(said, naive.count(now));
            since += 1;
            if let Some(unreported) = said {
                told += unreported + 1;
                since = 0;
            }
            prop_assert_eq!(told + since, at as u64 + 1, "each is told of, unreported, or still to come");
        }
        prop_assert_eq!(sampler.seen(), steps.len() as u64);
    }
}

#[test]
fn one_a_second_and_the_first_at_once() {
    let sampler = Sampler::default();
    let millis = (0..10_000_u64).map(|at| Moment::from_nanos(7 + at * 1_000_000));
    let told: Vec<u64> = millis.filter_map(|at| sampler.count(at)).collect();
    assert_eq!(told.len(), 10);
    assert_eq!(told[0], 0);
    assert!(told[1..].iter().all(|&unreported| unreported == 999), "{told:?}");
}

#[test]
fn at_the_end_of_time_it_goes_on_telling() {
    let sampler = Sampler::default();
    assert_eq!(sampler.count(Moment::MAX), Some(0));
    assert_eq!(sampler.count(Moment::MAX), Some(0));
}

#[test]
fn a_clock_that_falls_back_an_hour_does_not_silence_it_for_an_hour() {
    let sampler = Sampler::default();
    let hour = 3_600_000_000_000;
    assert_eq!(sampler.count(Moment::from_nanos(hour)), Some(0));
    assert_eq!(sampler.count(Moment::from_nanos(hour - 1)), None);
    assert_eq!(sampler.count(Moment::from_nanos(5)), Some(1));
    assert_eq!(sampler.count(Moment::from_nanos(6)), None);
}

#[test]
fn threads_in_a_hurry_account_for_each_one() {
    const THREADS: u64 = 4;
    const EACH: u64 = 50_000;
    let (sampler, start) = (Sampler::default(), Barrier::new(THREADS as usize));
    let told: Vec<u64> = thread::scope(|scope| {
        let count = || {
            start.wait();
            let moments = (0..EACH).map(|at| Moment::from_nanos(at * EVERY / 1_000));
            moments.filter_map(|at| sampler.count(at)).collect::<Vec<_>>()
        };
        let counting: Vec<_> = (0..THREADS).map(|_| scope.spawn(count)).collect();
        counting.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(told.len() as u64 <= EACH / 1_000 + 1, "{}", told.len());
    // One more, later than all of them, tells of the rest.
    let rest = sampler.count(Moment::from_nanos(EACH * EVERY)).unwrap();
    let accounted: u64 = told.iter().map(|unreported| unreported + 1).sum();
    assert_eq!(accounted + rest + 1, THREADS * EACH + 1);
}
