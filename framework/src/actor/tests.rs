//! When a failed actor is rebuilt, and when it is left alone.

use std::time::Duration;

use proptest::prelude::*;

use super::restart::{Next, RestartPolicy, Restarts};
use crate::clock::Moment;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(moment: Duration) -> Moment {
    Moment::ZERO + moment
}

fn policy() -> RestartPolicy {
    RestartPolicy::builder()
        .intensity(5, secs(10))
        .backoff(ms(10), ms(50))
        .unattended_for(secs(30))
        .build()
        .unwrap()
}

#[test]
fn each_failure_in_a_row_waits_twice_as_long_up_to_the_longest() {
    let mut restarts = Restarts::new(policy());
    let waits: Vec<_> = (0..5).map(|_| restarts.failed(at(secs(1)))).collect();
    let expected = [10, 20, 40, 50, 50].map(|wait| Next::Rebuild(ms(wait)));
    assert_eq!(waits, expected);
}

#[test]
fn one_failure_too_many_and_it_is_left_alone_then_begins_afresh() {
    let mut restarts = Restarts::new(policy());
    for _ in 0..5 {
        assert!(matches!(restarts.failed(at(secs(1))), Next::Rebuild(_)));
    }
    assert_eq!(restarts.failed(at(secs(2))), Next::LeaveAlone(secs(30)));
    assert_eq!(restarts.failed(at(secs(32))), Next::Rebuild(ms(10)));
}

#[test]
fn failures_far_apart_are_each_the_first() {
    let mut restarts = Restarts::new(policy());
    for failure in 0..1_000 {
        assert_eq!(restarts.failed(at(secs(failure * 10))), Next::Rebuild(ms(10)));
    }
}

#[test]
fn a_failure_leaves_the_window_exactly_when_it_is_as_old_as_the_window() {
    let mut restarts = Restarts::new(policy());
    for _ in 0..5 {
        let _ = restarts.failed(at(secs(1)));
    }
    let mut one_earlier = Restarts::new(policy());
    for _ in 0..5 {
        let _ = one_earlier.failed(at(secs(1)));
    }
    assert_eq!(restarts.failed(at(secs(11))), Next::Rebuild(ms(10)));
    let just_before = at(secs(11) - Duration::from_nanos(1));
    assert_eq!(one_earlier.failed(just_before), Next::LeaveAlone(secs(30)));
}

#[test]
fn ten_thousand_failures_in_a_row_overflow_nothing() {
    let policy = RestartPolicy::builder().intensity(10_000, secs(1)).build().unwrap();
    let mut restarts = Restarts::new(policy);
    for _ in 0..10_000 {
        assert!(matches!(restarts.failed(Moment::MAX), Next::Rebuild(wait) if wait <= secs(1)));
    }
    assert_eq!(restarts.failed(Moment::MAX), Next::LeaveAlone(secs(30)));
}

#[test]
fn every_mistake_in_a_policy_is_told_at_once() {
    let mistakes = RestartPolicy::builder()
        .intensity(0, Duration::ZERO)
        .backoff(secs(2), secs(1))
        .unattended_for(Duration::ZERO)
        .build()
        .unwrap_err();
    let keys: Vec<_> = mistakes.into_iter().map(|mistake| mistake.key).collect();
    assert_eq!(keys, ["max_restarts", "within", "base_delay", "unattended_for"]);
}

proptest! {
    /// Against a list of every failure there ever was.
    #[test]
    fn equals_a_naive_list(gaps_ms in prop::collection::vec(0u64..4_000, 0..200), max in 1u32..8) {
        let (within, base, longest) = (secs(10), ms(10), ms(200));
        let policy = RestartPolicy::builder()
            .intensity(max, within)
            .backoff(base, longest)
            .build()
            .unwrap();
        let mut restarts = Restarts::new(policy);
        let (mut now, mut failures) = (Moment::ZERO, Vec::new());
        for gap in gaps_ms {
            now = now + ms(gap);
            let recent = failures.iter().filter(|&&then| now.since(then) < within).count() as u32;
            let expected = if recent >= max {
                failures.clear();
                Next::LeaveAlone(secs(30))
            } else {
                failures.push(now);
                Next::Rebuild((base * 2u32.pow(recent)).min(longest))
            };
            prop_assert_eq!(restarts.failed(now), expected);
        }
    }
}
