//! What other instances know, step by step.

use super::{at, secs};
use crate::breaker::{CircuitBreaker, Config};
use crate::clock::Moment;
use crate::event::{Cause, State};
use crate::outcome::Outcome;

fn breaker() -> CircuitBreaker {
    let config = Config::builder().failures(2).half_open_calls(1).success_threshold(1);
    CircuitBreaker::new(config.build().unwrap(), Moment::ZERO)
}

#[test]
fn it_opens_with_others_stays_open_with_them_and_closes_with_them() {
    let breaker = breaker();
    let opened = breaker.open_elsewhere((2, 2), at(secs(1)), secs(10)).unwrap();
    assert_eq!((opened.from, opened.to), (State::Closed, State::Open));
    assert_eq!(opened.cause, Cause::OpenElsewhere { instances: 2, needed: 2 });
    assert!(breaker.open_elsewhere((2, 2), at(secs(2)), secs(10)).is_none(), "it is open already");
    assert_eq!(breaker.open_left(at(secs(3))), secs(8));
    breaker.stay_open(at(secs(3)), secs(2));
    assert_eq!(breaker.open_left(at(secs(3))), secs(8), "never shorter");
    breaker.stay_open(at(secs(3)), secs(12));
    assert!(breaker.check(at(secs(14))).is_err());
    // Its time up, it is still held until somebody looks: then it is longer again.
    breaker.stay_open(at(secs(16)), secs(1));
    assert!(breaker.check(at(secs(16))).is_err());
    let closed = breaker.close_elsewhere(at(secs(16))).unwrap();
    assert_eq!((closed.to, closed.cause), (State::Closed, Cause::ClosedElsewhere));
    assert!(breaker.close_elsewhere(at(secs(16))).is_none());
    assert!(breaker.check(at(secs(16))).is_ok());
}

#[test]
fn a_probe_that_is_out_when_others_close_counts_for_nothing() {
    let breaker = breaker();
    breaker.open_elsewhere((1, 1), at(secs(0)), secs(1));
    let (probe, moved) = breaker.admit(at(secs(2)));
    assert_eq!(moved.unwrap().to, State::HalfOpen);
    breaker.stay_open(at(secs(2)), secs(9));
    assert_eq!(breaker.state(), State::HalfOpen, "one that probes is not held");
    breaker.close_elsewhere(at(secs(2)));
    breaker.record(probe.unwrap(), Outcome::Failure, at(secs(3)));
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.report(at(secs(3))).stale_results, 1);
}

#[test]
fn what_is_held_by_hand_is_nobody_elses_business() {
    for hold in [CircuitBreaker::force_open, CircuitBreaker::force_closed, CircuitBreaker::disable]
    {
        let breaker = breaker();
        hold(&breaker, Moment::ZERO);
        let before = breaker.state();
        assert!(breaker.open_elsewhere((1, 1), at(secs(1)), secs(9)).is_none());
        assert!(breaker.close_elsewhere(at(secs(1))).is_none());
        breaker.stay_open(at(secs(1)), secs(9));
        assert_eq!((breaker.state(), breaker.open_left(at(secs(1)))), (before, secs(0)));
    }
}
