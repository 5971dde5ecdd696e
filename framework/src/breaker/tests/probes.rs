//! Each probe's place and life, what a reload leaves of them, and what else could not be seen or was taken
//! for something that it was not.

use std::time::Duration;

use super::{at, millis, secs};
use crate::breaker::{
    Builder, CircuitBreaker, Config, HalfOpenMode, Leave, MAX_OPEN_FOR, NotAdmitted,
};
use crate::clock::Moment;
use crate::event::State;
use crate::outcome::{AttemptEnd, Outcome};

/// Half-open since second 30 by its own settings, or as soon as it is asked.
fn half_open(builder: Builder) -> CircuitBreaker {
    let breaker = CircuitBreaker::new(builder.build().unwrap(), Moment::ZERO);
    while breaker.state() == State::Closed {
        let call = breaker.let_in(Moment::ZERO, &mut None).unwrap();
        breaker.note(call, Outcome::Failure, Moment::ZERO);
    }
    breaker
}

fn places(calls: u32) -> Builder {
    let builder = Config::builder().failures(1).first_open_for(secs(30));
    builder.half_open_calls(calls).probe_life(secs(10))
}

/// A probe that is let out at this second.
fn probe(breaker: &CircuitBreaker, second: u64) -> Leave {
    let probe = breaker.let_in(at(secs(second)), &mut None).unwrap();
    assert!(probe.is_probe());
    probe
}

fn is_full(breaker: &CircuitBreaker, now: Moment) -> bool {
    let refused = Err(NotAdmitted { retry_after: None });
    let checked = breaker.check(now);
    assert!(checked.is_ok() || checked == refused);
    checked == refused
}

#[test]
fn a_hung_probes_place_comes_back_while_others_come_and_go() {
    let breaker = half_open(places(2));
    let _hung = probe(&breaker, 30);
    for second in 31..3_600 {
        let other = probe(&breaker, second);
        assert_eq!(is_full(&breaker, at(secs(second))), second < 40, "second {second}");
        breaker.note(other, Outcome::Ignored, at(secs(second)));
        assert_eq!(breaker.report(Moment::ZERO).probes, u32::from(second < 40));
    }
    assert_eq!(breaker.report(Moment::ZERO).stale_results, 0);
}

#[test]
fn a_place_that_comes_back_is_none_where_others_have_taken_all_that_there_are_now() {
    let breaker = half_open(places(2));
    let (_hung, _other) = (probe(&breaker, 30), probe(&breaker, 35));
    breaker.reconfigure(places(1).build().unwrap(), at(secs(36)));
    assert!(is_full(&breaker, at(secs(41))), "one has outlived its life, and the other is out");
    assert!(!is_full(&breaker, at(secs(45))));
}

#[test]
fn every_life_is_its_own() {
    let breaker = half_open(places(3));
    let probes = [30, 34, 38].map(|second| probe(&breaker, second));
    for (end, left) in [(40, 2), (44, 1), (48, 0)] {
        let just_before = at(secs(end) - millis(1));
        assert_eq!(breaker.poll(just_before), (None, Some(at(secs(end)))));
        assert_eq!(breaker.report(Moment::ZERO).probes, left + 1);
        assert_eq!(is_full(&breaker, just_before), left == 2);
        let next = (left > 0).then_some(at(secs(end + 4)));
        assert_eq!(breaker.poll(at(secs(end))), (None, next));
        assert_eq!(breaker.report(Moment::ZERO).probes, left);
    }
    for probe in probes {
        assert_eq!(breaker.note(probe, Outcome::Failure, at(secs(48))), None);
    }
    let report = breaker.report(Moment::ZERO);
    assert_eq!((report.state, report.stale_results), (State::HalfOpen, 3));
}

#[test]
fn an_answer_past_its_life_changes_nothing_though_there_are_places_free() {
    for outcome in [Outcome::Failure, Outcome::Success, Outcome::Ignored, Outcome::TimedOut] {
        let breaker = half_open(places(5).success_threshold(1));
        let late = probe(&breaker, 30);
        let generation = breaker.report(Moment::ZERO).generation;
        let attempt_end = AttemptEnd { outcome, slow: false, retry_after: Some(secs(9_999)) };
        assert_eq!(breaker.note(late, attempt_end, at(secs(40))), None, "{outcome:?}");
        let report = breaker.report(Moment::ZERO);
        assert_eq!((report.state, report.generation), (State::HalfOpen, generation));
        assert_eq!((report.probes, report.stale_results), (0, 1));
        // Nor does it decide for how long it is open next.
        breaker.note(probe(&breaker, 40), Outcome::Failure, at(secs(40)));
        let refused = breaker.check(at(secs(40)));
        assert_eq!(refused, Err(NotAdmitted { retry_after: Some(secs(30)) }));
    }
    let breaker = half_open(places(5).success_threshold(1));
    let in_time = probe(&breaker, 30);
    assert!(breaker.note(in_time, Outcome::Success, at(secs(40) - millis(1))).is_some());
}

#[test]
fn an_admission_that_is_recorded_twice_counts_once() {
    let breaker = half_open(places(2));
    let (first, _second) = (probe(&breaker, 30), probe(&breaker, 30));
    for _ in 0..10 {
        assert_eq!(breaker.note(first, Outcome::Success, at(secs(30))), None);
        assert_eq!(breaker.report(Moment::ZERO).probes, 1, "the other one has its place");
    }
    assert_eq!(breaker.report(Moment::ZERO).stale_results, 9);
    assert_eq!(breaker.state(), State::HalfOpen, "one success of two");
}

#[test]
fn a_late_answer_is_stale_even_if_it_says_nothing() {
    let breaker = CircuitBreaker::new(Config::default(), Moment::ZERO);
    let calls = [(); 4].map(|()| breaker.let_in(Moment::ZERO, &mut None).unwrap());
    breaker.note(calls[3], Outcome::Ignored, Moment::ZERO);
    assert_eq!(breaker.report(Moment::ZERO).stale_results, 0);
    breaker.reset(Moment::ZERO);
    let late = [Outcome::Ignored, Outcome::Cancelled, Outcome::Success];
    for (call, outcome) in calls.into_iter().zip(late) {
        breaker.note(call, outcome, Moment::ZERO);
    }
    assert_eq!(breaker.report(Moment::ZERO).stale_results, 3);
}

#[test]
fn a_reload_leaves_probes_and_their_answers_alone() {
    let breaker = half_open(places(1));
    breaker.note(probe(&breaker, 30), Outcome::Success, at(secs(30)));
    let out = probe(&breaker, 30);
    let generation = breaker.report(Moment::ZERO).generation;
    for open_for in 31..41 {
        let other = places(1).open_for(secs(open_for)).build().unwrap();
        assert_eq!(breaker.reconfigure(other, at(secs(31))), None);
        assert!(is_full(&breaker, at(secs(31))), "one is out, and one it may be");
    }
    let report = breaker.report(Moment::ZERO);
    assert_eq!((report.probes, report.generation), (1, generation));
    let moved = breaker.note(out, Outcome::Success, at(secs(32)));
    assert_eq!(moved.map(|moved| moved.to), Some(State::Closed), "the second success of two");
}

#[test]
fn fewer_places_are_taken_first_by_those_that_are_out() {
    let breaker = half_open(places(3));
    let now = at(secs(30));
    let out = [(); 3].map(|()| probe(&breaker, 30));
    breaker.reconfigure(places(2).build().unwrap(), now);
    breaker.note(out[0], Outcome::Ignored, now);
    assert!(is_full(&breaker, now), "two are out");
    breaker.note(out[1], Outcome::Ignored, now);
    assert!(!is_full(&breaker, now));
    breaker.reconfigure(places(500).build().unwrap(), now);
    let more = (0..1_000).filter(|_| breaker.let_in(now, &mut None).is_ok()).count();
    assert_eq!((more, breaker.report(Moment::ZERO).probes), (499, 500));
    // A shorter life is theirs too.
    breaker.reconfigure(places(500).probe_life(secs(1)).build().unwrap(), at(secs(31)));
    assert!(!is_full(&breaker, at(secs(31))));
}

#[test]
fn judged_in_another_way_it_hears_other_probes_and_is_not_stuck() {
    let by_rate = |calls, mode| {
        let config = Config::builder().failure_rate(0.5).min_calls(1).open_for(secs(30));
        config.half_open_calls(calls).half_open(mode)
    };
    let modes = [HalfOpenMode::FirstFailure, HalfOpenMode::AllProbes, HalfOpenMode::Early];
    for (from, to) in modes.into_iter().flat_map(|from| modes.map(|to| (from, to))) {
        let breaker = half_open(by_rate(9, from));
        let now = at(secs(30));
        let _hung = probe(&breaker, 30);
        breaker.note(probe(&breaker, 30), Outcome::Success, now);
        if from != HalfOpenMode::FirstFailure {
            breaker.note(probe(&breaker, 30), Outcome::Failure, now);
        }
        breaker.reconfigure(by_rate(2, to).build().unwrap(), now);
        assert_eq!((breaker.state(), breaker.report(Moment::ZERO).probes), (State::HalfOpen, 1));
        breaker.note(probe(&breaker, 30), Outcome::Success, now);
        assert_eq!(breaker.state(), State::HalfOpen, "one of two: {from:?} {to:?}");
        // By rate the hung one is the other of the two, until its life is over.
        let later = at(secs(60));
        breaker.note(probe(&breaker, 60), Outcome::Success, later);
        assert_eq!(breaker.state(), State::Closed, "{from:?} {to:?}");
    }
}

#[test]
fn a_clock_that_is_a_little_behind_does_not_end_the_longest_opening() {
    let config = Config::builder().failures(1).max_open_for(MAX_OPEN_FOR);
    let breaker = CircuitBreaker::new(config.build().unwrap(), Moment::ZERO);
    let opened = at(secs(1_000_000));
    let call = breaker.let_in(opened, &mut None).unwrap();
    let retry_after = Some(Duration::MAX);
    breaker.note(call, AttemptEnd { retry_after, ..Outcome::Failure.into() }, opened);
    for behind in [millis(0), millis(3), millis(5), secs(60), secs(3_600)] {
        let now = at(secs(1_000_000) - behind);
        let refused = NotAdmitted { retry_after: Some(MAX_OPEN_FOR + behind) };
        assert_eq!(breaker.let_in(now, &mut None), Err(refused));
    }
    assert_eq!(breaker.state(), State::Open);
    assert!(breaker.let_in(opened + MAX_OPEN_FOR, &mut None).is_ok());
}

#[test]
fn a_slow_start_shows() {
    let ramped = places(1).success_threshold(1).ramp(0.1, secs(10));
    let breaker = half_open(ramped);
    let says = |second| (breaker.report(Moment::ZERO).ramping, breaker.ramp(at(secs(second))));
    assert_eq!(says(0), (false, Some(1.0)));
    breaker.note(probe(&breaker, 30), Outcome::Success, at(secs(30)));
    let share = |second| match says(second) {
        (true, Some(share)) => (share * 100.0).round() as u32,
        other => panic!("{other:?}"),
    };
    assert_eq!([share(30), share(35), share(39)], [10, 55, 91]);
    assert_eq!(breaker.report(Moment::ZERO).state, State::Closed);
    breaker.poll(at(secs(40)));
    assert_eq!(says(40), (false, Some(1.0)));
    assert_eq!(half_open(places(1)).ramp(at(secs(1))), None, "it has none");
}
