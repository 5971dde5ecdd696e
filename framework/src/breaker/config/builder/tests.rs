//! Each setting at its edges: the last value that is taken, and the first that is refused, by the name of its key.

use std::time::Duration;

use crate::breaker::config::{
    Config, HalfOpenMode, MAX_HALF_OPEN_CALLS, MAX_OPEN_FOR, MAX_OPEN_GROWTH, MAX_TIMED_FAILURES,
    MAX_UNANSWERED, MAX_WINDOW_CALLS, Window,
};
use crate::constraint::wrong_keys;

use super::Builder;

const MS: Duration = Duration::from_millis(1);
const NANO: Duration = Duration::from_nanos(1);
/// Less than a millisecond.
const JUST_BELOW: Duration = Duration::from_nanos(999_999);
const HOUR: Duration = Duration::from_secs(3_600);

/// The usual breaker.
fn plain() -> Builder {
    Config::builder()
}

/// One that opens by a rate.
fn by_rate() -> Builder {
    plain().failure_rate(0.5)
}

#[track_caller]
fn taken(builder: Builder) -> Config {
    builder.build().unwrap()
}

/// Every mistake is of one of these keys, and there are as many.
#[track_caller]
fn refused(builder: Builder, keys: &[&str]) {
    assert_eq!(wrong_keys(builder.build()), keys);
}

#[test]
fn a_length_is_from_a_millisecond_to_thirty_days() {
    type Set = fn(Builder, Duration) -> Builder;
    let lengths: [(&str, Set); 5] = [
        ("open_for", |builder, length| builder.open_for(length)),
        ("probe_life", |builder, length| builder.probe_life(length)),
        ("healthy_after", |builder, length| builder.open_growth(2.0).healthy_after(length)),
        ("ramp_for", |builder, length| builder.ramp_for(length)),
        ("failures_within", |builder, length| builder.failures(5).failures_within(length)),
    ];
    for (key, set) in lengths {
        taken(set(plain(), MS));
        taken(set(plain(), MAX_OPEN_FOR));
        refused(set(plain(), JUST_BELOW), &[key]);
        refused(set(plain(), MAX_OPEN_FOR + NANO), &[key]);
    }
}

#[test]
fn the_first_opening_is_not_longer_than_the_later_ones() {
    let first = |length| plain().open_for(HOUR).first_open_for(length);
    assert_eq!(taken(first(MS)).first_open_for(), MS);
    assert_eq!(taken(first(HOUR)).first_open_for(), HOUR);
    refused(first(JUST_BELOW), &["first_open_for"]);
    refused(first(HOUR + NANO), &["first_open_for"]);
}

#[test]
fn the_longest_opening_is_not_shorter_than_the_usual_one() {
    let longest = |length| plain().open_for(HOUR).open_growth(2.0).max_open_for(length);
    taken(longest(HOUR));
    taken(longest(MAX_OPEN_FOR));
    refused(longest(HOUR - NANO), &["max_open_for"]);
    refused(longest(MAX_OPEN_FOR + NANO), &["max_open_for"]);
}

#[test]
fn what_grows_is_bounded() {
    taken(plain().open_growth(1.0));
    taken(plain().open_growth(MAX_OPEN_GROWTH));
    taken(plain().open_jitter(0.0));
    taken(plain().open_jitter(1.0));
    refused(plain().open_growth(0.99), &["open_growth"]);
    refused(plain().open_growth(MAX_OPEN_GROWTH + 0.01), &["open_growth"]);
    refused(plain().open_jitter(-0.01), &["open_jitter"]);
    refused(plain().open_jitter(1.01), &["open_jitter"]);
    refused(plain().open_jitter(f64::NAN), &["open_jitter"]);
    let constant = plain().open_for(HOUR).first_open_for(HOUR);
    refused(constant.healthy_after(HOUR), &["healthy_after"]);
}

#[test]
fn a_slow_start_begins_with_a_part_of_the_calls() {
    let ramp = |from| plain().ramp(from, HOUR);
    let from = |from| taken(ramp(from)).ramp().unwrap().from;
    assert_eq!(from(0.001), 0.001);
    assert_eq!(from(0.999), 0.999);
    refused(ramp(0.0), &["ramp_from"]);
    refused(ramp(1.0), &["ramp_from"]);
    refused(plain().ramp_from(0.5), &["ramp_from"]);
}

#[test]
fn rates_are_above_zero_and_at_most_one() {
    taken(plain().failure_rate(f64::MIN_POSITIVE));
    taken(plain().failure_rate(1.0));
    taken(plain().slow_call(MS).slow_call_rate(1.0));
    refused(plain().failure_rate(0.0), &["failure_rate"]);
    refused(plain().failure_rate(1.01), &["failure_rate"]);
    refused(plain().slow_call(MS).slow_call_rate(0.0), &["slow_call_rate"]);
    refused(plain().slow_call_rate(0.5), &["slow_call_rate"]);
    taken(plain().slow_call(NANO));
    refused(plain().slow_call(Duration::ZERO), &["slow_call"]);
}

#[test]
fn a_window_and_its_calls_fit_each_other() {
    let window = |calls| by_rate().min_calls(1).window(Window::Calls(calls));
    taken(window(1));
    taken(window(MAX_WINDOW_CALLS));
    refused(window(MAX_WINDOW_CALLS + 1), &["window"]);
    taken(by_rate().window(Window::Calls(20)).min_calls(20));
    refused(by_rate().window(Window::Calls(20)).min_calls(21), &["min_calls"]);
    let timed = |length| by_rate().window(Window::Time(length));
    taken(timed(10 * MS));
    taken(timed(MAX_OPEN_FOR));
    refused(timed(10 * MS - NANO), &["window"]);
    refused(timed(MAX_OPEN_FOR + NANO), &["window"]);
    refused(timed(HOUR).min_calls(0), &["min_calls"]);
}

#[test]
fn a_window_belongs_to_what_counts_in_it() {
    refused(plain().window(Window::Calls(10)), &["window"]);
    refused(plain().window(Window::Time(HOUR)), &["window"]);
    refused(plain().min_calls(5), &["min_calls"]);
}

#[test]
fn a_number_of_failures_fits_its_window() {
    let most = |failures| plain().max_failures(failures).window(Window::Calls(20));
    taken(most(1));
    taken(most(20));
    refused(most(21), &["max_failures"]);
    let timed = |failures| plain().max_failures(failures).window(Window::Time(HOUR));
    taken(timed(1));
    refused(timed(0), &["max_failures"]);
}

#[test]
fn failures_in_a_row_are_a_number_and_bounded_where_each_is_remembered() {
    taken(plain().failures(1));
    refused(plain().failures(0), &["failures"]);
    refused(plain().without_failures(), &["failures"]);
    let within = |failures| plain().failures(failures).failures_within(HOUR);
    taken(within(MAX_TIMED_FAILURES));
    refused(within(MAX_TIMED_FAILURES + 1), &["failures"]);
    refused(by_rate().without_failures().failures_within(HOUR), &["failures_within"]);
}

#[test]
fn the_last_word_on_failures_counts() {
    let failures = |builder: Builder| taken(builder).trip().failures;
    assert_eq!(failures(by_rate().without_failures().failures(3)), Some(3));
    assert_eq!(failures(by_rate().failures(3).without_failures()), None);
    let unanswered = |builder: Builder| taken(builder).trip().unanswered;
    assert_eq!(unanswered(plain().without_unanswered().unanswered(12)), Some(12));
    assert_eq!(unanswered(plain().unanswered(12).without_unanswered()), None);
    assert_eq!(unanswered(plain().failures(12)), Some(12), "as many as failures");
    assert_eq!(unanswered(plain().failures(3)), Some(10), "but at least 10");
}

#[test]
fn attempts_without_an_answer_are_bounded() {
    taken(plain().unanswered(1));
    taken(plain().unanswered(MAX_UNANSWERED));
    refused(plain().unanswered(0), &["unanswered"]);
    refused(plain().unanswered(MAX_UNANSWERED + 1), &["unanswered"]);
}

#[test]
fn probes_are_bounded_and_can_be_enough() {
    let probes = |calls, threshold| by_rate().half_open_calls(calls).success_threshold(threshold);
    taken(probes(1, 1));
    taken(probes(MAX_HALF_OPEN_CALLS, MAX_HALF_OPEN_CALLS));
    taken(probes(3, 3));
    refused(probes(3, 4), &["success_threshold"]);
    refused(probes(MAX_HALF_OPEN_CALLS + 1, 1), &["half_open_calls"]);
    refused(plain().half_open_calls(0), &["half_open_calls"]);
    // By a run of failures, probes follow each other until there were enough.
    taken(plain().half_open_calls(3).success_threshold(4));
}

#[test]
fn a_way_to_close_again_fits_its_numbers() {
    let one = || plain().half_open(HalfOpenMode::OneProbe);
    let config = taken(one());
    assert_eq!((config.half_open_calls(), config.success_threshold()), (1, 1));
    refused(one().half_open_calls(2), &["half_open_calls"]);
    let by_probes = HalfOpenMode::ALL.iter().copied().filter(|mode| mode.is_by_rate());
    for mode in by_probes {
        taken(by_rate().half_open(mode));
        refused(plain().half_open(mode), &["half_open"]);
        refused(by_rate().half_open(mode).success_threshold(2), &["success_threshold"]);
    }
}
