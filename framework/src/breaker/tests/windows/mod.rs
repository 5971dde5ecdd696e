//! Each window against a list that keeps everything: by itself here, in its breaker in `whole`.

mod whole;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{at, millis};
use crate::breaker::window::{Alone, LOOKED_AT, Mark, OnlyWindow, Suspicion, Tally};
use crate::breaker::{Config, Rates, Trip, Window as Over, adaptive};
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
    fn is_reached(self, bad: u64, calls: u64) -> bool {
        bad * self.out_of >= self.of * calls
    }
}

fn shares() -> impl Strategy<Value = Share> {
    (1u64..=24).prop_flat_map(|out_of| (1..=out_of).prop_map(move |of| Share { of, out_of }))
}

/// What opens a breaker, as the list understands it.
#[derive(Clone, Copy, Debug)]
struct Rule {
    failures: Option<Share>,
    slow: Option<Share>,
    min_calls: u32,
}

impl Rule {
    fn is_reached(self, tally: Tally) -> bool {
        let reached = |share: Option<Share>, bad| {
            share.is_some_and(|share| share.is_reached(bad, tally.calls))
        };
        tally.calls >= u64::from(self.min_calls)
            && (reached(self.failures, tally.failures) || reached(self.slow, tally.slow))
    }

    fn over(self, calls: Option<u32>, time: Option<Duration>) -> Rates {
        Rates {
            failure_rate: self.failures.map(Share::rate),
            slow_call_rate: self.slow.map(Share::rate),
            min_calls: self.min_calls,
            max_failures: None,
            calls,
            time,
        }
    }

    fn window(self, calls: Option<u32>, time: Option<Duration>) -> Alone {
        let trip = Trip {
            failures_grow: false,
            failures_within: None,
            unanswered: None,
            failures: None,
            rates: Some(self.over(calls, time)),
            adaptive: None,
        };
        Alone::new(&trip, Moment::ZERO)
    }
}

fn rules(min_calls: impl Strategy<Value = u32>) -> impl Strategy<Value = Rule> {
    let shares = prop_oneof![
        shares().prop_map(|share| (Some(share), None)),
        shares().prop_map(|share| (None, Some(share))),
        (shares(), shares()).prop_map(|(failures, slow)| (Some(failures), Some(slow))),
    ];
    (shares, min_calls).prop_map(|((failures, slow), min_calls)| Rule { failures, slow, min_calls })
}

fn tally(marks: impl IntoIterator<Item = Mark>) -> Tally {
    marks.into_iter().fold(Tally::default(), |tally, mark| Tally {
        calls: tally.calls + 1,
        failures: tally.failures + u64::from(mark.failed),
        slow: tally.slow + u64::from(mark.slow),
    })
}

fn by_rate(share: Share, min_calls: u32, window: Over) -> Alone {
    let rule = Rule { failures: Some(share), slow: None, min_calls };
    match window {
        Over::Calls(calls) => rule.window(Some(calls), None),
        Over::Time(time) => rule.window(None, Some(time)),
    }
}

const FINE: Mark = Mark { failed: false, slow: false, timed_out: false };
const FAILED: Mark = Mark { failed: true, slow: false, timed_out: false };

fn trips(window: &Alone, generation: u32, mark: Mark, now: Moment) -> bool {
    window
        .record(generation, mark, now)
        .is_some_and(|suspicion| window.confirm(suspicion, now).is_some())
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Record(Mark),
    /// By a call that an earlier generation admitted.
    RecordLate(Mark),
    Start,
    Advance(Duration),
    Rewind(Duration),
}

fn steps(length: Duration, most: usize) -> impl Strategy<Value = Vec<Step>> {
    let mark = || {
        (any::<bool>(), any::<bool>()).prop_map(|(failed, slow)| Mark {
            failed,
            slow,
            timed_out: false,
        })
    };
    let step = prop_oneof![
        30 => mark().prop_map(Step::Record),
        2 => mark().prop_map(Step::RecordLate),
        1 => Just(Step::Start),
        6 => (0..length.as_nanos() as u64 / 4).prop_map(|n| Step::Advance(Duration::from_nanos(n))),
        2 => (0..length.as_nanos() as u64 * 3).prop_map(|n| Step::Advance(Duration::from_nanos(n))),
        1 => Just(Step::Advance(YEAR)),
        1 => (0..length.as_nanos() as u64).prop_map(|n| Step::Rewind(Duration::from_nanos(n))),
    ];
    prop::collection::vec(step, 0..most)
}

/// Every outcome of this generation, each in the bucket of its time.
#[derive(Default)]
struct List {
    marks: Vec<(u64, Mark)>,
    generation: u32,
    now: Moment,
    bucket: u64,
    bucket_nanos: u64,
}

impl List {
    fn new(time: Duration) -> Self {
        Self { bucket_nanos: (time.as_nanos() as u64).div_ceil(10).max(1), ..Self::default() }
    }

    /// Takes a step, and has the window take it. The outcome that counts, if it is one.
    fn step(&mut self, step: Step, window: &Alone) -> Option<Mark> {
        match step {
            Step::Record(mark) => {
                self.look();
                self.marks.push((self.bucket, mark));
                return Some(mark);
            }
            Step::RecordLate(mark) if self.generation > 0 => {
                assert_eq!(window.record(self.generation - 1, mark, self.now), None);
            }
            Step::RecordLate(_) => {}
            Step::Start => {
                self.generation += 1;
                window.start(self.generation, self.now);
                self.look();
                self.marks.clear();
            }
            Step::Advance(by) => self.now = self.now + by,
            Step::Rewind(by) => self.now = self.now.before(by),
        }
        None
    }

    fn look(&mut self) {
        self.bucket = self.bucket.max(self.now.as_nanos() / self.bucket_nanos);
    }

    fn last(&self, calls: u32) -> Tally {
        tally(self.marks.iter().rev().take(calls as usize).map(|(_, mark)| *mark))
    }

    fn latest(&self) -> Tally {
        let inside = self.marks.iter().filter(|(bucket, _)| bucket + 10 > self.bucket);
        tally(inside.map(|(_, mark)| *mark))
    }

    fn run(&self) -> u64 {
        self.marks.iter().rev().take_while(|(_, mark)| mark.failed).count() as u64
    }
}

proptest! {
    // Ten thousand more of each in `whole`.
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_last_n_calls_are_the_last_n_of_the_list(
        (size, rule) in prop_oneof![1u32..=50, Just(100)].prop_flat_map(|size| (Just(size), rules(1..=size))),
        steps in steps(millis(10), 100),
    ) {
        let window = rule.window(Some(size), None);
        let mut list = List::new(YEAR);
        for step in steps {
            let Some(mark) = list.step(step, &window) else { continue };
            let trips = trips(&window, list.generation, mark, list.now);
            let expected = list.last(size);
            prop_assert_eq!(trips, rule.is_reached(expected));
            prop_assert_eq!(window.tally(Moment::ZERO), expected);
            let running = window.calls().unwrap().running();
            prop_assert_eq!(running, (expected.failures, expected.slow));
        }
    }

    #[test]
    fn the_last_stretch_of_time_is_ten_buckets_of_the_list(
        length in (10u64..5_000).prop_map(millis),
        rule in rules(1u32..20),
        steps in steps(millis(500), 100),
    ) {
        let window = rule.window(None, Some(length));
        let mut list = List::new(length);
        for step in steps {
            let Some(mark) = list.step(step, &window) else { continue };
            let trips = trips(&window, list.generation, mark, list.now);
            prop_assert_eq!(trips, rule.is_reached(list.latest()));
            prop_assert_eq!(window.tally(Moment::ZERO), list.latest());
        }
    }

    #[test]
    fn failures_in_a_row_are_the_end_of_the_list(
        failures in 1u32..8,
        steps in steps(millis(10), 100),
    ) {
        let window = Alone::new(&Trip { failures_within: None, unanswered: None, failures_grow: false, failures: Some(failures), rates: None, adaptive: None }, Moment::ZERO);
        let mut list = List::new(YEAR);
        for step in steps {
            let Some(mark) = list.step(step, &window) else { continue };
            let trips = trips(&window, list.generation, mark, list.now);
            prop_assert_eq!(trips, list.run() >= u64::from(failures));
            prop_assert_eq!(window.run(Moment::ZERO), list.run());
        }
    }

    #[test]
    fn all_of_them_together_are_any_of_them(
        failures in 1u32..8,
        rule in rules(1u32..10),
        size in 10u32..30,
        length in (10u64..5_000).prop_map(millis),
        steps in steps(millis(500), 100),
    ) {
        let rates = Some(rule.over(Some(size), Some(length)));
        let window = Alone::new(&Trip { failures_within: None, unanswered: None, failures_grow: false, failures: Some(failures), rates, adaptive: None }, Moment::ZERO);
        let mut list = List::new(length);
        for step in steps {
            let Some(mark) = list.step(step, &window) else { continue };
            let trips = trips(&window, list.generation, mark, list.now);
            let expected = list.run() >= u64::from(failures)
                || rule.is_reached(list.last(size))
                || rule.is_reached(list.latest());
            prop_assert_eq!(trips, expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Every share of up to 1,000 calls, given as the double that a user would write.
    #[test]
    fn a_share_reaches_itself_and_one_failure_less_does_not(calls in 1u32..=1000, part in 0.0f64..1.0) {
        let of = (f64::from(calls) * part) as u64 + 1;
        let share = Share { of, out_of: u64::from(calls) };
        let window = by_rate(share, calls, Over::Calls(calls));
        for n in 0..u64::from(calls) {
            let failed = n < of - 1;
            let mark = Mark { failed, slow: false, timed_out: false };
            prop_assert!(!trips(&window, 0, mark, Moment::ZERO));
        }
        // The oldest outcome, a failure, or a success if there is none, makes room for a failure.
        for _ in 0..of {
            window.record(0, FAILED, Moment::ZERO);
        }
        prop_assert_eq!(window.tally(Moment::ZERO).failures, of);
        prop_assert!(window.confirm(Suspicion::Rates, Moment::ZERO).is_some());
    }
}

#[test]
fn three_of_thirty_are_ten_percent() {
    let config = Config::builder().failure_rate(0.1).min_calls(30).window(Over::Calls(30));
    let window = Alone::new(&config.build().unwrap().trip(), Moment::ZERO);
    for n in 0..30 {
        let failed = n < 3;
        let trips = trips(&window, 0, Mark { failed, slow: false, timed_out: false }, Moment::ZERO);
        assert_eq!(trips, n == 29, "only the thirtieth makes it thirty");
    }
}

#[test]
fn a_bucket_ten_buckets_old_is_out_of_the_window_however_late_its_writer() {
    let window = by_rate(Share { of: 1, out_of: 2 }, 2, Over::Time(millis(100)));
    assert!(!trips(&window, 0, FAILED, at(millis(5))));
    assert!(trips(&window, 0, FAILED, at(millis(99))), "nine buckets later it is still in");
    let of = |calls| Tally { calls, failures: calls, slow: 0 };
    assert_eq!(window.tally(Moment::ZERO), of(2));
    window.record(0, FAILED, at(millis(100)));
    assert_eq!(window.tally(Moment::ZERO), of(2), "the first has left");
    // Told a time that is past, it counts now: the past is closed.
    window.record(0, FAILED, at(millis(5)));
    assert_eq!(window.tally(Moment::ZERO), of(3));
}

#[test]
fn the_largest_window_counts_to_its_end() {
    let size = crate::breaker::MAX_WINDOW_CALLS;
    let rule = Rule {
        failures: Some(Share { of: 1, out_of: 1 }),
        slow: Some(Share { of: 1, out_of: 1 }),
        min_calls: size,
    };
    let window = rule.window(Some(size), None);
    assert_eq!(window.tally(Moment::ZERO), Tally::default());
    for n in 0..size - 1 {
        let mark = Mark { failed: n != 0, slow: true, timed_out: false };
        assert!(!trips(&window, 0, mark, Moment::ZERO));
    }
    assert!(
        trips(&window, 0, Mark { failed: true, slow: true, timed_out: false }, Moment::ZERO),
        "all of them slow"
    );
    let size = u64::from(size);
    assert_eq!(window.calls().unwrap().running(), (size - 1, size));
}

/// What users of another breaker saw: every call looks at every record of the window.
#[test]
fn a_call_looks_at_no_more_of_a_window_of_a_million_than_of_one_of_ten() {
    let looks = |size: u32| {
        let rule = Rule { failures: Some(Share { of: 1, out_of: 1 }), slow: None, min_calls: 1 };
        let window = rule.window(Some(size), None);
        assert!(!trips(&window, 0, FINE, Moment::ZERO));
        let mut most = 0;
        for n in 0..3 * u64::from(size) {
            let before = LOOKED_AT.get();
            let mark = Mark { failed: n % 2 == 0, slow: false, timed_out: false };
            assert_eq!(window.record(0, mark, Moment::ZERO), None);
            most = most.max(LOOKED_AT.get() - before);
        }
        most
    };
    // Its own place, and that of the call that has just left the window.
    assert_eq!([10, 1_000, 1_000_000].map(looks), [2; 3]);
}

/// A success that ends on the settings of before, while they are replaced.
#[test]
fn a_success_in_the_middle_of_a_reload_ends_a_run_of_failures() {
    let trip = Trip {
        failures_within: None,
        unanswered: None,
        failures_grow: false,
        failures: Some(2),
        rates: None,
        adaptive: None,
    };
    let before = Alone::new(&trip, Moment::ZERO);
    assert!(!trips(&before, 0, FAILED, Moment::ZERO));
    let after = before.reloaded(None, &trip);
    assert_eq!(after.run(Moment::ZERO), 1, "what was counted counts");
    before.record(0, FINE, Moment::ZERO);
    assert_eq!(after.run(Moment::ZERO), 0);
    assert!(!trips(&after, 0, FAILED, Moment::ZERO), "failure, success, failure");
    // And so with a failure.
    assert!(trips(&before, 0, FAILED, Moment::ZERO));
}

#[test]
fn a_reload_makes_no_window_of_calls_if_there_is_one_of_the_size() {
    let share = Share { of: 1, out_of: 2 };
    let trip = |calls: Option<u32>| Trip {
        failures_grow: false,
        failures_within: None,
        unanswered: None,
        failures: None,
        rates: Some(Rule { failures: Some(share), slow: None, min_calls: 1 }.over(calls, None)),
        adaptive: None,
    };
    let window = Alone::new(&trip(Some(10)), Moment::ZERO);
    window.record(0, FINE, Moment::ZERO);
    let ring_for = |calls| window.window.ring_for(&trip(calls));
    assert!(ring_for(Some(10)).is_none() && ring_for(None).is_none());
    // Made before, or not, because another reload was faster: it is as large as it should be.
    let eleven = Alone::new(&trip(Some(11)), Moment::ZERO);
    for made in [Some(20), Some(10), None] {
        let next = |calls| window.reloaded(eleven.window.ring_for(&trip(made)), &trip(calls));
        let size = |calls| next(calls).window.ring().map(|it| it.size());
        assert_eq!([Some(10), Some(20), None].map(size), [Some(10), Some(20), None]);
        let counted = [Some(10), Some(20)].map(|calls| next(calls).tally(Moment::ZERO).calls);
        assert_eq!(counted, [1, 0]);
    }
}

/// A good call goes the short way by that.
#[test]
fn a_window_that_is_alone_is_known_as_such_over_a_reload_too() {
    let adaptive = adaptive::Config::default();
    let memory = Arc::new(adaptive::Memory::new(adaptive));
    let trip = |calls: Option<u32>, time: Option<u64>, is_adaptive: bool| Trip {
        failures_grow: false,
        failures_within: None,
        unanswered: None,
        failures: None,
        rates: calls.or(time.map(|_| 0)).map(|_| {
            let rule =
                Rule { failures: Some(Share { of: 1, out_of: 1 }), slow: None, min_calls: 1 };
            rule.over(calls, time.map(millis))
        }),
        adaptive: is_adaptive.then_some(adaptive),
    };
    for (trip, only) in [
        (trip(Some(10), None, false), OnlyWindow::Calls),
        (trip(None, Some(10), false), OnlyWindow::Timed),
        (trip(None, None, true), OnlyWindow::Adaptive),
        (trip(None, None, false), OnlyWindow::Absent),
        (trip(Some(10), Some(10), false), OnlyWindow::Several),
        (trip(Some(10), None, true), OnlyWindow::Several),
    ] {
        let window = Alone::remembering(&trip, Some(Arc::clone(&memory)), Moment::ZERO);
        assert_eq!(window.window.only, only);
        assert_eq!(window.reloaded(None, &trip).window.only, only);
    }
}

/// A writer that holds the old one goes on in that, and does not disturb the new one.
#[test]
fn a_window_of_another_size_has_counts_of_its_own() {
    let rule = Rule { failures: Some(Share { of: 1, out_of: 1 }), slow: None, min_calls: 9 };
    let trip = |calls| Trip {
        failures_grow: false,
        failures_within: None,
        unanswered: None,
        failures: None,
        rates: Some(rule.over(Some(calls), None)),
        adaptive: None,
    };
    let first = Alone::new(&trip(10), Moment::ZERO);
    first.record(0, FAILED, Moment::ZERO);
    let second = first.reloaded(None, &trip(20));
    assert_eq!(second.calls().unwrap().running(), (0, 0));
    second.record(0, FINE, Moment::ZERO);
    first.record(0, FAILED, Moment::ZERO);
    let third = second.reloaded(None, &trip(30));
    second.record(0, FAILED, Moment::ZERO);
    third.record(0, FAILED, Moment::ZERO);
    let counted =
        [&first, &second, &third].map(|it| (it.tally(Moment::ZERO), it.calls().unwrap().running()));
    let of = |calls, failures| (Tally { calls, failures, slow: 0 }, (failures, 0));
    assert_eq!(counted, [of(2, 2), of(2, 1), of(1, 1)]);
}

#[test]
fn failures_bounded_by_time_are_kept_where_the_same_bound_stays() {
    let trip = |failures| Trip {
        failures_grow: false,
        failures_within: Some(millis(1_000)),
        unanswered: None,
        failures: Some(failures),
        rates: None,
        adaptive: None,
    };
    let first = Alone::new(&trip(3), Moment::ZERO);
    (0..2).for_each(|_| assert!(!trips(&first, 0, FAILED, Moment::ZERO)));
    let second = first.reloaded(None, &trip(3));
    assert_eq!(second.run(Moment::ZERO), 2);
    assert!(trips(&second, 0, FAILED, at(millis(999))));
    // More of them would have to be remembered: it begins anew.
    let third = second.reloaded(None, &trip(4));
    assert_eq!((second.run(Moment::ZERO), third.run(Moment::ZERO)), (0, 0));
}

/// What counted by other rules does not count by these.
#[test]
fn runs_begin_anew_where_other_settings_count_otherwise() {
    let trip = |within: Option<u64>| Trip {
        failures_grow: false,
        failures_within: within.map(millis),
        unanswered: None,
        failures: Some(3),
        rates: None,
        adaptive: None,
    };
    let first = Alone::new(&trip(None), Moment::ZERO);
    (0..2).for_each(|_| assert!(!trips(&first, 0, FAILED, Moment::ZERO)));
    let second = first.reloaded(None, &trip(Some(1_000)));
    assert_eq!(second.run(Moment::ZERO), 0);
    // Late, and by the old settings.
    assert!(!trips(&first, 0, FAILED, Moment::ZERO));
    (0..2).for_each(|_| assert!(!trips(&second, 0, FAILED, Moment::ZERO)));
    assert_eq!(second.run(Moment::ZERO), 2);
    assert!(trips(&second, 0, FAILED, Moment::ZERO));
}

/// What users of other breakers saw: their windows never slide.
#[test]
fn a_million_successes_do_not_have_to_be_outweighed() {
    let config = Config::builder().without_failures().failure_rate(0.5).min_calls(10);
    for (window, needed) in [(Over::Calls(100), 50), (Over::Time(millis(1_000)), 1_000)] {
        let config = config.clone().window(window).build().unwrap();
        let window = Alone::new(&config.trip(), Moment::ZERO);
        // A thousand calls a second.
        let mut list = List::new(millis(1_000));
        for n in 0..1_000_000 {
            list.now = at(millis(n));
            assert_eq!(window.record(0, FINE, list.now), None);
            if n >= 998_000 {
                list.step(Step::Record(FINE), &window);
            }
        }
        let mut failures = 0;
        loop {
            failures += 1;
            list.now = list.now + millis(1);
            list.step(Step::Record(FAILED), &window);
            let by_list = if needed == 50 { list.last(100) } else { list.latest() };
            let tripped = trips(&window, 0, FAILED, list.now);
            assert_eq!(tripped, by_list.failures * 2 >= by_list.calls, "{failures}");
            if tripped {
                break;
            }
        }
        assert!(failures <= needed, "{failures}");
    }
}
