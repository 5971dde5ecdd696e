//! Failures in a row that are bounded by time, and failures counted within a window.

use std::time::Duration;

use proptest::prelude::*;

use super::{millis, secs};
use crate::breaker::{Builder, CircuitBreaker, Config, Window as Over};
use crate::clock::Moment;
use crate::event::State;
use crate::outcome::Outcome;

const START: Moment = Moment::ZERO;
const DAY: Duration = Duration::from_secs(24 * 3600);

fn breaker(config: Builder) -> CircuitBreaker {
    CircuitBreaker::new(config.build().unwrap(), Moment::ZERO)
}

fn end(breaker: &CircuitBreaker, outcome: Outcome, now: Moment) -> State {
    let admission = breaker.let_in(now, &mut None).unwrap();
    breaker.note(admission, outcome, now);
    breaker.state()
}

fn fail(breaker: &CircuitBreaker, now: Moment) -> State {
    end(breaker, Outcome::Failure, now)
}

#[test]
fn four_failures_a_day_of_nothing_and_one_failure_do_not_open_it() {
    let bounded = breaker(Config::builder().failures(5).failures_within(secs(60)));
    for second in 0..4 {
        assert_eq!(fail(&bounded, START + secs(second)), State::Closed);
    }
    assert_eq!(bounded.report(START + secs(4)).failures_in_a_row, 4);
    assert_eq!(bounded.report(START + DAY).failures_in_a_row, 0, "what is shown slides too");
    assert_eq!(fail(&bounded, START + DAY), State::Closed);
    for second in 1..4 {
        assert_eq!(fail(&bounded, START + DAY + secs(second)), State::Closed);
    }
    assert_eq!(fail(&bounded, START + DAY + secs(4)), State::Open, "five within a minute");
}

#[test]
fn twenty_failures_within_ten_seconds_open_it_however_many_calls_there_are() {
    let counted = breaker(Config::builder().max_failures(20).window(Over::Time(secs(10))));
    for failure in 0..19 {
        for _ in 0..500 {
            end(&counted, Outcome::Success, START + millis(failure * 100));
        }
        assert_eq!(fail(&counted, START + millis(failure * 100)), State::Closed);
    }
    // All of those have left the window.
    let later = START + secs(30);
    for failure in 0..19 {
        assert_eq!(fail(&counted, later + millis(failure)), State::Closed);
        end(&counted, Outcome::Success, later + millis(failure));
    }
    assert_eq!(fail(&counted, later + millis(20)), State::Open);
}

#[test]
fn so_many_failures_among_the_last_calls_open_it_too() {
    let counted = breaker(Config::builder().max_failures(3).window(Over::Calls(10)));
    for _ in 0..5 {
        assert_eq!(fail(&counted, START), State::Closed);
        for _ in 0..5 {
            end(&counted, Outcome::Success, START);
        }
    }
    assert_eq!(fail(&counted, START), State::Closed, "two of the last ten");
    assert_eq!(fail(&counted, START), State::Open, "three");
}

#[test]
fn an_hour_after_its_only_failure_a_report_shows_an_empty_window() {
    let by_rate = Config::builder().failure_rate(0.5).window(Over::Time(secs(10)));
    let breaker = breaker(by_rate);
    fail(&breaker, START);
    let shown = |now: Moment| {
        let report = breaker.report(now);
        (report.window_calls, report.window_failures)
    };
    assert_eq!(shown(START), (1, 1));
    assert_eq!(shown(START + millis(8_999)), (1, 1));
    assert_eq!(shown(START + secs(10)), (0, 0));
    assert_eq!(shown(START + secs(3_600)), (0, 0));
    assert_eq!(shown(START), (1, 1), "showing it has changed nothing");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let mistakes = |config: Builder| config.build().unwrap_err().to_string();
    assert!(mistakes(Config::builder().max_failures(0)).contains("max_failures"));
    let more = Config::builder().max_failures(11).window(Over::Calls(10));
    assert!(mistakes(more).contains("from 1 to the window (10 calls)"));
    let none = Config::builder().without_failures().failure_rate(0.5).failures_within(secs(1));

    assert!(mistakes(none).contains("failures_within"));
    let many = Config::builder().failures(10_001).failures_within(secs(1));
    assert!(mistakes(many).contains("at most 10000 with failures_within"));
    assert!(mistakes(Config::builder().failures_within(Duration::ZERO)).contains("from 1ms"));
    let nothing = mistakes(Config::builder().without_failures());
    assert!(nothing.contains("nothing else would open it"), "{nothing}");
    let longer = Config::builder().first_open_for(secs(2)).open_for(secs(1));
    assert!(mistakes(longer).contains("first_open_for"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_bounded_run_is_what_a_plain_list_says(
        failures in 1u32..6,
        within in 1u64..50,
        steps in prop::collection::vec((0u64..20, 0u8..4), 1..80),
    ) {
        let config = Config::builder().failures(failures).failures_within(millis(within));
        let breaker = breaker(config);
        let mut now = START;
        let mut run: Vec<Moment> = Vec::new();
        for (pause, outcome) in steps {
            now = now + millis(pause);
            let outcome = if outcome == 0 { Outcome::Success } else { Outcome::Failure };
            if outcome == Outcome::Success { run.clear() } else { run.push(now) }
            run.retain(|failure| now.since(*failure) < millis(within));
            let opens = run.len() >= failures as usize;
            let state = end(&breaker, outcome, now);
            prop_assert_eq!(state == State::Open, opens, "{:?} at {:?}", run, now);
            if opens {
                breaker.reset(now);
                run.clear();
            }
            prop_assert_eq!(breaker.report(now).failures_in_a_row, run.len() as u64);
        }
    }
}

#[test]
fn a_dependency_that_fails_now_and_then_opens_it_after_a_longer_run() {
    let grows = breaker(Config::builder());
    for second in 0..30 {
        // Of ten runs one is of two failures.
        for run in 0..10 {
            fail(&grows, START + secs(second));
            if run == 0 {
                fail(&grows, START + secs(second));
            }
            end(&grows, Outcome::Success, START + secs(second));
        }
    }
    let now = START + secs(60);
    assert_eq!(grows.report(now).failures_needed, Some(8));
    assert!((0..7).all(|_| fail(&grows, now) == State::Closed));
    assert_eq!(fail(&grows, now), State::Open);
}

#[test]
fn failures_in_a_row_that_do_not_count_are_not_counted() {
    let by_rate = breaker(Config::builder().failure_rate(0.9).without_failures());
    (0..3).for_each(|_| _ = fail(&by_rate, START));
    let report = by_rate.report(START);
    assert_eq!((report.failures_in_a_row, report.failures_needed), (0, None));
    assert_eq!(report.window_failures, 3);
}

#[test]
fn probes_that_were_abandoned_before_an_order_by_hand_are_forgotten() {
    let config = Config::builder().failures(1).half_open_calls(3).first_open_for(secs(1));
    let by_hand = breaker(config.open_for(secs(1)));
    fail(&by_hand, START);
    let abandon = |now| end(&by_hand, Outcome::Cancelled, now);
    (0..2).for_each(|_| assert_eq!(abandon(START + secs(1)), State::HalfOpen));
    by_hand.reset(START + secs(1));
    fail(&by_hand, START + secs(1));
    (0..2).for_each(|_| assert_eq!(abandon(START + secs(2)), State::HalfOpen));
    assert_eq!(abandon(START + secs(2)), State::Open, "the third in a row");
}
