//! Why a breaker moves, in numbers.

use super::{at, secs};
use crate::breaker::{CircuitBreaker, Config, Window};
use crate::clock::Moment;
use crate::event::{Cause, Command, State, Transition};
use crate::outcome::{AttemptEnd, Outcome};

const NOW: Moment = Moment::ZERO;

fn breaker(builder: crate::breaker::Builder) -> CircuitBreaker {
    CircuitBreaker::new(builder.build().unwrap(), NOW)
}

/// Records these ends until one makes the breaker move.
fn moved(
    breaker: &CircuitBreaker,
    ends: impl IntoIterator<Item = AttemptEnd>,
    now: Moment,
) -> Transition {
    let mut ends = ends.into_iter();
    ends.find_map(|end| breaker.record(breaker.admit(now).0.unwrap(), end, now)).unwrap()
}

fn times(count: usize, outcome: Outcome) -> impl Iterator<Item = AttemptEnd> {
    std::iter::repeat_n(outcome.into(), count)
}

#[test]
fn a_run_of_failures_tells_how_long_it_was_how_the_last_one_ended_and_for_how_long_it_opens() {
    let breaker = breaker(Config::builder().failures(3).first_open_for(secs(2)));
    let ends = times(2, Outcome::Failure).chain(times(1, Outcome::TimedOut));
    let opened = moved(&breaker, ends, NOW);
    assert_eq!(opened.cause, Cause::Failures { failures: 3, needed: 3 });
    assert_eq!(opened.last_failure, Some(Outcome::TimedOut));
    assert_eq!(opened.open_for, Some(secs(2)));
    let report = breaker.report(NOW);
    assert_eq!((report.openings[0], report.openings.iter().sum::<u64>()), (1, 1));
}

#[test]
fn each_criterion_is_told_from_the_others() {
    let rates = || Config::builder().without_failures().min_calls(4).window(Window::Calls(10));
    let good = times(3, Outcome::Success);
    let opened =
        moved(&breaker(rates().failure_rate(0.5)), good.chain(times(3, Outcome::Panicked)), NOW);
    assert_eq!(opened.cause, Cause::FailureRate { failures: 3, calls: 6, threshold: 0.5 });
    assert_eq!(opened.last_failure, Some(Outcome::Panicked));

    let slow = AttemptEnd { outcome: Outcome::Success, slow: true, retry_after: None };
    let by_slow = breaker(rates().slow_call(secs(1)).slow_call_rate(0.25));
    let opened = moved(&by_slow, times(3, Outcome::Success).chain([slow]), NOW);
    assert_eq!(opened.cause, Cause::SlowCallRate { slow: 1, calls: 4, threshold: 0.25 });
    assert_eq!(opened.last_failure, None);

    let by_count = breaker(Config::builder().max_failures(2).window(Window::Calls(10)));
    let ends = times(5, Outcome::Success).chain(times(2, Outcome::Failure));
    let opened = moved(&by_count, ends, NOW);
    assert_eq!(opened.cause, Cause::MaxFailures { failures: 2, calls: 7, needed: 2 });

    // Too few calls for a rate, however many of them are slow.
    let by_count = breaker(rates().max_failures(2).slow_call(secs(1)).slow_call_rate(0.25));
    let ends = [slow].into_iter().chain(times(2, Outcome::Failure));
    let opened = moved(&by_count, ends, NOW);
    assert_eq!(opened.cause, Cause::MaxFailures { failures: 2, calls: 3, needed: 2 });

    let silent = breaker(Config::builder());
    (0..3).for_each(|_| _ = silent.record(silent.admit(NOW).0.unwrap(), Outcome::Cancelled, NOW));
    assert_eq!(silent.report(NOW).unanswered, 3);
    let silent = breaker(Config::builder());
    let opened = moved(&silent, times(20, Outcome::Cancelled), NOW);
    assert_eq!(opened.cause, Cause::Unanswered { attempts: 10, needed: 10 });
    assert_eq!(opened.last_failure, Some(Outcome::Cancelled));
}

#[test]
fn a_good_answer_from_before_it_opened_is_stale_by_the_short_way_too() {
    for builder in [
        Config::builder().failures(1),
        Config::builder().without_failures().failure_rate(0.5).min_calls(1),
        Config::builder()
            .without_failures()
            .failure_rate(0.5)
            .min_calls(1)
            .window(Window::Time(secs(30))),
    ] {
        let breaker = breaker(builder);
        let early = breaker.let_in(NOW, &mut None).unwrap();
        moved(&breaker, times(1, Outcome::Failure), NOW);
        assert_eq!(breaker.record_good(early, NOW), None);
        assert_eq!((breaker.report(NOW).stale_results, breaker.state()), (1, State::Open));
    }
}

#[test]
fn slow_calls_are_counted_where_they_count() {
    let rates = || Config::builder().failure_rate(0.5).slow_call(secs(1));
    let slow = AttemptEnd { outcome: Outcome::Success, slow: true, retry_after: None };
    for (builder, counted) in [(rates(), 0), (rates().slow_call_rate(0.9), 1)] {
        let breaker = breaker(builder);
        assert_eq!(breaker.record(breaker.admit(NOW).0.unwrap(), slow, NOW), None);
        let report = breaker.report(NOW);
        assert_eq!((report.window_calls, report.window_slow), (1, counted));
    }
}

#[test]
fn an_adaptive_breaker_tells_the_threshold_of_the_hour() {
    let adaptive = crate::breaker::adaptive::Config::builder().max(0.6).build().unwrap();
    let breaker = breaker(Config::builder().adaptive(adaptive));
    let opened = moved(&breaker, times(1_000, Outcome::Failure), NOW);
    let Cause::Adaptive { failures, calls, threshold } = opened.cause else {
        panic!("{:?}", opened.cause)
    };
    assert_eq!(failures, calls);
    assert!((threshold - 0.6).abs() < 1e-6, "{threshold}");
}

#[test]
fn probes_tell_what_they_said() {
    let open = || {
        let breaker = breaker(Config::builder().failures(1).success_threshold(2));
        moved(&breaker, times(1, Outcome::Failure), NOW);
        let now = at(secs(1));
        let (half_open, _) = breaker.poll(now);
        assert_eq!(half_open.unwrap().cause, Cause::OpenTimeOver);
        assert_eq!(half_open.unwrap().open_for, None);
        (breaker, now)
    };
    let (breaker, now) = open();
    let ends = times(1, Outcome::Success).chain(times(1, Outcome::Failure));
    let opened = moved(&breaker, ends, now);
    assert_eq!(opened.cause, Cause::ProbesFailed { failures: 1, slow: 0, answered: 2 });
    assert_eq!(opened.open_for, Some(secs(2)));

    let (breaker, now) = open();
    let closed = moved(&breaker, times(2, Outcome::Success), now);
    assert_eq!(closed.cause, Cause::ProbesSucceeded { successes: 2, answered: 2 });
    assert_eq!(closed.to, State::Closed);

    let (breaker, now) = open();
    let opened = moved(&breaker, times(9, Outcome::Cancelled), now);
    assert_eq!(opened.cause, Cause::ProbesAbandoned { probes: 5 });
    assert_eq!(opened.last_failure, Some(Outcome::Cancelled));
}

#[test]
fn orders_by_hand_and_settings_are_causes_too() {
    let breaker = breaker(Config::builder());
    let by_hand = |command| Some(Cause::ByHand { command });
    let cause = |moved: Option<Transition>| moved.map(|moved| moved.cause);
    assert_eq!(cause(breaker.force_open(NOW)), by_hand(Command::ForceOpen));
    assert_eq!(cause(breaker.force_closed(NOW)), by_hand(Command::ForceClosed));
    assert_eq!(cause(breaker.force_open(NOW)), by_hand(Command::ForceOpen));
    assert_eq!(cause(breaker.disable(NOW)), by_hand(Command::Disable));
    assert_eq!(cause(breaker.force_open(NOW)), by_hand(Command::ForceOpen));
    assert_eq!(cause(breaker.observe(NOW)), by_hand(Command::Observe));
    assert_eq!(cause(breaker.force_open(NOW)), by_hand(Command::ForceOpen));
    assert_eq!(cause(breaker.reset(NOW)), by_hand(Command::Reset));
    let report = breaker.report(NOW);
    let by_hand = Cause::OPENING.iter().position(|name| *name == "by_hand").unwrap();
    assert_eq!(report.openings[by_hand], 4);
}

#[test]
fn a_breaker_that_is_disabled_while_it_is_open_closes_because_of_its_settings() {
    let breaker = breaker(Config::builder().failures(1));
    moved(&breaker, times(1, Outcome::Failure), NOW);
    let disabled = Config::builder().enforcement(crate::breaker::Enforcement::Disabled);
    let closed = breaker.reconfigure(disabled.build().unwrap(), NOW).unwrap();
    assert_eq!((closed.to, closed.cause), (State::Closed, Cause::Settings));
}

#[test]
fn a_probe_that_fails_is_the_last_failure_and_one_that_succeeds_is_not() {
    let config = Config::builder().failures(1).half_open_calls(2).success_threshold(2);
    let breaker = breaker(config.first_open_for(secs(1)));
    moved(&breaker, times(1, Outcome::Failure), NOW);
    let now = NOW + secs(1);
    let ends = times(1, Outcome::Success).chain(times(1, Outcome::TimedOut));
    let opened = moved(&breaker, ends, now);
    assert_eq!(opened.last_failure, Some(Outcome::TimedOut));
    let closed = moved(&breaker, times(2, Outcome::Success), now + secs(60));
    assert_eq!((closed.to, closed.last_failure), (State::Closed, Some(Outcome::TimedOut)));
}

#[test]
fn the_last_256_moves_are_remembered_and_all_are_counted() {
    let breaker = breaker(Config::builder());
    for _ in 0..200 {
        breaker.force_open(NOW).unwrap();
        breaker.force_closed(NOW).unwrap();
    }
    let report = breaker.report(NOW);
    assert_eq!(report.transitions.len(), 256);
    assert_eq!(report.transitions[255].sequence, 400);
    assert_eq!(report.transitions[0].sequence, 145);
    assert_eq!(report.transition_counts.iter().flatten().sum::<u64>(), 400);
}

#[test]
fn an_admission_says_whether_it_is_a_probe() {
    let breaker = breaker(Config::builder().failures(1).first_open_for(secs(1)));
    assert!(!breaker.admit(NOW).0.unwrap().is_probe());
    moved(&breaker, times(1, Outcome::Failure), NOW);
    assert!(breaker.admit(NOW + secs(1)).0.unwrap().is_probe());
}
