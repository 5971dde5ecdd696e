//! The baseline against a list of everything it was told.

use std::time::Duration;

use proptest::prelude::*;

use crate::breaker::adaptive::baseline::{Baseline, Hour, Seen};
use crate::breaker::adaptive::{Config, HOURS};

const DAY_S: u64 = 24 * 3600;
const DAY: Duration = Duration::from_secs(DAY_S);

/// One period: calls, failures among them, and when.
#[derive(Clone, Copy, Debug)]
struct Told {
    hour: usize,
    calls: u64,
    failures: u64,
    at_s: u64,
}

/// Mean and variance of an hour by their definitions: weights of calls, halved once every half-life.
fn by_list(told: &[(Told, f64)], hour: usize, now_s: u64, half_life_s: f64) -> (f64, f64, f64) {
    let weighted: Vec<_> = told
        .iter()
        .filter(|(told, _)| told.hour == hour)
        .map(|(told, rate)| {
            let lives = (now_s - told.at_s) as f64 / half_life_s;
            (told.calls as f64 * (-lives).exp2(), *rate)
        })
        .collect();
    let calls: f64 = weighted.iter().map(|(weight, _)| weight).sum();
    if calls == 0.0 {
        return (0.0, 0.0, 0.0);
    }
    let mean = weighted.iter().map(|(weight, rate)| weight * rate).sum::<f64>() / calls;
    let squares: f64 = weighted.iter().map(|(weight, rate)| weight * (rate - mean).powi(2)).sum();
    (calls, mean, squares / calls)
}

fn told() -> impl Strategy<Value = Vec<Told>> {
    let one = (0..HOURS, 1_u64..5_000, 0.0_f64..=1.0, 0..3 * DAY_S);
    prop::collection::vec(one, 1..60).prop_map(|all| {
        let mut at_s = 1_767_571_200;
        all.into_iter()
            .map(|(hour, calls, share, later_s)| {
                at_s += later_s;
                // A few hours, so that some are told of again.
                Told { hour: hour % 5, calls, failures: (calls as f64 * share) as u64, at_s }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn mean_and_spread_are_those_of_a_list(told in told(), days in 1_u64..100) {
        // Nothing is clamped, and no gap is longer than what is forgiven.
        let half_life = DAY * u32::try_from(days.max(46)).unwrap();
        let config = Config::builder().min(1.0).max(1.0).half_life(half_life).build().unwrap();
        let mut baseline = Baseline::default();
        let mut list = Vec::new();
        for told in told {
            baseline.learn(told.hour, Seen { calls: told.calls, failures: told.failures, at_s: told.at_s }, &config);
            list.push((told, told.failures as f64 / told.calls as f64));
            for hour in 0..5 {
                let learned = baseline.0[hour];
                let at_s = learned.at_s.max(told.at_s.min(learned.at_s));
                let until: Vec<_> = list.iter().copied().filter(|(t, _)| t.at_s <= at_s).collect();
                let (calls, mean, variance) = by_list(&until, hour, at_s, half_life.as_secs_f64());
                prop_assert!((learned.calls - calls).abs() <= 1e-6 * calls.max(1.0));
                prop_assert!((learned.mean - mean).abs() < 1e-9);
                let own = if learned.calls > 0.0 { learned.squares / learned.calls } else { 0.0 };
                prop_assert!((own - variance).abs() < 1e-9, "{own} {variance}");
                prop_assert!(learned.is_sound());
            }
        }
    }

    #[test]
    fn a_threshold_never_leaves_its_bounds_and_nothing_is_ever_not_a_number(
        told in told(),
        min in 0.01_f64..0.5,
        more in 0.0_f64..0.5,
        spreads in 0.0_f64..100.0,
        jumps in prop::collection::vec(any::<u64>(), 60),
        later in any::<u64>(),
    ) {
        let config = Config::builder().min(min).max(min + more).spreads(spreads).build().unwrap();
        let mut baseline = Baseline::default();
        for (told, at_s) in told.into_iter().zip(jumps) {
            baseline.learn(told.hour, Seen { calls: told.calls, failures: told.failures, at_s }, &config);
            for hour in [told.hour, 30, HOURS - 1] {
                let estimate = baseline.estimate(hour, later, &config);
                prop_assert!((min..=min + more).contains(&estimate.threshold), "{estimate:?}");
                prop_assert!((0.0..=1.0).contains(&estimate.baseline), "{estimate:?}");
                prop_assert!((0.0..=1.0).contains(&estimate.spread), "{estimate:?}");
                prop_assert!(estimate.calls >= 0.0 && estimate.calls.is_finite());
            }
            prop_assert!(baseline.0.iter().all(|hour| hour.is_sound()));
        }
    }

    #[test]
    fn two_halves_of_a_history_joined_are_the_whole(told in told(), cut in any::<prop::sample::Index>()) {
        let config = Config::builder().min(1.0).max(1.0).half_life(DAY * 300).build().unwrap();
        let learn = |told: &[Told]| {
            let mut baseline = Baseline::default();
            told.iter().for_each(|t| baseline.learn(t.hour, Seen { calls: t.calls, failures: t.failures, at_s: t.at_s }, &config));
            baseline
        };
        let (first, second) = told.split_at(cut.index(told.len()));
        let mut joined = learn(second);
        joined.join(&learn(first), &config);
        for (joined, whole) in joined.0.iter().zip(learn(&told).0) {
            prop_assert!((joined.calls - whole.calls).abs() <= 1e-6 * whole.calls.max(1.0));
            prop_assert!((joined.mean - whole.mean).abs() < 1e-9);
            prop_assert!((joined.squares - whole.squares).abs() <= 1e-6 * whole.calls.max(1.0));
        }
    }
}

const NOON: usize = 12;

/// Two weeks of working days at 2 %, a little more and a little less.
fn settled(config: &Config) -> (Baseline, u64) {
    let mut baseline = Baseline::default();
    let mut at_s = 0;
    for day in 0..14 {
        for period in 0..12 {
            at_s = 1_767_571_200 + day * DAY_S + 12 * 3600 + period * 300;
            let failures = if period % 2 == 0 { 100 } else { 140 };
            baseline.learn(
                NOON + 24 * (day as usize % 7),
                Seen { calls: 6_000, failures, at_s },
                config,
            );
        }
    }
    (baseline, at_s)
}

#[test]
fn an_hour_that_was_seen_has_a_tight_threshold_and_one_that_was_not_keeps_the_greatest() {
    let config = Config::default();
    let (baseline, now_s) = settled(&config);
    let noon = baseline.estimate(NOON, now_s, &config);
    assert!((noon.baseline - 0.02).abs() < 0.001, "{noon:?}");
    assert!((0.05..0.06).contains(&noon.threshold), "{noon:?}");
    let night = baseline.estimate(3, now_s, &config);
    assert_eq!((night.threshold, night.calls), (config.max(), 0.0));
    assert!(
        (night.baseline - 0.02).abs() < 0.001,
        "it borrows what is normal elsewhere: {night:?}"
    );
    assert!((0.001..0.01).contains(&night.spread), "and how much that varies: {night:?}");
    let nothing = Baseline::default().estimate(NOON, now_s, &config);
    assert_eq!((nothing.baseline, nothing.threshold), (config.min(), config.max()));
}

#[test]
fn a_slow_incident_does_not_become_normal_at_one_stroke() {
    let config = Config::default();
    let (mut baseline, now_s) = settled(&config);
    let before = baseline.estimate(NOON, now_s, &config);
    for period in 0..6 {
        baseline.learn(
            NOON,
            Seen { calls: 6_000, failures: 5_000, at_s: now_s + 300 * period },
            &config,
        );
    }
    let after = baseline.estimate(NOON, now_s + 1_800, &config);
    assert!(after.baseline < 2.0 * before.baseline, "{before:?} {after:?}");
    assert!(after.threshold < 0.1, "half an hour at 83 %: {after:?}");
}

#[test]
fn a_clock_that_jumps_by_decades_and_back_costs_four_half_lives_and_no_more() {
    let config = Config::default();
    let (mut baseline, now_s) = settled(&config);
    let before = baseline.0[NOON].calls;
    for at_s in [0, now_s, 0, now_s + 50 * 365 * DAY_S, now_s] {
        baseline.learn(NOON, Seen { calls: 1, failures: 0, at_s }, &config);
    }
    let left = baseline.estimate(NOON, now_s, &config).calls;
    // Three jumps ahead, from 1970 twice and from 2076.
    assert!(left >= before / f64::from(16 * 16 * 16), "{left} of {before}");
    assert!((baseline.estimate(NOON, now_s, &config).baseline - 0.02).abs() < 0.01);
}

#[test]
fn another_zone_has_the_same_nights_at_other_hours() {
    let config = Config::default();
    let (baseline, _) = settled(&config);
    let mut moved = baseline.clone();
    moved.shift(120);
    assert_eq!(moved.0[NOON + 2], baseline.0[NOON]);
    moved.shift(-120);
    assert_eq!(moved, baseline);
    moved.shift(-25);
    assert_eq!(moved, baseline, "less than half an hour stays in its hour");
}

#[test]
fn the_threshold_is_so_many_spreads_above_what_is_normal() {
    let config = Config::builder().min(0.01).max(0.9).spreads(3.0).build().unwrap();
    let mut baseline = Baseline::default();
    // As often none as a fifth: 10 % on average, and 10 % apart from that.
    for period in 0..4_000 {
        let failures = if period % 2 == 0 { 0 } else { 2_000 };
        baseline.learn(NOON, Seen { calls: 10_000, failures, at_s: 0 }, &config);
    }
    let noon = baseline.estimate(NOON, 0, &config);
    let is_near = |found: f64, expected: f64| (found - expected).abs() < 0.001;
    assert!(is_near(noon.baseline, 0.1) && is_near(noon.spread, 0.1), "{noon:?}");
    assert!(is_near(noon.threshold, 0.4), "three spreads above: {noon:?}");
    assert!(is_near(noon.tested, 0.2), "one spread above: {noon:?}");
}

#[test]
fn what_was_learned_ages_from_when_it_was_learned() {
    let config = Config::default();
    let life_s = 28 * DAY_S;
    let mut baseline = Baseline::default();
    let calls = |baseline: &Baseline, at_s| baseline.estimate(NOON, at_s, &config).calls;
    baseline.learn(NOON, Seen { calls: 1_000, failures: 0, at_s: life_s }, &config);
    assert_eq!(calls(&baseline, life_s), 1_000.0);
    assert_eq!(calls(&baseline, 2 * life_s), 500.0);
    // From the latest on, though the clock was put back before it.
    baseline.learn(NOON, Seen { calls: 1_000, failures: 0, at_s: 0 }, &config);
    assert_eq!(calls(&baseline, life_s), 1_000.0);
}

#[test]
fn no_hour_is_taken_whose_spread_no_rates_could_have() {
    let hour = |squares| Hour { calls: 100.0, mean: 0.5, squares, at_s: 0 };
    assert!(hour(0.0).is_sound() && hour(26.0).is_sound());
    assert!(!hour(26.1).is_sound() && !hour(-0.1).is_sound());
}
