//! Bugs that other circuit breakers shipped, each named after what its users saw.

use proptest::prelude::*;

use super::{at, millis, secs};
use crate::breaker::{CircuitBreaker, Config, Refusal, Window as Over};
use crate::clock::Moment;
use crate::event::State;
use crate::outcome::Outcome;

/// Half-open since 30 s: five places, two successes needed.
fn half_open() -> (CircuitBreaker, Moment) {
    let breaker = CircuitBreaker::new(Config::default(), Moment::ZERO);
    for _ in 0..5 {
        let call = breaker.admit(Moment::ZERO, &mut None).unwrap();
        breaker.record(call, Outcome::Failure, Moment::ZERO);
    }
    let now = at(secs(30));
    assert_eq!(breaker.poll(now).0.map(|moved| moved.to), Some(State::HalfOpen));
    (breaker, now)
}

#[test]
fn half_open_lets_no_more_probes_through_than_it_has_places() {
    let (breaker, now) = half_open();
    let probes: Vec<_> = (0..5).map(|_| breaker.admit(now, &mut None).unwrap()).collect();
    for _ in 0..1000 {
        assert_eq!(breaker.admit(now, &mut None), Err(Refusal { retry_after: None }));
        assert!(breaker.check(now).is_err());
    }
    breaker.record(probes[0], Outcome::Success, now);
    assert!(breaker.admit(now, &mut None).is_ok(), "an answer makes room for one");
    assert!(breaker.admit(now, &mut None).is_err());
}

#[test]
fn by_rate_half_open_bounds_the_probes_of_a_generation_in_total() {
    let config = Config::builder().failure_rate(0.5).half_open_calls(3).success_threshold(3);
    let breaker = CircuitBreaker::new(config.min_calls(1).build().unwrap(), Moment::ZERO);
    let call = breaker.admit(Moment::ZERO, &mut None).unwrap();
    breaker.record(call, Outcome::Failure, Moment::ZERO);
    let now = at(secs(60));
    for answered in 0..3 {
        let probes: Vec<_> =
            (answered..3).map(|_| breaker.admit(now, &mut None).unwrap()).collect();
        assert!(breaker.admit(now, &mut None).is_err());
        breaker.record(probes[0], Outcome::Success, now);
        for probe in &probes[1..] {
            breaker.record(*probe, Outcome::Ignored, now);
        }
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_cancelled_or_ignored_probe_does_not_leave_it_half_open_for_ever() {
    for outcome in [Outcome::Cancelled, Outcome::Ignored, Outcome::Expired] {
        let (breaker, now) = half_open();
        for _ in 0..100 {
            let probe = breaker.admit(now, &mut None).unwrap();
            assert_eq!(breaker.record(probe, outcome, now), None);
            assert_eq!(breaker.report().probes, 0);
        }
        for _ in 0..2 {
            let probe = breaker.admit(now, &mut None).unwrap();
            breaker.record(probe, Outcome::Success, now);
        }
        assert_eq!(breaker.state(), State::Closed);
    }
}

#[test]
fn a_probe_that_panics_or_times_out_opens_it_again() {
    for outcome in [Outcome::Panicked, Outcome::TimedOut, Outcome::Failure] {
        let (breaker, now) = half_open();
        let probe = breaker.admit(now, &mut None).unwrap();
        let moved = breaker.record(probe, outcome, now).unwrap();
        assert_eq!((moved.from, moved.to), (State::HalfOpen, State::Open));
        let refused = Err(Refusal { retry_after: Some(secs(30)) });
        assert_eq!(breaker.check(now), refused, "and for the full time");
    }
}

#[test]
fn hung_probes_give_their_places_back_and_their_answers_are_stale() {
    let (breaker, now) = half_open();
    let hung: Vec<_> = (0..5).map(|_| breaker.admit(now, &mut None).unwrap()).collect();
    let just_before = at(secs(60) - millis(1));
    assert!(breaker.admit(just_before, &mut None).is_err());
    let now = at(secs(60));
    assert_eq!(breaker.check(now), Ok(()));
    let fresh = breaker.admit(now, &mut None).unwrap();
    assert_eq!(breaker.report().probes, 1);
    // A late failure would open it, late successes would close it: neither may.
    assert_eq!(breaker.record(hung[0], Outcome::Failure, now), None);
    assert_eq!(breaker.record(hung[1], Outcome::Success, now), None);
    assert_eq!(breaker.record(hung[2], Outcome::Success, now), None);
    let report = breaker.report();
    assert_eq!((report.state, report.probes, report.stale_results), (State::HalfOpen, 1, 3));
    breaker.record(fresh, Outcome::Success, now);
    let second = breaker.admit(now, &mut None).unwrap();
    assert!(breaker.record(second, Outcome::Success, now).is_some());
}

#[test]
fn successes_before_the_others_hung_still_count() {
    let (breaker, now) = half_open();
    let first = breaker.admit(now, &mut None).unwrap();
    breaker.record(first, Outcome::Success, now);
    for _ in 0..5 {
        let _hung = breaker.admit(now, &mut None).unwrap();
    }
    let second = breaker.admit(at(secs(90)), &mut None).unwrap();
    assert!(breaker.record(second, Outcome::Success, at(secs(90))).is_some());
}

#[test]
fn an_open_breaker_moves_on_when_nobody_calls() {
    let breaker = CircuitBreaker::new(Config::builder().failures(1).build().unwrap(), Moment::ZERO);
    let call = breaker.admit(Moment::ZERO, &mut None).unwrap();
    breaker.record(call, Outcome::Failure, Moment::ZERO);
    let (moved, next) = breaker.poll(at(secs(1)));
    assert_eq!((moved, next), (None, Some(at(secs(30)))));
    let (moved, next) = breaker.poll(next.unwrap());
    assert_eq!((moved.map(|moved| moved.to), next), (Some(State::HalfOpen), None));
    assert_eq!(breaker.poll(at(secs(31))), (None, None), "and only once");
}

#[test]
fn a_call_admitted_while_closed_neither_closes_nor_opens_a_later_half_open() {
    let breaker = CircuitBreaker::new(Config::default(), Moment::ZERO);
    let slow: Vec<_> = (0..4).map(|_| breaker.admit(Moment::ZERO, &mut None).unwrap()).collect();
    for _ in 0..5 {
        let call = breaker.admit(Moment::ZERO, &mut None).unwrap();
        breaker.record(call, Outcome::Failure, Moment::ZERO);
    }
    assert_eq!(breaker.record(slow[0], Outcome::Success, at(secs(1))), None);
    let now = at(secs(30));
    let probe = breaker.admit(now, &mut None).unwrap();
    for (late, outcome) in
        slow[1..].iter().zip([Outcome::Success, Outcome::Success, Outcome::Failure])
    {
        assert_eq!(breaker.record(*late, outcome, now), None);
    }
    let report = breaker.report();
    assert_eq!((report.state, report.probes), (State::HalfOpen, 1));
    assert_eq!(report.stale_results, 4, "dropped, but not uncounted");
    // Closed again, it is a generation of its own: the probe of this one is late there, too.
    breaker.reset(now);
    breaker.record(probe, Outcome::Failure, now);
    assert_eq!(breaker.report().window_failures, 0);
}

#[test]
fn after_a_million_successes_it_trips_when_the_list_does() {
    for window in [Over::Calls(100), Over::Calls(10_000), Over::Time(secs(10))] {
        let config = Config::builder().failure_rate(0.5).window(window).build().unwrap();
        let breaker = CircuitBreaker::new(config, Moment::ZERO);
        let call = breaker.admit(Moment::ZERO, &mut None).unwrap();
        // A call every millisecond.
        let mut ms = 0;
        let mut end = |outcome| {
            ms += 1;
            breaker.record(call, outcome, at(millis(ms))).is_some()
        };
        for _ in 0..1_000_000 {
            assert!(!end(Outcome::Success));
        }
        let failures = (1..).find(|_| end(Outcome::Failure));
        let in_list = match window {
            Over::Calls(size) => u64::from(size / 2),
            // From bucket 1000, at 1 s a bucket: the window is the nine before and what has come in
            // this one. Sought: the first f with f / (calls since bucket start of f - 9) >= 0.5.
            Over::Time(_) => (1..)
                .find(|failures| {
                    let now = 1_000_000 + failures;
                    let oldest = (now / 1000 - 9) * 1000;
                    2 * failures > now - oldest
                })
                .unwrap(),
        };
        assert_eq!(failures, Some(in_list), "{window:?}");
    }
}

#[test]
fn a_quiet_dependency_is_not_judged_by_last_hours_failures() {
    let config = Config::builder().failure_rate(0.5).min_calls(10).window(Over::Time(secs(10)));
    let breaker = CircuitBreaker::new(config.build().unwrap(), Moment::ZERO);
    let call = breaker.admit(Moment::ZERO, &mut None).unwrap();
    for _ in 0..9 {
        assert_eq!(breaker.record(call, Outcome::Failure, Moment::ZERO), None);
    }
    assert_eq!(breaker.record(call, Outcome::Failure, at(secs(3600))), None);
    assert_eq!(breaker.report().window_calls, 1);
}

#[test]
fn forced_open_it_stays_open_and_reset_forgets_what_was_counted() {
    let breaker = CircuitBreaker::new(Config::default(), Moment::ZERO);
    let call = breaker.admit(Moment::ZERO, &mut None).unwrap();
    for _ in 0..4 {
        breaker.record(call, Outcome::Failure, Moment::ZERO);
    }
    assert!(breaker.force_open(Moment::ZERO).is_some());
    let later = at(secs(365 * 24 * 3600));
    assert_eq!(breaker.admit(later, &mut None), Err(Refusal { retry_after: None }));
    assert_eq!(breaker.poll(later), (None, None));
    assert!(breaker.reset(later).is_some());
    let call = breaker.admit(later, &mut None).unwrap();
    assert_eq!(breaker.record(call, Outcome::Failure, later), None, "one, not five");
    assert_eq!(breaker.force_closed(later), None, "closed it already was");
    for _ in 0..10 {
        let call = breaker.admit(later, &mut None).unwrap();
        assert_eq!(breaker.record(call, Outcome::Failure, later), None);
    }
}

proptest! {
    /// `retry_after` is no guess: one nanosecond earlier it refuses, and then it does not.
    #[test]
    fn whoever_comes_back_when_told_is_let_in(start in 0u64..u64::MAX / 4, open_for in 1_000_000u64..1 << 50) {
        let open_for = std::time::Duration::from_nanos(open_for);
        let config = Config::builder().failures(1).open_for(open_for).build().unwrap();
        let now = Moment::from_nanos(start);
        let breaker = CircuitBreaker::new(config, now);
        let call = breaker.admit(now, &mut None).unwrap();
        breaker.record(call, Outcome::Failure, now);
        let after = breaker.check(now).unwrap_err().retry_after.unwrap();
        prop_assert!(after >= open_for && after < open_for + millis(1));
        let then = now + after;
        let early = breaker.check(then.before(std::time::Duration::from_nanos(1)));
        prop_assert_eq!(early, Err(Refusal { retry_after: Some(std::time::Duration::from_nanos(1)) }));
        prop_assert_eq!(breaker.check(then), Ok(()));
    }
}
