//! Each window against a list that keeps everything.

use std::time::Duration;

use proptest::prelude::*;

use super::{at, millis};
use crate::breaker::window::{Tally, Window};
use crate::breaker::{Config, Trip, Window as Over};
use crate::clock::Moment;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A share as two whole numbers, so that the list's answer is beyond doubt.
#[derive(Clone, Copy, Debug)]
struct Share {
    of: u64,
    out_of: u64,
}

impl Share {
    fn rate(self) -> f64 {
        self.of as f64 / self.out_of as f64
    }
    fn is_reached(self, tally: Tally, min_calls: u32) -> bool {
        tally.calls >= u64::from(min_calls) && tally.failures * self.out_of >= self.of * tally.calls
    }
}

fn shares() -> impl Strategy<Value = Share> {
    (1u64..=24).prop_flat_map(|out_of| (1..=out_of).prop_map(move |of| Share { of, out_of }))
}

fn tally(outcomes: impl IntoIterator<Item = bool>) -> Tally {
    outcomes.into_iter().fold(Tally::default(), |tally, failed| Tally {
        calls: tally.calls + 1,
        failures: tally.failures + u64::from(failed),
    })
}

fn by_rate(share: Share, min_calls: u32, window: Over) -> Window {
    let trip = Trip::Rate { failure_rate: share.rate(), min_calls, window };
    Window::new(trip, Moment::ZERO)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Record {
        failed: bool,
    },
    /// By a call that an earlier generation admitted.
    RecordLate {
        failed: bool,
    },
    Start,
    Advance(Duration),
    Rewind(Duration),
}

fn steps(length: Duration, most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        30 => any::<bool>().prop_map(|failed| Step::Record { failed }),
        2 => any::<bool>().prop_map(|failed| Step::RecordLate { failed }),
        1 => Just(Step::Start),
        6 => (0..length.as_nanos() as u64 / 4).prop_map(|n| Step::Advance(Duration::from_nanos(n))),
        2 => (0..length.as_nanos() as u64 * 3).prop_map(|n| Step::Advance(Duration::from_nanos(n))),
        1 => Just(Step::Advance(YEAR)),
        1 => (0..length.as_nanos() as u64).prop_map(|n| Step::Rewind(Duration::from_nanos(n))),
    ];
    prop::collection::vec(step, 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_last_n_calls_are_the_last_n_of_the_list(
        size in prop_oneof![1u32..=50, Just(100)],
        share in shares(),
        min_share in 0.0f64..=1.0,
        steps in steps(millis(10), 500),
    ) {
        let min_calls = ((f64::from(size) * min_share) as u32).max(1);
        let window = by_rate(share, min_calls, Over::Calls(size));
        let (mut list, mut generation) = (Vec::new(), 0);
        for step in steps {
            let failed = match step {
                Step::Record { failed } => failed,
                Step::RecordLate { failed } => {
                    prop_assert!(generation == 0 || !window.record(generation - 1, failed, Moment::ZERO));
                    continue;
                }
                Step::Start => {
                    generation += 1;
                    window.start(generation, Moment::ZERO);
                    list.clear();
                    continue;
                }
                Step::Advance(_) | Step::Rewind(_) => continue,
            };
            list.push(failed);
            let expected = tally(list.iter().rev().take(size as usize).copied());
            let trips = window.record(generation, failed, Moment::ZERO) && window.confirms();
            prop_assert_eq!(trips, share.is_reached(expected, min_calls));
            prop_assert_eq!(window.tally(), expected);
            let Window::Calls { window, .. } = &window else { unreachable!() };
            prop_assert_eq!(window.running(), expected.failures);
        }
    }

    #[test]
    fn the_last_stretch_of_time_is_ten_buckets_of_the_list(
        length in (10u64..5_000).prop_map(millis),
        share in shares(),
        min_calls in 1u32..20,
        steps in steps(millis(500), 300),
    ) {
        let window = by_rate(share, min_calls, Over::Time(length));
        let bucket_nanos = (length.as_nanos() as u64).div_ceil(10);
        let (mut list, mut generation) = (Vec::new(), 0);
        let mut now = Moment::ZERO;
        let mut current = 0;
        for step in steps {
            let failed = match step {
                Step::Record { failed } => failed,
                Step::RecordLate { failed } => {
                    prop_assert!(generation == 0 || !window.record(generation - 1, failed, now));
                    continue;
                }
                Step::Start => {
                    generation += 1;
                    window.start(generation, now);
                    current = current.max(now.as_nanos() / bucket_nanos);
                    list.clear();
                    continue;
                }
                Step::Advance(by) => { now = now + by; continue }
                Step::Rewind(by) => { now = now.before(by); continue }
            };
            current = current.max(now.as_nanos() / bucket_nanos);
            list.push((current, failed));
            let inside = list.iter().filter(|(bucket, _)| bucket + 10 > current);
            let expected = tally(inside.map(|(_, failed)| *failed));
            let trips = window.record(generation, failed, now) && window.confirms();
            prop_assert_eq!(trips, share.is_reached(expected, min_calls));
            prop_assert_eq!(window.tally(), expected);
        }
    }

    #[test]
    fn failures_in_a_row_are_the_end_of_the_list(
        failures in 1u32..8,
        steps in steps(millis(10), 200),
    ) {
        let window = Window::new(Trip::Consecutive { failures }, Moment::ZERO);
        let (mut list, mut generation) = (Vec::new(), 0);
        for step in steps {
            let failed = match step {
                Step::Record { failed } => failed,
                Step::RecordLate { failed } => {
                    prop_assert!(generation == 0 || !window.record(generation - 1, failed, Moment::ZERO));
                    continue;
                }
                Step::Start => {
                    generation += 1;
                    window.start(generation, Moment::ZERO);
                    list.clear();
                    continue;
                }
                Step::Advance(_) | Step::Rewind(_) => continue,
            };
            list.push(failed);
            let run = list.iter().rev().take_while(|failed| **failed).count() as u64;
            let trips = window.record(generation, failed, Moment::ZERO) && window.confirms();
            prop_assert_eq!(trips, run >= u64::from(failures));
            prop_assert_eq!(window.tally(), Tally { calls: run, failures: run });
        }
    }

    /// Every share of up to 1,000 calls, given as the double that a user would write.
    #[test]
    fn a_share_reaches_itself_and_one_failure_less_does_not(calls in 1u32..=1000, part in 0.0f64..1.0) {
        let of = (f64::from(calls) * part) as u64 + 1;
        let share = Share { of, out_of: u64::from(calls) };
        let window = by_rate(share, calls, Over::Calls(calls));
        for n in 0..u64::from(calls) {
            let failed = n < of - 1;
            prop_assert!(!window.record(0, failed, Moment::ZERO) || !window.confirms());
        }
        // The oldest outcome, a failure, or a success if there is none, makes room for a failure.
        for _ in 0..of {
            window.record(0, true, Moment::ZERO);
        }
        prop_assert_eq!(window.tally().failures, of);
        prop_assert!(window.confirms());
    }
}

#[test]
fn three_of_thirty_are_ten_percent() {
    let config = Config::builder().failure_rate(0.1).min_calls(30).window(Over::Calls(30));
    let window = Window::new(config.build().unwrap().trip(), Moment::ZERO);
    for n in 0..30 {
        let failed = n < 3;
        let trips = window.record(0, failed, Moment::ZERO) && window.confirms();
        assert_eq!(trips, n == 29, "only the thirtieth makes it thirty");
    }
}

#[test]
fn a_bucket_ten_buckets_old_is_out_of_the_window_however_late_its_writer() {
    let window = by_rate(Share { of: 1, out_of: 2 }, 2, Over::Time(millis(100)));
    assert!(!window.record(0, true, at(millis(5))));
    assert!(window.record(0, true, at(millis(99))), "nine buckets later it is still in");
    assert_eq!(window.tally(), Tally { calls: 2, failures: 2 });
    window.record(0, true, at(millis(100)));
    assert_eq!(window.tally(), Tally { calls: 2, failures: 2 }, "the first has left");
    // Told a time that is past, it counts now: the past is closed.
    window.record(0, true, at(millis(5)));
    assert_eq!(window.tally(), Tally { calls: 3, failures: 3 });
}

#[test]
fn the_largest_window_is_allocated_with_the_first_call_and_counts_to_its_end() {
    let size = crate::breaker::MAX_WINDOW_CALLS;
    let window = by_rate(Share { of: 1, out_of: 1 }, size, Over::Calls(size));
    assert_eq!(window.tally(), Tally::default());
    for _ in 0..size - 1 {
        assert!(!window.record(0, true, Moment::ZERO));
    }
    assert!(window.record(0, true, Moment::ZERO) && window.confirms());
}
