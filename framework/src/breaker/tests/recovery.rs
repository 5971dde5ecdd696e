//! What happens from one opening to the next, and after the last: growing open times, ramps, modes.

use std::time::Duration;

use proptest::prelude::*;

use super::{at, millis, secs};
use crate::breaker::{
    Builder, CircuitBreaker, Config, Enforcement, HalfOpenMode, Mode, NotAdmitted, Window as Over,
};
use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::event::State;
use crate::outcome::{AttemptEnd, Outcome};

fn breaker(builder: Builder) -> CircuitBreaker {
    CircuitBreaker::new(builder.build().unwrap(), Moment::ZERO)
}

/// One call from beginning to end, if it is admitted.
fn call(breaker: &CircuitBreaker, outcome: Outcome, now: Moment) -> Result<(), NotAdmitted> {
    let admission = breaker.let_in(now, &mut None)?;
    breaker.note(admission, outcome, now);
    Ok(())
}

/// How long it refuses calls from now on.
fn open_for(breaker: &CircuitBreaker, now: Moment) -> Duration {
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
            .first_open_for(millis(ms)).open_for(millis(ms))
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

/// What a thousand instances do that differ in nothing but chance, opened again and again, each time as soon
/// as they may be, and told by the server to come back after `asked`: their latest open times, in order.
fn fleet(builder: &Builder, asked: Option<Duration>, openings: u32) -> Vec<Duration> {
    let mut times: Vec<_> = (0..1_000)
        .map(|seed| {
            let breaker = breaker(builder.clone()).with_entropy(Entropy::seeded(seed));
            let mut now = at(secs(1));
            let mut length = Duration::ZERO;
            for _ in 0..openings {
                let admission = breaker.let_in(now, &mut None).unwrap();
                let attempt_end = AttemptEnd { retry_after: asked, ..Outcome::Failure.into() };
                breaker.note(admission, attempt_end, now);
                length = open_for(&breaker, now);
                now = now + length;
            }
            length
        })
        .collect();
    times.sort_unstable();
    times
}

/// At most one in a hundred of them in any hundredth of the spread, and three times that for chance.
fn assert_spread(times: &[Duration], least: Duration, most: Duration) {
    assert!(times[0] >= least && times[999] <= most, "{:?} to {:?}", times[0], times[999]);
    let hundredth = (most - least) / 100;
    assert!(times[0] < least + 2 * hundredth && times[999] > most - 2 * hundredth);
    for (n, from) in times.iter().enumerate() {
        let together = times[n..].iter().take_while(|time| **time <= *from + hundredth).count();
        assert!(together <= 30, "{together} of 1000 come back within {hundredth:?} of {from:?}");
    }
}

#[test]
fn a_fleet_does_not_come_back_together_however_long_the_outage_lasts() {
    let config = Config::builder()
        .failures(1)
        .first_open_for(secs(60))
        .open_for(secs(60))
        .open_growth(2.0)
        .open_jitter(0.2);
    assert_spread(&fleet(&config, None, 1), secs(48), secs(72));
    // 60, 120, 240, 480 s, and then the longest: 10 min.
    assert_spread(&fleet(&config, None, 4), secs(384), secs(576));
    assert_spread(&fleet(&config, None, 5), secs(480), secs(600));
    assert_spread(&fleet(&config, None, 8), secs(480), secs(600));
    let from_the_first = Config::builder()
        .failures(1)
        .first_open_for(secs(10))
        .open_for(secs(10))
        .max_open_for(secs(10));
    assert_spread(&fleet(&from_the_first.open_jitter(1.0), None, 1), millis(1), secs(10));
}

#[test]
fn a_fleet_that_was_told_when_to_come_back_is_late_by_chance_and_never_early() {
    let config =
        Config::builder().failures(1).first_open_for(secs(10)).open_for(secs(10)).open_jitter(0.5);
    for openings in [1, 3] {
        assert_spread(&fleet(&config, Some(secs(60)), openings), secs(60), secs(90));
        // What is left below the longest.
        assert_spread(&fleet(&config, Some(secs(500)), openings), secs(500), secs(600));
        // More than it is given.
        assert_spread(&fleet(&config, Some(secs(3600)), openings), secs(300), secs(600));
    }
    let exact = Config::builder().failures(1).first_open_for(secs(10)).open_for(secs(10));
    assert!(fleet(&exact, Some(secs(60)), 1).iter().all(|time| *time == secs(60)));
}

proptest! {
    /// Never earlier than the server asked, never longer than the longest, and not all at once where there
    /// is room.
    #[test]
    fn a_server_that_asks_is_not_called_early_nor_by_all_at_once(
        open_for in 1u64..100_000, longest in 1u64..100, share in 0.0f64..=1.0,
        asked in 1u64..10_000_000, seed in any::<u64>(),
    ) {
        let longest = millis(open_for * longest);
        let config = Config::builder()
            .failures(1)
            .first_open_for(millis(open_for)).open_for(millis(open_for))
            .max_open_for(longest)
            .open_jitter(share);
        let asked_for = millis(asked);
        let times: Vec<_> = (0..8)
            .map(|n| {
                let entropy = Entropy::seeded(seed).fork(n);
                let breaker = breaker(config.clone()).with_entropy(entropy);
                self::asked(&breaker, asked_for, at(secs(1)));
                self::open_for(&breaker, at(secs(1)))
            })
            .collect();
        for time in &times {
            prop_assert!(*time <= longest);
            prop_assert!(asked_for > longest || *time >= asked_for);
            let most = open_for.max(asked) as f64 * (1.0 + share);
            prop_assert!(time.as_secs_f64() * 1e3 <= most.ceil() + 0.001);
        }
        let room = if asked_for > longest { longest } else { longest.saturating_sub(asked_for) };
        if room.min(asked_for).as_secs_f64() * share > 1.0 {
            prop_assert!(times.iter().any(|time| *time != times[0]), "{:?}", times[0]);
        }
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
    let generation = breaker.report(Moment::ZERO).generation;
    assert_eq!(breaker.poll(at(secs(5))), (None, Some(at(secs(12)))));
    assert_eq!(breaker.poll(at(secs(12))), (None, None));
    assert_eq!(breaker.poll(at(secs(12))), (None, None));
    assert_eq!(breaker.report(Moment::ZERO).generation, generation, "closed all the time");
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
    let late = breaker.let_in(at(secs(3)), &mut None);
    let late = late.or_else(|_| breaker.let_in(at(secs(3)), &mut None)).unwrap();
    call(&breaker, Outcome::Failure, at(secs(12))).unwrap();
    let moved = breaker.note(late, Outcome::Failure, at(secs(12)));
    assert_eq!(moved.map(|moved| moved.to), Some(State::Open));
    assert_eq!(breaker.report(Moment::ZERO).stale_results, 0);
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
    let probe = breaker.let_in(now, &mut None).unwrap();
    assert_eq!(breaker.let_in(now, &mut None), Err(NotAdmitted { retry_after: None }));
    breaker.note(probe, Outcome::Success, now);
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
    let report = breaker.report(Moment::ZERO);
    assert_eq!((report.mode, report.refusals_withheld), (Mode::Observing, 8));
    assert_eq!(report.stale_results, 0);
    let now = at(secs(31));
    let (probe, other) =
        (breaker.let_in(now, &mut None).unwrap(), breaker.let_in(now, &mut None).unwrap());
    assert!(probe.is_probe() && !other.is_probe());
    breaker.note(other, Outcome::Failure, now);
    assert_eq!(breaker.state(), State::HalfOpen, "only the probe has a say");
    breaker.note(probe, Outcome::Success, now);
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
    let report = breaker.report(Moment::ZERO);
    assert_eq!(
        (report.state, report.mode, report.window_failures),
        (State::Closed, Mode::Disabled, 0)
    );
}

/// A failure with which the server said when to come back.
fn asked(breaker: &CircuitBreaker, after: Duration, now: Moment) {
    let admission = breaker.let_in(now, &mut None).unwrap();
    let retry_after = Some(after);
    breaker.note(admission, AttemptEnd { retry_after, ..Outcome::Failure.into() }, now);
}

#[test]
fn it_stays_open_for_as_long_as_the_server_asked_but_not_for_ever() {
    let config = || {
        Config::builder()
            .failures(2)
            .first_open_for(secs(10))
            .open_for(secs(10))
            .max_open_for(secs(100))
    };
    let now = at(secs(1));
    for (after, expected) in [(secs(60), 60), (secs(3), 10), (secs(3600), 100)] {
        let breaker = breaker(config());
        call(&breaker, Outcome::Failure, now).unwrap();
        asked(&breaker, after, now);
        assert_eq!(open_for(&breaker, now), secs(expected), "asked for {after:?}");
    }
    let breaker = breaker(config().use_retry_after(false));
    asked(&breaker, secs(60), now);
    asked(&breaker, secs(60), now);
    assert_eq!(open_for(&breaker, now), secs(10), "told not to listen");
}

#[test]
fn asked_for_the_longest_it_stays_open_for_just_that() {
    for seed in 0..50 {
        let config = Config::builder().failures(1).max_open_for(secs(60)).open_jitter(0.5);
        let breaker = breaker(config).with_entropy(Entropy::seeded(seed));
        asked(&breaker, secs(60), Moment::ZERO);
        assert_eq!(open_for(&breaker, Moment::ZERO), secs(60));
    }
}

#[test]
fn what_the_server_asked_for_is_remembered_from_the_answers_before_and_forgotten_when_it_is_well() {
    let breaker = breaker(
        Config::builder()
            .failures(2)
            .success_threshold(1)
            .first_open_for(secs(10))
            .open_for(secs(10)),
    );
    asked(&breaker, secs(60), at(secs(1)));
    // A timeout says nothing, but the server has said something a moment ago.
    call(&breaker, Outcome::TimedOut, at(secs(2))).unwrap();
    assert_eq!(open_for(&breaker, at(secs(2))), secs(59));
    // A probe's answer counts too.
    asked(&breaker, secs(120), at(secs(61)));
    assert_eq!(open_for(&breaker, at(secs(61))), secs(120));
    call(&breaker, Outcome::Success, at(secs(181))).unwrap();
    assert_eq!(breaker.state(), State::Closed);
    for _ in 0..2 {
        call(&breaker, Outcome::Failure, at(secs(181))).unwrap();
    }
    assert_eq!(open_for(&breaker, at(secs(181))), secs(10));
}

#[test]
fn told_to_observe_it_judges_and_refuses_nothing_until_reset() {
    let breaker = breaker(Config::builder().failures(2).success_threshold(1));
    let now = at(secs(1));
    breaker.force_open(now);
    assert_eq!(breaker.observe(now).map(|moved| moved.to), Some(State::Closed));
    assert_eq!(breaker.observe(now), None, "it is not held any more");
    for n in 0..4 {
        call(&breaker, Outcome::Failure, now).unwrap();
        assert_eq!(breaker.state() == State::Open, n >= 1);
    }
    let report = breaker.report(Moment::ZERO);
    assert_eq!((report.mode, report.refusals_withheld), (Mode::Observing, 2));
    breaker.reset(now);
    assert_eq!(breaker.report(Moment::ZERO).mode, Mode::Automatic);
    call(&breaker, Outcome::Failure, now).unwrap();
    call(&breaker, Outcome::Failure, now).unwrap();
    assert!(breaker.check(now).is_err());
}

/// One call of a breaker that minds latency.
fn take(breaker: &CircuitBreaker, slow: bool, now: Moment) -> State {
    let admission = breaker.let_in(now, &mut None).unwrap();
    breaker.note(admission, AttemptEnd { slow, ..Outcome::Success.into() }, now);
    breaker.state()
}

#[test]
fn slow_answers_open_it_however_good_they_are_and_a_slow_probe_opens_it_again() {
    let config = || {
        let rate = Config::builder().slow_call(secs(1)).slow_call_rate(0.5);
        rate.min_calls(4).window(Over::Calls(4)).success_threshold(1)
    };
    let slow_ones = breaker(config());
    let now = at(secs(1));
    for (slow, state) in [(false, State::Closed), (true, State::Closed), (false, State::Closed)] {
        assert_eq!(take(&slow_ones, slow, now), state);
    }
    assert_eq!(take(&slow_ones, true, now), State::Open, "two of four");
    let now = at(secs(31));
    assert_eq!(take(&slow_ones, true, now), State::Open, "the probe was no faster");
    let now = at(secs(61));
    assert_eq!(take(&slow_ones, false, now), State::Closed);

    // Failures in a row count beside it, as long as there is no failure rate.
    let failing = breaker(config());
    for _ in 0..5 {
        call(&failing, Outcome::Failure, now).unwrap();
    }
    assert_eq!(failing.state(), State::Open);
}

#[test]
fn half_slow_probes_open_it_where_their_share_decides() {
    for (slow, end) in [(1, State::Closed), (2, State::Open)] {
        let config = Config::builder().slow_call(secs(1)).slow_call_rate(0.5).failure_rate(0.5);
        let config = config.min_calls(1).half_open_calls(4).half_open(HalfOpenMode::AllProbes);
        let breaker = breaker(config);
        call(&breaker, Outcome::Failure, at(secs(1))).unwrap();
        let now = at(secs(61));
        for n in 0..4 {
            take(&breaker, n < slow, now);
        }
        assert_eq!(breaker.state(), end, "{slow} of 4");
    }
}

#[test]
fn other_settings_lose_nothing() {
    let breaker = breaker(Config::builder().failure_rate(0.5).min_calls(10));
    let now = at(secs(1));
    for n in 0..8 {
        let outcome = if n % 2 == 0 { Outcome::Success } else { Outcome::Failure };
        call(&breaker, outcome, now).unwrap();
    }
    // The same window with another bar: what it has counted so far counts.
    let stricter =
        Config::builder().failure_rate(0.4).min_calls(9).first_open_for(secs(7)).open_for(secs(7));
    assert_eq!(breaker.reconfigure(stricter.build().unwrap(), now), None);
    assert_eq!(breaker.report(Moment::ZERO).window_calls, 8);
    call(&breaker, Outcome::Success, now).unwrap();
    assert_eq!(open_for(&breaker, now), secs(7), "four of nine");
    // It stays open for as long as it was to, with another window or a looser threshold too.
    let looser = Config::builder().failures(100).open_for(secs(1)).build().unwrap();
    assert_eq!(breaker.reconfigure(looser, now), None);
    assert_eq!(open_for(&breaker, now), secs(7));
}

#[test]
fn an_order_by_hand_outlives_other_settings() {
    let now = at(secs(1));
    let settings = |enforcement| Config::builder().enforcement(enforcement).build().unwrap();
    for enforcement in Enforcement::EVERY {
        let held = breaker(Config::builder());
        held.force_open(now);
        assert_eq!(held.reconfigure(settings(enforcement), now), None);
        assert_eq!(held.report(Moment::ZERO).mode, Mode::ForcedOpen);
        held.observe(now);
        assert_eq!(held.reconfigure(settings(enforcement), now), None);
        assert_eq!(held.report(Moment::ZERO).mode, Mode::Observing);
        held.reset(now);
        let mode = match enforcement {
            Enforcement::Enforce => Mode::Automatic,
            Enforcement::Observe => Mode::Observing,
            Enforcement::Disabled => Mode::Disabled,
        };
        assert_eq!(held.report(Moment::ZERO).mode, mode, "a reset asks the settings of now");
    }
}

#[test]
fn the_first_call_after_a_ramp_ends_it() {
    let config = Config::builder().failures(1).success_threshold(1).open_for(secs(1));
    let breaker = breaker(config.ramp(0.5, secs(10)));
    call(&breaker, Outcome::Failure, at(secs(1))).unwrap();
    call(&breaker, Outcome::Success, at(secs(2))).unwrap();
    assert!(breaker.report(at(secs(12))).ramping, "nobody has looked");
    call(&breaker, Outcome::Success, at(secs(12))).unwrap();
    assert!(!breaker.report(at(secs(12))).ramping);
}
