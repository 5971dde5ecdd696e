//! What happens from one opening to the next, and after the last: growing open times, ramps, modes.

use proptest::prelude::*;

use super::{at, millis, secs};
use crate::breaker::{
    Builder, CircuitBreaker, Config, Enforcement, HalfOpenMode, Mode, Refusal, Window as Over,
};
use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::event::State;
use crate::outcome::Outcome;

fn breaker(builder: Builder) -> CircuitBreaker {
    CircuitBreaker::new(builder.build().unwrap(), Moment::ZERO)
}

/// One call from beginning to end, if it is admitted.
fn call(breaker: &CircuitBreaker, outcome: Outcome, now: Moment) -> Result<(), Refusal> {
    let admission = breaker.admit(now, &mut None)?;
    breaker.record(admission, outcome, now);
    Ok(())
}

/// How long it refuses calls from now on.
fn open_for(breaker: &CircuitBreaker, now: Moment) -> std::time::Duration {
    breaker.check(now).unwrap_err().retry_after.unwrap()
}

#[test]
fn each_opening_lasts_longer_until_it_has_been_well_for_a_while() {
    let breaker = breaker(
        Config::builder()
            .failures(1)
            .success_threshold(1)
            .open_for(secs(1))
            .open_growth(3.0)
            .max_open_for(secs(20))
            .healthy_after(secs(60)),
    );
    let mut now = at(secs(100));
    for expected in [1, 3, 9, 20, 20] {
        call(&breaker, Outcome::Failure, now).unwrap();
        assert_eq!(open_for(&breaker, now), secs(expected));
        now = now + secs(expected);
    }
    // It closes, but fails again before it has been well for a minute.
    call(&breaker, Outcome::Success, now).unwrap();
    assert_eq!(breaker.state(), State::Closed);
    now = now + secs(59);
    call(&breaker, Outcome::Failure, now).unwrap();
    assert_eq!(open_for(&breaker, now), secs(20));
    now = now + secs(20);
    call(&breaker, Outcome::Success, now).unwrap();
    now = now + secs(60);
    call(&breaker, Outcome::Failure, now).unwrap();
    assert_eq!(open_for(&breaker, now), secs(1), "it was well for a minute");
}

#[test]
fn a_reset_by_hand_forgets_that_the_open_time_grew() {
    let breaker = breaker(Config::builder().failures(1).open_for(secs(1)).open_growth(10.0));
    call(&breaker, Outcome::Failure, at(secs(1))).unwrap();
    call(&breaker, Outcome::Failure, at(secs(2))).unwrap();
    assert_eq!(open_for(&breaker, at(secs(2))), secs(10));
    breaker.reset(at(secs(3)));
    call(&breaker, Outcome::Failure, at(secs(3))).unwrap();
    assert_eq!(open_for(&breaker, at(secs(3))), secs(1));
}

#[test]
fn a_million_reopenings_stay_at_the_longest() {
    let config = Config::builder().failures(1).open_for(millis(1)).open_growth(100.0);
    let breaker = breaker(config.max_open_for(secs(5)));
    let mut now = at(secs(1));
    for _ in 0..100_000 {
        call(&breaker, Outcome::Failure, now).unwrap();
        let open_for = open_for(&breaker, now);
        assert!(open_for <= secs(5), "{open_for:?}");
        now = now + open_for;
    }
}

proptest! {
    /// Jitter moves an opening by no more than its share, never past the longest, and two breakers with
    /// different sources of chance do not come back together.
    #[test]
    fn jitter_stays_within_its_share(
        ms in 1u64..100_000, share in 0.0f64..=1.0, longest in 1u64..5, seed in any::<u64>(),
    ) {
        let config = Config::builder()
            .failures(1)
            .open_for(millis(ms))
            .max_open_for(millis(ms * longest))
            .open_jitter(share)
            .build()
            .unwrap();
        let now = at(secs(1));
        let breaker = CircuitBreaker::new(config, now).with_entropy(Entropy::seeded(seed));
        call(&breaker, Outcome::Failure, now).unwrap();
        let open_for = open_for(&breaker, now).as_secs_f64() * 1e3;
        // In whole milliseconds, rounded up, and one at least.
        let (least, most) = (ms as f64 * (1.0 - share), ms as f64 * (1.0 + share));
        prop_assert!(open_for + 0.001 >= least && open_for <= most.ceil().max(1.0) + 0.001);
        prop_assert!(open_for <= (ms * longest) as f64 + 0.001);
    }
}

#[test]
fn a_recovered_dependency_gets_its_traffic_back_bit_by_bit() {
    let config = Config::builder().failures(1).success_threshold(1).open_for(secs(1));
    let breaker = breaker(config.ramp(0.1, secs(10)));
    call(&breaker, Outcome::Failure, at(secs(1))).unwrap();
    call(&breaker, Outcome::Success, at(secs(2))).unwrap();
    assert_eq!(breaker.state(), State::Closed);
    for tenth in 0..10 {
        let now = at(secs(2 + tenth));
        let admitted = (0..1_000).filter(|_| call(&breaker, Outcome::Success, now).is_ok()).count();
        let expected = 100 + 90 * tenth as usize;
        assert!(admitted.abs_diff(expected) <= 1, "{admitted} of 1000, {tenth} tenths into it");
        assert_eq!(breaker.check(now), Ok(()), "some are let through");
    }
    let now = at(secs(12));
    assert!((0..1_000).all(|_| call(&breaker, Outcome::Success, now).is_ok()));
}

#[test]
fn the_actor_ends_a_ramp_that_nobody_calls_through() {
    let config = Config::builder().failures(1).success_threshold(1).open_for(secs(1));
    let breaker = breaker(config.ramp(0.5, secs(10)));
    call(&breaker, Outcome::Failure, at(secs(1))).unwrap();
    call(&breaker, Outcome::Success, at(secs(2))).unwrap();
    let generation = breaker.report().generation;
    assert_eq!(breaker.poll(at(secs(5))), (None, Some(at(secs(12)))));
    assert_eq!(breaker.poll(at(secs(12))), (None, None));
    assert_eq!(breaker.poll(at(secs(12))), (None, None));
    assert_eq!(breaker.report().generation, generation, "closed all the time");
}

#[test]
fn a_failure_during_the_ramp_opens_it_again() {
    let config = Config::builder().failures(2).success_threshold(1).open_for(secs(1));
    let breaker = breaker(config.ramp(0.9, secs(10)));
    let now = at(secs(1));
    call(&breaker, Outcome::Failure, now).unwrap();
    call(&breaker, Outcome::Failure, now).unwrap();
    call(&breaker, Outcome::Success, at(secs(2))).unwrap();
    // One begins in the ramp and ends after it: the same closed breaker.
    let late = breaker.admit(at(secs(3)), &mut None);
    let late = late.or_else(|_| breaker.admit(at(secs(3)), &mut None)).unwrap();
    call(&breaker, Outcome::Failure, at(secs(12))).unwrap();
    let moved = breaker.record(late, Outcome::Failure, at(secs(12)));
    assert_eq!(moved.map(|moved| moved.to), Some(State::Open));
    assert_eq!(breaker.report().stale_results, 0);
}

/// Open by rate (half of 2 calls), and half-open from second 61 on.
fn half_open(mode: HalfOpenMode, calls: u32) -> (CircuitBreaker, Moment) {
    let config = Config::builder().failure_rate(0.5).window(Over::Calls(10)).min_calls(2);
    let breaker = breaker(config.half_open(mode).half_open_calls(calls));
    for _ in 0..2 {
        call(&breaker, Outcome::Failure, at(secs(1))).unwrap();
    }
    breaker.poll(at(secs(61)));
    (breaker, at(secs(61)))
}

#[test]
fn all_probes_are_heard_before_the_rate_decides_as_in_resilience4j() {
    use Outcome::{Failure, Ignored, Success};
    for (answers, end) in [
        ([Failure, Success, Success, Success], State::Closed),
        ([Failure, Failure, Success, Success], State::Open),
        ([Success, Success, Success, Success], State::Closed),
        ([Failure, Failure, Failure, Failure], State::Open),
    ] {
        let (breaker, now) = half_open(HalfOpenMode::AllProbes, 4);
        call(&breaker, Ignored, now).unwrap();
        for answer in answers {
            assert_eq!(breaker.state(), State::HalfOpen, "{answers:?}");
            call(&breaker, answer, now).unwrap();
        }
        assert_eq!(breaker.state(), end, "{answers:?}");
    }
}

#[test]
fn early_decides_as_soon_as_the_others_can_change_nothing() {
    use Outcome::{Failure, Success};
    for (answers, end) in [
        (vec![Failure, Failure], State::Open),
        (vec![Success, Success, Success], State::Closed),
        (vec![Failure, Success, Success, Success], State::Closed),
        (vec![Failure, Success, Success, Failure], State::Open),
    ] {
        let (breaker, now) = half_open(HalfOpenMode::Early, 4);
        for answer in &answers {
            assert_eq!(breaker.state(), State::HalfOpen, "{answers:?}");
            call(&breaker, *answer, now).unwrap();
        }
        assert_eq!(breaker.state(), end, "{answers:?}");
    }
}

#[test]
fn one_probe_decides_alone_as_in_polly() {
    let breaker = breaker(Config::builder().failures(1).half_open(HalfOpenMode::OneProbe));
    call(&breaker, Outcome::Failure, at(secs(1))).unwrap();
    let now = at(secs(31));
    let probe = breaker.admit(now, &mut None).unwrap();
    assert_eq!(breaker.admit(now, &mut None), Err(Refusal { retry_after: None }));
    breaker.record(probe, Outcome::Success, now);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn an_observing_breaker_opens_and_closes_and_refuses_nothing() {
    let config = Config::builder().failures(2).success_threshold(1).half_open_calls(1);
    let breaker = breaker(config.enforcement(Enforcement::Observe));
    for n in 0..10 {
        call(&breaker, Outcome::Failure, at(secs(1))).unwrap();
        assert_eq!(breaker.state() == State::Open, n >= 1);
    }
    let report = breaker.report();
    assert_eq!((report.mode, report.refusals_withheld), (Mode::Observing, 8));
    assert_eq!(report.stale_results, 0);
    let now = at(secs(31));
    let (probe, other) =
        (breaker.admit(now, &mut None).unwrap(), breaker.admit(now, &mut None).unwrap());
    assert!(probe.is_probe() && !other.is_probe());
    breaker.record(other, Outcome::Failure, now);
    assert_eq!(breaker.state(), State::HalfOpen, "only the probe has a say");
    breaker.record(probe, Outcome::Success, now);
    assert_eq!(breaker.state(), State::Closed);
    breaker.force_open(now);
    assert!(breaker.check(now).is_err(), "by hand is by hand");
}

#[test]
fn a_disabled_breaker_counts_nothing_and_a_reset_leaves_it_so() {
    let breaker = breaker(Config::builder().failures(1).enforcement(Enforcement::Disabled));
    for _ in 0..10 {
        call(&breaker, Outcome::Failure, at(secs(1))).unwrap();
    }
    breaker.reset(at(secs(2)));
    call(&breaker, Outcome::Failure, at(secs(2))).unwrap();
    let report = breaker.report();
    assert_eq!(
        (report.state, report.mode, report.window_failures),
        (State::Closed, Mode::Disabled, 0)
    );
}
